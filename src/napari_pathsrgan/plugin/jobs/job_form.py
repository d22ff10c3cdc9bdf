"""A form for one kind of job, made from its verb's own options; checks each as it is typed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_pathsrgan.commands.verb_options import options_of, refusal
from napari_pathsrgan.jobs.spec import RESULT
from napari_pathsrgan.jobs.words import command_line
from napari_pathsrgan.plugin.jobs.form_rows import OptionRow
from napari_pathsrgan.plugin.widgets.narrow_layout import Flowing, Section
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped
from napari_pathsrgan.plugin.widgets.qt_types import existing

if TYPE_CHECKING:
    from napari_pathsrgan.plugin.jobs.job_forms import JobPlan, Known

_SOON_MS = 150


class JobForm(QWidget):
    """What a job is to be told.

    Parameters
    ----------
    plan : JobPlan
    known : dict
        See `job_forms.Known`.

    Attributes
    ----------
    start_asked : Signal(list)
        Words for the command line.
    left : Signal()
        The user wants no job.
    """

    start_asked = Signal(list)
    left = Signal()

    def __init__(self, plan: JobPlan, known: Known) -> None:
        super().__init__()
        self.plan = plan
        self.rows: list[OptionRow] = []
        self._touched: set[OptionRow] = set()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_SOON_MS)
        self._later.timeout.connect(self.check)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 6, 0)
        about = PlainLabel(plan.about)
        about.setWordWrap(True)
        column.addWidget(about)
        self.more = Section("More settings")
        self._build_rows(column)
        column.addWidget(self.more)
        column.addStretch(1)
        self._build_frame(body)
        for row in self.rows:
            with QSignalBlocker(row):
                given = known.get(row.key, [])
                at = [other for other in self.rows if other.key == row.key].index(row)
                value = given[at] if at < len(given) else plan.preset.get(row.key, "")
                if value:
                    row.set_value(value)
            row.changed.connect(lambda row=row: self._on_change(row))
        self.check()

    def _build_frame(self, body: QWidget) -> None:
        title = MarkedLabel(f"<b>{escaped(self.plan.name)}</b>")
        title.setWordWrap(True)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(body)
        self.wrong = PlainLabel()
        self.wrong.setWordWrap(True)
        self.wrong.hide()
        self.start, self.copy, self.cancel = QPushButton("Start"), QPushButton("Copy as command"), QPushButton("Cancel")
        self.start.setToolTip("Queue the job; it goes on when this window is closed")
        self.copy.setToolTip("Copy the command that does the same in a terminal")
        self.start.clicked.connect(lambda: self.start_asked.emit(self.words()))
        self.copy.clicked.connect(lambda: existing(QGuiApplication.clipboard()).setText(self.command()))
        self.cancel.clicked.connect(self.left)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(title)
        column.addWidget(area, 1)
        column.addWidget(self.wrong)
        column.addWidget(Flowing(self.start, self.copy, self.cancel))

    def _build_rows(self, column: QVBoxLayout) -> None:
        options = {option.key: option for option in options_of(self.plan.verb)}
        first = [asked for asked in self.plan.asked if asked.key in options]
        for asked in first:
            blank = f"{RESULT}/{asked.blank}" if asked.blank else ""
            row = OptionRow(options[asked.key], asked.label, asked.pick, blank, asked.told)
            column.addWidget(row)
            self.rows.append(row)
        others = [option for key, option in options.items() if key not in {asked.key for asked in first}]
        for option in others:
            row = OptionRow(option)
            (column if option.required else self.more).addWidget(row)
            self.rows.append(row)

    def row(self, key: str, place: int = 0) -> OptionRow:
        """The row of an option; `place` among several with that name."""
        return [row for row in self.rows if row.key == key][place]

    def words(self) -> list[str]:
        """Words for the command line: what has no name first, in the verb's order."""
        order = [option.key for option in options_of(self.plan.verb)]
        unnamed = sorted((row for row in self.rows if not row.option.name), key=lambda row: order.index(row.key))
        named = [row for row in self.rows if row.option.name]
        return [self.plan.verb, *(word for row in (*unnamed, *named) for word in row.words())]

    def command(self) -> str:
        """The same as a command to copy, which writes beside itself what the job would keep in its own folder."""
        return command_line([re.sub(r"^\{result\}/", "", word) for word in self.words()])

    def check(self) -> bool:
        """Say under each row what is wrong with it, and let the job start where nothing is."""
        sentences = {row: row.check() for row in self.rows}
        several = [row for row in self.rows if row.option.many]
        if any(row.value for row in several):
            sentences |= {row: "This is needed." for row in several if not row.value}
        elif several and not any(row.value for row in self.rows if row.key == "from_fields"):
            sentences |= dict.fromkeys(several, "This is needed.")
        general = ""
        if not any(sentences.values()):
            refused = refusal(self.words())
            if refused is not None:
                row = next((row for row in self.rows if row.key == refused.key), None)
                if row is None:
                    general = refused.sentence
                else:
                    sentences[row] = refused.reason
                    self._touched.add(row)
        for row, sentence in sentences.items():
            # What nobody has come to yet is no mistake; above the button, which stays grey, it is said why.
            row.show_wrong(sentence if row in self._touched or row.value else "")
        missing = [row.editor.accessibleName() for row, sentence in sentences.items() if sentence]
        told = general or (f"See to: {', '.join(missing)}." if missing else "")
        self.wrong.setText(told)
        self.wrong.setVisible(bool(told))
        self.start.setEnabled(not told)
        self.copy.setEnabled(not told)
        return not told

    def _on_change(self, row: OptionRow) -> None:
        self._touched.add(row)
        self._later.start()
