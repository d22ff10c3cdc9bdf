"""The form that starts a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_pathsrgan.commands.option_text import command_line, validated
from napari_pathsrgan.jobs.record import RESULT
from napari_pathsrgan.plugin.widgets.narrow_layout import Flowing
from napari_pathsrgan.plugin.widgets.option_form import OptionForm
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped
from napari_pathsrgan.plugin.widgets.qt_types import existing

if TYPE_CHECKING:
    from napari_pathsrgan.commands.command import Command, JobForm, OpenLayers


class JobFormWidget(QWidget):
    """A form that starts a job.

    Parameters
    ----------
    command : Command
    form : JobForm
    layers : OpenLayers
        What is open.

    Attributes
    ----------
    start_asked : Signal(object)
        The options, as JSON.
    left : Signal()
        The user wants no job.
    """

    start_asked = Signal(object)
    left = Signal()

    def __init__(self, command: Command[Any], form: JobForm, layers: OpenLayers) -> None:
        super().__init__()
        self.command = command
        self.options = OptionForm(command, form.fields, {**form.preset, **form.suggest(layers)})
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 6, 0)
        about = PlainLabel(form.about)
        about.setWordWrap(True)
        column.addWidget(about)
        column.addWidget(self.options)
        column.addStretch(1)
        self._build_frame(form.title, body)
        self.options.checked.connect(self._show_state)
        self.options.check()

    def _build_frame(self, title: str, body: QWidget) -> None:
        heading = MarkedLabel(f"<b>{escaped(title)}</b>")
        heading.setWordWrap(True)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(body)
        self.wrong = PlainLabel(" ")
        self.wrong.setWordWrap(True)
        self.wrong.setMinimumHeight(2 * self.wrong.fontMetrics().lineSpacing())  # reserved, so that nothing jumps
        self.wrong.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.start, self.copy, self.cancel = QPushButton("Start"), QPushButton("Copy as command"), QPushButton("Cancel")
        self.start.setToolTip("Queue the job; it goes on when this window is closed")
        self.copy.setToolTip("Copy the command that does the same in a terminal")
        self.start.clicked.connect(lambda: self.start_asked.emit(self.options.values()))
        self.copy.clicked.connect(lambda: existing(QGuiApplication.clipboard()).setText(self.command_line()))
        self.cancel.clicked.connect(self.left)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(heading)
        column.addWidget(area, 1)
        column.addWidget(self.wrong)
        column.addWidget(Flowing(self.start, self.copy, self.cancel))

    def command_line(self) -> str:
        """The same as a command to copy, which writes beside itself what the job would keep in its own folder."""
        values = {name: _beside(value) for name, value in self.options.values().items()}
        return command_line(self.command, validated(self.command.options, values))

    def _show_state(self) -> None:
        options = self.options
        said = options.general or (f"Missing or invalid: {', '.join(options.missing)}." if options.missing else "")
        self.wrong.setText(said or " ")
        self.start.setEnabled(not said)
        self.copy.setEnabled(not said)


def _beside(value: Any) -> Any:
    return value.removeprefix(f"{RESULT}/") if isinstance(value, str) else value
