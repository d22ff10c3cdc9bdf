"""One field of a form: an option of a command, edited by a widget of magicgui, above its help or what is wrong."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from magicgui.widgets import CheckBox, ComboBox, FileEdit, SpinBox, create_widget
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from napari_pathsrgan.commands.command import ModelName, PathTo, TypedAs
from napari_pathsrgan.commands.option_text import option_help, option_name
from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.jobs.listing import breakable
from napari_pathsrgan.jobs.record import RESULT
from napari_pathsrgan.models.zoo import available_models, find_model
from napari_pathsrgan.plugin.widgets.narrow_layout import follow_letters
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped, plain_tip
from napari_pathsrgan.registration.pairs import is_pairs_file
from napari_pathsrgan.slides.slide_kind import slide_kind

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from napari_pathsrgan.commands.command import FormField, Options

REQUIRED = "This is required."
_UNITS = (("_um", "µm"), ("_px", "px"), ("_s", "s"), ("_gb", "GB"))
_WRONG = "#d55e00"
_WIDEST_INT = 2**31 - 1
_FILE_MODES = {"file": "r", "slide": "r", "folder": "d", "pairs": "d", "new": "w"}
_NO_SUCH = {"file": "There is no such file.", "slide": "There is no such file."}


class OptionRow(QWidget):
    """Label, editor, unit, and under them help or what is wrong.

    Parameters
    ----------
    options : type
        Of the command.
    hints : FormField
        Name of the option, and how the form shows it.

    Attributes
    ----------
    changed : Signal()
    """

    changed = Signal()

    def __init__(self, options: type[Options], hints: FormField) -> None:
        super().__init__()
        self.key, self.in_job = hints.option, hints.in_job
        self.about: FieldInfo = options.model_fields[self.key]
        self.kind, self.optional = _without_none(self.about.annotation)
        self.path = next((mark for mark in self.about.metadata if isinstance(mark, PathTo)), None)
        self.several = get_origin(self.kind) is tuple and get_args(self.kind)[0] is Path
        self.required = (self.about.is_required() or self.several) and not self.in_job
        own, unit = _without_unit(self.key)
        self.label = hints.label or own.replace("_", " ").capitalize()
        self.widget = self._make_widget()
        self.editor: QWidget = self.widget.line_edit.native if isinstance(self.widget, FileEdit) else self.widget.native
        help_ = (hints.help or option_help(options)[self.key]).replace("`", "")
        self.editor.setToolTip(plain_tip(_tip(self.about, help_, option_name(options, self.key))))
        self.editor.setAccessibleName(self.label)
        self._set_placeholder()
        self._lay_out(unit, help_)
        self.widget.changed.connect(lambda *_: self.changed.emit())

    # ------------------------------------------------------------------ looks

    def _make_widget(self) -> Any:  # magicgui's classes differ too much in their methods for one type
        """Have magicgui choose the editor by the option's type; what is typed as text has a line."""
        kind, choices = self._shown_as()
        settings: dict[str, Any] = {"choices": choices} if choices else {}
        if kind is int:
            settings = {"min": -_WIDEST_INT, "max": _WIDEST_INT}  # bounds are checked, not enforced unseen
        if kind is Path and self.path is not None:
            settings = {"mode": _FILE_MODES[self.path.kind], "filter": self.path.filter or None, "nullable": True}
        widget: Any = create_widget(annotation=kind, name=self.key, label="", options=settings)
        native = widget.native
        if isinstance(widget, FileEdit):
            widget.choose_btn.text = "…"
            widget.choose_btn.native.setMaximumWidth(40)
            native = widget.line_edit.native
            follow_letters(widget.choose_btn.native)
        if isinstance(native, QComboBox):
            native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            native.setMinimumContentsLength(8)
            native.setEditable(self._is_model())  # a file or a run folder will do as well
            if self._is_model():
                native.editTextChanged.connect(lambda _: self.changed.emit())
        native.setMinimumWidth(40)
        native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        follow_letters(native)
        return widget

    def _shown_as(self) -> tuple[Any, list[Any]]:
        """The type that magicgui is given, and what can be chosen."""
        if get_origin(self.kind) is Literal:
            return str, [*([("", None)] if self.optional else []), *((str(one), one) for one in get_args(self.kind))]
        if self._is_model():
            return str, [*([("", None)] if self.optional else []), *((name, name) for name in available_models())]
        if self._typed_as_one():
            return str, []
        if self.several or self.kind is Path:
            return Path, []
        return (self.kind if self.kind in (bool, int) and not self.optional else str), []

    def _is_model(self) -> bool:
        return any(isinstance(mark, ModelName) for mark in self.about.metadata)

    def _typed_as_one(self) -> bool:
        return any(isinstance(mark, TypedAs) for mark in self.about.metadata)

    def _set_placeholder(self) -> None:
        if hasattr(self.editor, "setPlaceholderText"):
            empty = "in the job’s own folder" if self.in_job else "required" if self.required else "not set"
            self.editor.setPlaceholderText(empty)

    def _lay_out(self, unit: str, help_: str) -> None:
        required = " <small>· required</small>" if self.required else ""
        name = MarkedLabel(f"{escaped(self.label)}{required}")
        self.help = MarkedLabel(f"<small>{escaped(breakable(help_))}</small>")
        self.wrong = MarkedLabel("&nbsp;")
        for label in (name, self.help, self.wrong):
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.widget.native, 1)
        if unit:
            line.addWidget(PlainLabel(unit))
        below = QWidget()
        self._below = QStackedLayout(below)  # as high as the higher of the two, so that nothing jumps
        self._below.addWidget(self.help)
        self._below.addWidget(self.wrong)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(2)
        column.addWidget(name)
        column.addLayout(line)
        column.addWidget(below)

    def show_wrong(self, sentence: str) -> None:
        """Show what is wrong in place of the help; the help for an empty sentence."""
        if sentence:
            self.wrong.setText(f"<span style='color: {_WRONG}'>✕ {escaped(breakable(sentence))}</span>")
        self._below.setCurrentWidget(self.wrong if sentence else self.help)

    @property
    def problem_shown(self) -> str:
        """What is said to be wrong; empty where nothing is."""
        return self.wrong.text() if self._below.currentWidget() is self.wrong else ""

    # ------------------------------------------------------------------ values

    @property
    def text(self) -> str:
        """What is typed or chosen, as text."""
        if isinstance(self.widget, FileEdit):
            return str(self.widget.line_edit.value).strip()
        if isinstance(self.widget, ComboBox):
            return str(self.widget.native.currentText()).strip()
        return str(self.widget.value).strip()

    @property
    def value(self) -> Any:
        """What the option is given, as JSON; None where it is left empty."""
        if isinstance(self.widget, (CheckBox, SpinBox)):
            return self.widget.value
        text = self.text
        if not text:
            return f"{RESULT}/{self.in_job}" if self.in_job else None
        if self.several or self.kind is Path:
            return str(Path.home() / Path(text).expanduser())  # no shell reads ~ for a job
        if get_origin(self.kind) is dict:
            return {name: one for name, _, one in (part.partition("=") for part in _parts(text))}
        return _parts(text) if get_origin(self.kind) is tuple and not self._typed_as_one() else text

    def set_value(self, value: Any) -> None:
        """Fill the field in; its signal is not sent."""
        with QSignalBlocker(self):
            if isinstance(self.widget, (CheckBox, SpinBox)):
                self.widget.value = value
            elif isinstance(self.widget, FileEdit):
                self.widget.line_edit.value = _written(value)
            elif isinstance(self.widget, ComboBox):
                self.widget.native.setCurrentText(_written(value))
            else:
                self.widget.value = _written(value)

    def check(self) -> str:
        """Say what is wrong with what is typed, beside what the options model checks; empty where nothing is."""
        text = self.text
        if not text or isinstance(self.widget, (CheckBox, SpinBox)):
            return ""
        if get_origin(self.kind) is dict and not all(re.fullmatch(r"[^=]+=[^=]+", part) for part in _parts(text)):
            return "Write it like width=32, with spaces between several."
        if self._is_model():
            return _check_model(text)
        return self._check_path(Path(str(self.value))) if self.path and not self._typed_as_one() else ""

    def _check_path(self, path: Path) -> str:
        assert self.path is not None
        if self.path.kind == "new":
            return "" if path.parent.is_dir() else "Its folder does not exist."
        if not path.exists():
            return _NO_SUCH.get(self.path.kind, "There is no such folder.")
        if self.path.kind == "slide" and slide_kind(path) is None:
            return "This is no slide."
        return "This is no pairs file." if self.path.kind == "pairs" and not is_pairs_file(path) else ""


def _check_model(name: str) -> str:
    try:
        find_model(name)
    except PathSRGANError as error:
        return error.problem
    return ""


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """An option's type without None, and whether it may be None."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return inner[0], len(inner) < len(get_args(annotation))
    return annotation, False


def _without_unit(key: str) -> tuple[str, str]:
    """An option's name without its unit, and the unit, where it has one."""
    if key.startswith("mpp") or key.endswith("mpp"):
        return key.replace("mpp", "pixel size"), "µm/px"
    return next(((key.removesuffix(ending), unit) for ending, unit in _UNITS if key.endswith(ending)), (key, ""))


def _parts(text: str) -> list[str]:
    """Several values typed into one line."""
    return text.replace(",", " ").split()


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_written(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tip(about: FieldInfo, help_: str, name: str) -> str:
    bounds = [
        f"{words} {getattr(rule, limit):g}"
        for rule in about.metadata
        for limit, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))
        if hasattr(rule, limit)
    ]
    default = "" if about.is_required() else _written(about.get_default(call_default_factory=True))
    lines = [help_, f"{', '.join(bounds).capitalize()}." if bounds else "", f"Default: {default}" if default else ""]
    return "\n".join(filter(None, [*lines, name if name.startswith("--") else ""]))
