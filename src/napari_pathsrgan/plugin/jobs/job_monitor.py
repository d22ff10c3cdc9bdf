"""Reads all jobs twice a second, in a thread: the window never waits for a disk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QThreadPool, QTimer, Signal

from napari_pathsrgan.jobs.listing import Job, JobList
from napari_pathsrgan.plugin.jobs.job_reader import JobReader, Reading

if TYPE_CHECKING:
    from napari_pathsrgan.jobs.record import State

EVERY_MS = 500


class JobMonitor(QObject):
    """Reports what jobs there are, and what the one that is followed has to show.

    Attributes
    ----------
    seen : Signal(list)
        All jobs, the newest first, each time they were read.
    ended : Signal(object)
        A job that has come to an end, of whatever kind, since they were last read.
    read : Signal(object)
        A `Reading` of the job that is followed.
    """

    seen = Signal(list)
    ended = Signal(object)
    read = Signal(object)
    _found = Signal(list, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs = JobList()
        self._states: dict[str, State] | None = None
        self._followed: str = ""
        self._reader: tuple[str, JobReader] | None = None
        self._busy = self._outdated = self._ended = False
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._found.connect(self._on_found)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self.refresh)

    def start(self) -> None:
        """Begin to read."""
        self._timer.start()
        self.refresh()

    def follow(self, job_id: str) -> None:
        """Read one job's curves, images and log as well, from now on; none for an empty name."""
        if job_id != self._followed:
            self._followed = job_id
            self.refresh()

    def refresh_after_change(self) -> None:
        """Read anew after something was done to a job; what was read before that is dropped."""
        self._outdated = self._busy
        self.refresh()

    def refresh(self) -> None:
        """Read now, unless that is being done."""
        if not self._busy and not self._ended:
            self._busy = True
            self._pool.start(partial(self._read, self._followed))

    def close(self) -> None:
        """Stop reading, and wait for the last reading to end."""
        self._ended = True
        self._timer.stop()
        self._pool.waitForDone()

    def _read(self, followed: str) -> None:
        jobs = self._jobs.read()
        reading = None
        job = next((job for job in jobs if job.id == followed), None)
        if job is None:
            self._reader = None
        else:
            if self._reader is None or self._reader[0] != followed:
                self._reader = followed, JobReader(job)
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
            self.refresh_after_change()
            return
        before, self._states = self._states, {job.id: job.state for job in jobs}
        self.seen.emit(jobs)
        if reading is not None and reading.job.id == self._followed:
            self.read.emit(reading)
        for job in reversed(jobs):  # the oldest first
            # Short ones begin and end between two readings.
            if before is not None and before.get(job.id) is not job.state and not job.state.active:
                self.ended.emit(job)
        if self._followed and (reading is None or reading.job.id != self._followed):
            if self._followed in self._states:
                self.refresh()  # another was chosen while this was read
            else:
                self._followed = ""
