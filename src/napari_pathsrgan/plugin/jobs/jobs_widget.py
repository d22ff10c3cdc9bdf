"""The dock *Jobs*: start registration, training and whole slides, see how they go, and open what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QMenu,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_pathsrgan.commands.jobs import queue_command
from napari_pathsrgan.commands.registry import job_commands
from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.jobs.queue import remove_job, resume_job, stop_job
from napari_pathsrgan.jobs.record import State
from napari_pathsrgan.plugin.jobs.job_details import JobDetails
from napari_pathsrgan.plugin.jobs.job_list import JobListView
from napari_pathsrgan.plugin.jobs.job_monitor import JobMonitor
from napari_pathsrgan.plugin.jobs.job_results import open_result
from napari_pathsrgan.plugin.widgets.confirm import confirm
from napari_pathsrgan.plugin.widgets.dock import DockWidget
from napari_pathsrgan.plugin.widgets.message_strip import MessageStrip
from napari_pathsrgan.plugin.widgets.plain_text import PlainLabel
from napari_pathsrgan.plugin.widgets.qt_types import existing

if TYPE_CHECKING:
    import napari
    from qtpy.QtGui import QAction

    from napari_pathsrgan.commands.command import Command, JobForm
    from napari_pathsrgan.jobs.listing import Job
    from napari_pathsrgan.plugin.jobs.job_form import JobFormWidget

_NOTHING_YET = (
    "No jobs yet. Begin with New job: registration, training and whole slides go on in the background,"
    " even when this window is closed."
)
_ENDINGS = {
    State.DONE: "{title}: done.",
    State.FAILED: "{title} failed. {problem}",
    State.INTERRUPTED: "{title} was interrupted. {problem} Resume goes on from its last checkpoint.",
}


class JobsWidget(DockWidget):
    """All jobs there are, whoever started them; closing the window does nothing to them.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.form: JobFormWidget | None = None
        self._build()
        self.monitor = JobMonitor(self)
        self.monitor.seen.connect(self._on_seen)
        self.monitor.read.connect(self.details.show_reading)
        self.monitor.ended.connect(self._on_ended)
        self.list.chosen.connect(self._on_chosen)
        self.details.asked.connect(self._on_asked)
        self.monitor.start()

    def _build(self) -> None:
        self.setMinimumWidth(260)
        self.messages = MessageStrip()
        self.new = QPushButton("New job")
        self.new.setToolTip("Start something that takes long")
        menu = QMenu(self.new)
        for command in job_commands().values():
            for form in command.forms:
                existing(menu.addAction(f"{form.title} …")).setData((command, form))
        menu.triggered.connect(self._on_new)  # a method, not a closure: that would keep the dock, and napari's window
        self.new.setMenu(menu)
        self.empty = PlainLabel(_NOTHING_YET)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.hide()
        self.list, self.details = JobListView(), JobDetails()
        self.body = QSplitter(Qt.Orientation.Vertical)
        self.body.setChildrenCollapsible(False)
        self.body.addWidget(self.list)
        self.body.addWidget(self.details)
        self.body.setStretchFactor(0, 2)
        self.body.setStretchFactor(1, 3)
        front = QWidget()
        column = QVBoxLayout(front)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.new)
        column.addWidget(self.empty, 1)
        column.addWidget(self.body, 1)
        self.pages = QStackedWidget()
        self.pages.addWidget(front)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.messages)
        layout.addWidget(self.pages, 1)

    # ------------------------------------------------------------------ starting

    def _on_new(self, action: QAction) -> None:
        self.open_form(*action.data())

    def open_form(self, command: Command[Any], form: JobForm) -> None:
        """Ask for the options of a job, with what follows from the open layers filled in."""
        from napari_pathsrgan.plugin.jobs.job_form import JobFormWidget
        from napari_pathsrgan.plugin.jobs.open_layers import open_layers

        self.close_form()
        self.messages.hide()
        self.form = JobFormWidget(command, form, open_layers(self.viewer))
        self.form.start_asked.connect(self.start)
        self.form.left.connect(self.close_form)
        self.pages.addWidget(self.form)
        self.pages.setCurrentWidget(self.form)

    def close_form(self) -> None:
        """Go back to the list."""
        if self.form is not None:
            self.pages.removeWidget(self.form)
            self.form.deleteLater()
            self.form = None

    def start(self, values: dict[str, Any]) -> None:
        """Queue the job of the form, with these options."""
        assert self.form is not None
        try:
            job = queue_command(self.form.command, values, cwd=Path.home())
        except PathSRGANError as error:
            self.messages.show_problem(error)
            return
        self.close_form()
        self.list.choose(job.id)
        self.monitor.refresh_after_change()

    # ------------------------------------------------------------------ seeing

    def _on_seen(self, jobs: list[Job]) -> None:
        self.list.show_jobs(jobs)
        self.empty.setVisible(not jobs)
        self.body.setVisible(bool(jobs))
        self.details.show_job(self.list.current)

    def _on_chosen(self, job_id: str) -> None:
        self.details.show_job(self.list.current)
        self.monitor.follow(job_id)

    def _on_ended(self, job: Job) -> None:
        words = _ENDINGS.get(job.state)
        if words is None:
            return  # stopped, as the user has asked
        from napari.utils.notifications import show_info, show_warning

        sentence = " ".join(words.format(title=job.record.title, problem=job.record.problem).split())
        (show_info if job.state is State.DONE else show_warning)(sentence)

    # ------------------------------------------------------------------ doing

    def _on_asked(self, what: str) -> None:
        job = self.list.current
        if job is None:
            return
        try:
            if what == "open":
                open_result(self.viewer, job)
            elif what == "resume":
                resume_job(job)
            elif what == "remove":
                if self._may_remove(job):
                    remove_job(job)
            else:
                stop_job(job, at_once=what == "stop now")
        except PathSRGANError as error:
            self.messages.show_problem(error)
        self.monitor.refresh_after_change()

    def _may_remove(self, job: Job) -> bool:
        """Ask before a result goes with its job; what lies elsewhere stays."""
        result = job.folder / "result"
        try:
            holds = any(result.iterdir())
        except OSError:
            holds = False
        if not holds:
            return True
        question = f"{job.record.title} keeps its result in its own folder. Remove both?"
        return confirm(self, "Remove a job", question)

    # ------------------------------------------------------------------ ending

    def teardown(self, window_stays: bool) -> None:
        """Look no more; the jobs go on."""
        self.monitor.close()
