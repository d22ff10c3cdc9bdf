"""One job in detail: what can be done with it, and its progress, images, log and settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QGuiApplication, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_pathsrgan.commands.jobs import saved_command_line
from napari_pathsrgan.jobs.listing import breakable, describe_progress
from napari_pathsrgan.jobs.record import State
from napari_pathsrgan.plugin.jobs.job_list import MARKS, mark_colour
from napari_pathsrgan.plugin.jobs.training_curves import JobCurves
from napari_pathsrgan.plugin.widgets.narrow_layout import Flowing, Scrolled, follow_letters
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped
from napari_pathsrgan.plugin.widgets.qt_types import existing

if TYPE_CHECKING:
    from qtpy.QtGui import QImage, QResizeEvent

    from napari_pathsrgan.jobs.listing import Job
    from napari_pathsrgan.plugin.jobs.job_reader import Reading

PAGES = ("Progress", "Images", "Log", "Settings")


class JobDetails(QWidget):
    """The lower part of the dock.

    Attributes
    ----------
    asked : Signal(str)
        What the user wants of the job: "stop", "stop now", "resume", "open", "remove".
    """

    asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.job: Job | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.title, self.state = MarkedLabel(), MarkedLabel()
        for label in (self.title, self.state):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setMinimumWidth(1)
            layout.addWidget(label)
        layout.addWidget(self._build_actions())
        layout.addWidget(self._build_tabs())
        self.pages = QStackedWidget()
        self.curves = JobCurves()
        self.images = _Images()
        self.log, self.settings = _text("No output yet."), _text("")
        follow_letters(self.log, self.settings)
        for page in (Scrolled(self.curves), Scrolled(self.images), self.log, self.settings):
            self.pages.addWidget(page)
        self.pages.setMinimumHeight(120)
        layout.addWidget(self.pages, 1)
        self.hide()

    def _build_actions(self) -> QWidget:
        self.actions_: dict[str, QPushButton] = {}
        for name, word, tip in (
            ("stop", "Stop", "Write a checkpoint and stop; it can go on later"),
            ("stop now", "Stop now", "End it at once; what it did since its last checkpoint is lost"),
            ("resume", "Resume", "Go on from the last checkpoint"),
            ("open", "Open", "Open the result in this window"),
            ("log", "Log", "What it printed, with the reason at the end"),
            ("remove", "Remove", "Take it off the list, with its log and what lies in its own folder"),
            ("copy", "Copy as command", "Copy the command that does the same in a terminal"),
        ):
            button = QPushButton(word)
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, name=name: self._act(name))
            self.actions_[name] = button
        self._offered = Flowing(*self.actions_.values())
        return self._offered

    def _build_tabs(self) -> QWidget:
        self.tabs = QButtonGroup(self)
        tabs = [QPushButton(name) for name in PAGES]
        for number, tab in enumerate(tabs):
            tab.setCheckable(True)
            self.tabs.addButton(tab, number)
        tabs[0].setChecked(True)
        self.tabs.idClicked.connect(self.show_page)
        return Flowing(*tabs)  # tabs of Qt's would be cut off where the dock is narrow or letters are large

    def show_page(self, page: int | str) -> None:
        """Show one of `PAGES`, by its name or place."""
        number = PAGES.index(page) if isinstance(page, str) else page
        existing(self.tabs.button(number)).setChecked(True)
        self.pages.setCurrentIndex(number)

    def show_job(self, job: Job | None) -> None:
        """Say how a job goes, and offer what can be done with it; None for no job."""
        other = (self.job.id if self.job else "") != (job.id if job else "")
        self.job = job
        self.setVisible(job is not None)
        if job is None:
            return
        if other:
            self.curves.show_curves({})
            self.images.show_images(())
            self.log.clear()
        icon, colour = MARKS[job.state][0], mark_colour(job.state, self.palette()).name()
        self.title.setText(f"<b>{escaped(breakable(job.record.title))}</b>")
        words = describe_progress(job)
        progress = f" · {escaped(breakable(words))}" if words else ""
        self.state.setText(f"<span style='color: {colour}'>{icon}</span> {job.state}{progress}")
        state = job.state
        offered = {
            "stop": state in (State.QUEUED, State.RUNNING),
            "stop now": state is State.STOPPING,
            "resume": state.resumable,
            "open": state is State.DONE,
            "log": state in (State.FAILED, State.INTERRUPTED),
            "remove": not state.active,
            "copy": state is not State.DAMAGED,
        }
        self._offered.show_only(*(button for name, button in self.actions_.items() if offered[name]))
        for page, what in ((self.curves, "figures"), (self.images, "images")):
            page.empty.setText(f"No {what} yet." if state.active else f"It has left no {what}.")
        settings = _settings_text(job)
        if self.settings.toPlainText() != settings:
            self.settings.setPlainText(settings)

    def show_reading(self, reading: Reading) -> None:
        """Show what the job's files hold."""
        if self.job is None or reading.job.id != self.job.id:
            return
        self.curves.show_curves(reading.curves)
        self.images.show_images(reading.images)
        if self.log.toPlainText() != reading.log:
            bar = existing(self.log.verticalScrollBar())
            at_end = bar.value() >= bar.maximum() - 4
            self.log.setPlainText(reading.log)
            if at_end:
                bar.setValue(bar.maximum())

    def _act(self, name: str) -> None:
        if self.job is None:
            return
        if name == "copy":
            existing(QGuiApplication.clipboard()).setText(saved_command_line(self.job.record))
        elif name == "log":
            self.show_page("Log")
        else:
            self.asked.emit(name)


class _Images(QWidget):
    """The latest images, as wide as the dock."""

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.empty = PlainLabel("No images yet.")
        self._column.addWidget(self.empty)
        self._column.addStretch(1)
        self.shown: tuple[tuple[str, QImage], ...] = ()
        self._labels: list[tuple[QLabel, QPixmap]] = []

    def show_images(self, images: tuple[tuple[str, QImage], ...]) -> None:
        if [image.cacheKey() for _, image in images] == [image.cacheKey() for _, image in self.shown]:
            return
        self.shown = images
        self.empty.setVisible(not images)
        while self._column.count() > 2:
            widget = existing(existing(self._column.takeAt(1)).widget())
            widget.hide()
            widget.deleteLater()
        self._labels = []
        for at, (name, image) in enumerate(images):
            caption, shown = PlainLabel(name), PlainLabel()
            shown.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
            self._column.insertWidget(2 * at + 1, caption)
            self._column.insertWidget(2 * at + 2, shown)
            self._labels.append((shown, QPixmap.fromImage(image)))
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        for label, image in self._labels:
            width = min(max(1, self.width()), 2 * image.width())
            with QSignalBlocker(label):
                label.setPixmap(image.scaledToWidth(width, Qt.TransformationMode.SmoothTransformation))


def _text(placeholder: str) -> QPlainTextEdit:
    text = QPlainTextEdit()
    text.setReadOnly(True)
    text.setPlaceholderText(placeholder)
    return text


def _settings_text(job: Job) -> str:
    record = job.record
    lines = [saved_command_line(record), "", f"Started from {record.cwd}", f"Folder {job.folder}"]
    lines.append(f"Device {record.device}")
    lines += [
        f"{word} {time[:16].replace('T', ' ')}"
        for word, time in (("Queued", record.created), ("Started", record.started), ("Ended", record.ended))
        if time
    ]
    lines += ["", *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in record.options.items())]
    return "\n".join([*lines, "", *(f"{name} {version}" for name, version in record.versions.items())])
