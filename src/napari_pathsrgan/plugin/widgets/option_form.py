"""A form made from the options of a command; each field is checked as it is typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_pathsrgan.commands.command import FormField
from napari_pathsrgan.commands.option_text import problems
from napari_pathsrgan.plugin.widgets.narrow_layout import Section
from napari_pathsrgan.plugin.widgets.option_row import REQUIRED, OptionRow
from napari_pathsrgan.plugin.widgets.wheel_guard import guard_wheel

if TYPE_CHECKING:
    from napari_pathsrgan.commands.command import Command

_SOON_MS = 150


class OptionForm(QWidget):
    """Fields for the options of a command: those that a form asks for first, the others under *More settings*.

    Parameters
    ----------
    command : Command
    fields : tuple of FormField
        What is asked first.
    values : mapping
        Values that differ from the defaults.
    elsewhere : collection of str
        Options without a field, which whoever shows the form gives.

    Attributes
    ----------
    checked : Signal()
        Sent after each check.
    """

    checked = Signal()

    def __init__(
        self,
        command: Command[Any],
        fields: tuple[FormField, ...],
        values: Mapping[str, Any],
        elsewhere: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.command, self._elsewhere = command, elsewhere
        self.rows: list[OptionRow] = []
        self.general = ""
        self.missing: list[str] = []
        self._touched: set[OptionRow] = set()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_SOON_MS)
        self._later.timeout.connect(self.check)
        self.more = Section("More settings")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._build_rows(column, fields)
        column.addWidget(self.more)
        self._fill_in(values)
        guard_wheel(self)

    def _build_rows(self, column: QVBoxLayout, fields: tuple[FormField, ...]) -> None:
        options = self.command.options
        asked = {hints.option for hints in fields} | set(self._elsewhere)
        others = [FormField(name) for name in options.model_fields if name not in asked]
        for hints in (*fields, *others):
            row = OptionRow(options, hints)
            first = hints in fields or row.about.is_required()
            (column if first else self.more).addWidget(row)
            row.changed.connect(lambda row=row: self._on_change(row))
            self.rows.append(row)

    def _fill_in(self, values: Mapping[str, Any]) -> None:
        """Show what is given, and the defaults that follow from it."""
        for row, value in self._each(values):
            if value is not None:
                row.set_value(value)
                self._touched.add(row)
        self._show_defaults()

    def _each(self, values: Mapping[str, Any]) -> list[tuple[OptionRow, Any]]:
        """Each row with its value; several rows of one option have one of its values each."""
        found: list[tuple[OptionRow, Any]] = []
        for row in self.rows:
            value = values.get(row.key)
            if row.several and value is not None:
                place = [other for other in self.rows if other.key == row.key].index(row)
                value = value[place] if place < len(value) else None
            found.append((row, value))
        return found

    def _show_defaults(self) -> None:
        usual = self.command.options.usual(self.values())
        for row, value in self._each(usual):
            if row not in self._touched and not row.in_job:
                row.set_value(value)

    def row(self, option: str, place: int = 0) -> OptionRow:
        """The row of an option; `place` among several of that name."""
        return [row for row in self.rows if row.key == option][place]

    def values(self) -> dict[str, Any]:
        """Options that the user, or what is open, has given, as JSON; the others are at their defaults."""
        values: dict[str, Any] = {}
        for row in self.rows:
            value = row.value if row in self._touched or row.in_job else None
            if value is not None:
                values[row.key] = (*values.get(row.key, ()), value) if row.several else value
        return values

    def check(self) -> bool:
        """Show under each field what is wrong with it.

        Returns
        -------
        bool
            Whether the command can be run.
        """
        sentences = {row: row.check() for row in self.rows}
        found = problems(self.command.options, self.values())
        found = {name: sentence for name, sentence in found.items() if name not in self._elsewhere}
        for row in self.rows:
            sentences[row] = sentences[row] or self._problem(row, found)
        for row, sentence in sentences.items():
            # A field that nobody has come to yet is no mistake; above the button it is listed as missing.
            row.show_wrong(sentence if row in self._touched else "")
        self.general = "" if any(sentences.values()) else found.get("", "")
        self.missing = [row.label for row, sentence in sentences.items() if sentence]
        self.checked.emit()
        return not (self.missing or self.general)

    def _problem(self, row: OptionRow, found: Mapping[str, str]) -> str:
        together = [other for other in self.rows if other.key == row.key]
        filled = [other for other in together if other.text]
        if len(together) > 1 and filled and not row.text:
            return REQUIRED
        if row.key in found and row.several and filled:
            return "" if row.text and len(filled) < len(together) else found[row.key]
        return REQUIRED if row.key in found and row.several else found.get(row.key, "")

    def _on_change(self, row: OptionRow) -> None:
        self._touched.add(row)
        self._show_defaults()
        self._later.start()
