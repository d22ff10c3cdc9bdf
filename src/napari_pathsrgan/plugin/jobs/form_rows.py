"""One line of a form: an option of a verb, with its unit, its help, and what is wrong with what was typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.jobs.words import breakable
from napari_pathsrgan.models.zoo import available_models, find_model
from napari_pathsrgan.plugin.widgets.narrow_layout import combo_box, follow_letters
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped, plain_tip
from napari_pathsrgan.slides.slide_kind import slide_kind

if TYPE_CHECKING:
    from napari_pathsrgan.commands.verb_options import VerbOption

Pick = Literal["", "file", "folder", "slide", "pairs", "save", "model"]
"""What is meant: a file, folder, slide or pairs file that is there, a name for something new, a model."""

_PICKS: dict[str, Pick] = {
    "annotations": "file",
    "from_fields": "folder",
    "places": "save",
    "model": "model",
    "init_from": "model",
    "trust_against": "model",
}
"""The same of options that no form asks for by itself."""

_UNITS = (("_um", "µm"), ("_px", "px"), ("_s", "s"))
_WRONG = "#d55e00"


class OptionRow(QWidget):
    """Label, editor, unit, and under them help or what is wrong.

    Parameters
    ----------
    option : VerbOption
    label : str
        What the form calls it; the option's own name in words otherwise.
    pick : str
        See `Pick`.
    blank : str
        Where the result goes when nothing is given; empty where something must be.
    told : str
        Help in other words than the command line's.

    Attributes
    ----------
    changed : Signal()
    """

    changed = Signal()

    def __init__(
        self,
        option: VerbOption,
        label: str = "",
        pick: Pick = "",
        blank: str = "",
        told: str = "",
    ) -> None:
        super().__init__()
        self.option, self.blank = option, blank
        self.pick: Pick = pick or _PICKS.get(option.key, "")
        self.key = option.key
        help_ = (told or option.help).replace("`", "")
        own, unit = _without_unit(option.key)
        name = PlainLabel(label or own.replace("_", " ").capitalize())
        name.setWordWrap(True)
        self.editor = self._make_editor()
        self.editor.setToolTip(plain_tip(_tip(option, help_)))
        self.editor.setAccessibleName(name.text())
        follow_letters(self.editor)
        self.help = MarkedLabel(f"<small>{escaped(breakable(help_))}</small>")
        self.help.setWordWrap(True)
        self.help.setVisible(bool(help_))
        self.wrong = MarkedLabel()
        self.wrong.setWordWrap(True)
        self.wrong.hide()
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.editor, 1)
        if unit:
            line.addWidget(PlainLabel(unit))
        if self.pick and self.pick != "model":
            button = QToolButton()
            button.setText("…")
            button.setToolTip("Choose")
            button.clicked.connect(self._browse)
            follow_letters(button)
            line.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(2)
        for part in (name, line, self.wrong, self.help):
            column.addLayout(part) if isinstance(part, QHBoxLayout) else column.addWidget(part)

    def _make_editor(self) -> QWidget:
        option = self.option
        if option.kind == "flag":
            box = QCheckBox()
            box.setChecked(bool(option.default))
            box.toggled.connect(self.changed)
            return box
        if option.kind == "choice":
            choice = combo_box("")
            choice.addItems(option.choices if option.default is not None else ("", *option.choices))
            choice.setCurrentText("" if option.default is None else str(option.default))
            choice.currentTextChanged.connect(self.changed)
            return choice
        if self.pick == "model":
            choice = combo_box("")
            choice.setEditable(True)  # a file or a run folder will do as well
            choice.addItems([*([] if option.default else [""]), *available_models()])
            choice.setCurrentText(_written(option.default))
            choice.editTextChanged.connect(self.changed)
            return choice
        line = QLineEdit(_written(option.default))
        line.setMinimumWidth(40)
        line.setPlaceholderText(
            "in the job’s own folder" if self.blank else "needed" if option.required or option.many else "not set"
        )
        line.textChanged.connect(self.changed)
        return line

    @property
    def value(self) -> str:
        """What is there, as words for the command line; "yes" or "" for a box to tick."""
        if isinstance(self.editor, QCheckBox):
            return "yes" if self.editor.isChecked() else ""
        if isinstance(self.editor, QComboBox):
            return str(self.editor.currentText()).strip()
        assert isinstance(self.editor, QLineEdit)
        return str(self.editor.text()).strip()

    def set_value(self, value: str) -> None:
        """Fill it in."""
        if isinstance(self.editor, QCheckBox):
            self.editor.setChecked(bool(value))
        elif isinstance(self.editor, QComboBox):
            self.editor.setCurrentText(value)
        else:
            assert isinstance(self.editor, QLineEdit)
            self.editor.setText(value)

    def words(self) -> list[str]:
        """Words for the command line; none where it is left at its default."""
        value, option = self.value, self.option
        if not value:
            return [*([option.name] if option.name else []), self.blank] if self.blank else []
        if option.kind == "flag":
            return [option.name]
        if not option.required and value == _written(option.default):
            return []
        if option.kind == "named":
            named = [part.partition("=") for part in _parts(value)]
            return [word for name, _, one in named for word in (f"{option.name}.{name}", one)]
        if option.kind == "path":
            value = str(_absolute(value))  # whoever runs it may be in another folder, and no shell reads ~ for a job
        parts = _parts(value) if option.kind in ("numbers", "words") else [value]
        return [option.name, *parts] if option.name else parts

    def check(self) -> str:
        """Say what is wrong with it alone; empty where nothing is."""
        value, option = self.value, self.option
        if not value:
            return "This is needed." if option.required and not self.blank else ""
        if option.kind in ("int", "float", "numbers"):
            parts = _parts(value) if option.kind == "numbers" else [value]
            if option.count > 1 and len(parts) != option.count:
                return f"Give {option.count} numbers with spaces between."
            return next(filter(None, (self._check_number(part) for part in parts)), "")
        if option.kind == "words":
            unknown = next((part for part in _parts(value) if option.choices and part not in option.choices), "")
            return f"“{unknown}” is none of {', '.join(option.choices)}." if unknown else ""
        if option.kind == "named" and not all(re.fullmatch(r"[^=]+=[^=]+", part) for part in _parts(value)):
            return "Write it like width=32, with spaces between several."
        return self._check_path(_absolute(value)) if option.kind == "path" else self._check_model(value)

    def _check_path(self, path: Path) -> str:
        if self.pick in ("file", "slide") and not path.exists():
            return "There is no such file."
        if self.pick in ("folder", "pairs") and not path.exists():
            return "There is no such folder."
        if self.pick == "slide" and slide_kind(path) is None:
            return "This is no slide."
        if self.pick == "pairs" and not _is_pairs(path):
            return "This is no pairs file."
        if self.pick == "save" and not path.parent.is_dir():
            return "The folder to put it in does not exist."
        return ""

    def _check_model(self, value: str) -> str:
        if self.pick == "model":
            try:
                find_model(value)
            except PathSRGANError as error:
                return error.problem
        return ""

    def _check_number(self, text: str) -> str:
        option = self.option
        try:
            number = int(text) if option.kind == "int" else float(text)
        except ValueError:
            return f"“{text}” is no {'whole ' if option.kind == 'int' else ''}number."
        if option.least is not None and number < option.least:
            return f"At least {option.least:g}."
        if option.most is not None and number > option.most:
            return f"At most {option.most:g}."
        return ""

    def show_wrong(self, sentence: str) -> None:
        """Say under the editor what is wrong; nothing for an empty sentence."""
        self.wrong.setText(f"<span style='color: {_WRONG}'>✕</span> {escaped(breakable(sentence))}")
        self.wrong.setVisible(bool(sentence))

    def _browse(self) -> None:
        start = self.value or str(Path.home())
        if self.pick in ("file", "slide"):
            chosen, _ = QFileDialog.getOpenFileName(self, "Choose a file", start)
        elif self.pick == "save":
            chosen, _ = QFileDialog.getSaveFileName(self, "Choose a name", start)
        else:
            chosen = QFileDialog.getExistingDirectory(self, "Choose a folder", start)
        if chosen:
            self.set_value(chosen)


def _without_unit(key: str) -> tuple[str, str]:
    """An option's name without its unit, and the unit, where it has one."""
    if key.startswith("mpp") or key.endswith("mpp"):
        return key.replace("mpp", "pixel size"), "µm/px"
    return next(((key.removesuffix(ending), unit) for ending, unit in _UNITS if key.endswith(ending)), (key, ""))


def _absolute(value: str) -> Path:
    """A path as it was typed, from the home folder on."""
    return Path.home() / Path(value).expanduser()


def _is_pairs(path: Path) -> bool:
    from napari_pathsrgan.registration.pairs import is_pairs_file

    return is_pairs_file(path)


def _parts(value: str) -> list[str]:
    """Several values typed into one line."""
    return value.replace(",", " ").split()


def _written(default: Any) -> str:
    if default is None or isinstance(default, (bool, dict)):
        return ""
    if isinstance(default, (list, tuple)):
        return " ".join(map(_written, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def _tip(option: VerbOption, help_: str) -> str:
    lines = [help_]
    if option.least is not None or option.most is not None:
        bounds = [f"at least {option.least:g}" if option.least is not None else ""]
        bounds.append(f"at most {option.most:g}" if option.most is not None else "")
        lines.append(", ".join(filter(None, bounds)).capitalize() + ".")
    if option.default is not None and not option.required:
        lines.append(f"Default: {_written(option.default) or option.default}")
    if option.name:
        lines.append(option.name)
    return "\n".join(filter(None, lines))
