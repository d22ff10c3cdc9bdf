"""Looks after all jobs, twice a second, in a thread: the window never waits for a disk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QThreadPool, QTimer, Signal

from napari_pathsrgan.jobs.listing import Job, JobList
from napari_pathsrgan.plugin.jobs.job_reader import JobReader, Reading

if TYPE_CHECKING:
    from napari_pathsrgan.jobs.record import State

EVERY_MS = 500


class JobsWatch(QObject):
    """Tells what jobs there are and what the one that is looked at has to show.

    Attributes
    ----------
    seen : Signal(list)
        All jobs, the newest first, each time they were looked at.
    ended : Signal(object)
        A job that has come to an end, of whatever kind, since they were last looked at.
    read : Signal(object)
        A `Reading` of the job that is looked at closely.
    """

    seen = Signal(list)
    ended = Signal(object)
    read = Signal(object)
    _found = Signal(list, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs = JobList()
        self._states: dict[str, State] | None = None
        self._closely: str = ""
        self._reader: tuple[str, JobReader] | None = None
        self._busy = self._outdated = self._ended = False
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._found.connect(self._on_found)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        """Begin to look."""
        self._timer.start()
        self.look()

    def look_closely(self, job_id: str) -> None:
        """Read one job's curves, pictures and log as well, from now on; none for an empty name."""
        if job_id != self._closely:
            self._closely = job_id
            self.look()

    def look_afresh(self) -> None:
        """Look after something was asked of a job; what was seen before that, and not told yet, no longer counts."""
        self._outdated = self._busy
        self.look()

    def look(self) -> None:
        """Look now, unless that is being done."""
        if not self._busy and not self._ended:
            self._busy = True
            self._pool.start(partial(self._look, self._closely))

    def end(self) -> None:
        """Look no more, and wait for the last look to end."""
        self._ended = True
        self._timer.stop()
        self._pool.waitForDone()

    def _look(self, closely: str) -> None:
        jobs = self._jobs.read()
        reading = None
        job = next((job for job in jobs if job.id == closely), None)
        if job is None:
            self._reader = None
        else:
            if self._reader is None or self._reader[0] != closely:
                self._reader = closely, JobReader(job)
            reading = self._reader[1].read(job)
        try:
            self._found.emit(jobs, reading)
        except RuntimeError:  # the window went meanwhile, and Qt's half of the object with it
            return

    def _on_found(self, jobs: list[Job], reading: Reading | None) -> None:
        self._busy = False
        if self._ended:
            return
        if self._outdated:
            self.look_afresh()
            return
        before, self._states = self._states, {job.id: job.state for job in jobs}
        self.seen.emit(jobs)
        if reading is not None and reading.job.id == self._closely:
            self.read.emit(reading)
        for job in reversed(jobs):  # the eldest first
            # Short ones begin and end between two looks.
            if before is not None and before.get(job.id) is not job.state and not job.state.active:
                self.ended.emit(job)
        if self._closely and (reading is None or reading.job.id != self._closely):
            if self._closely in self._states:
                self.look()  # another was chosen while this was read
            else:
                self._closely = ""
