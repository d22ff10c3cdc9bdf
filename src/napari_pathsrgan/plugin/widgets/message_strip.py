"""The strip that says in words what went wrong and offers what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from napari_pathsrgan.errors import PathSRGANError


class MessageStrip(QFrame):
    """One message at a time: a problem stays until it is dismissed or solved, a notice as well but without alarm."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("pathsrganMessage")
        self._symbol = MarkedLabel()
        self._text = PlainLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.action = QPushButton()
        self._then: Callable[[], None] | None = None
        self.action.clicked.connect(self._act)
        dismiss = QToolButton()
        dismiss.setText("✕")
        dismiss.setAutoRaise(True)
        dismiss.setToolTip("Dismiss")
        dismiss.clicked.connect(self.hide)
        row = QHBoxLayout()
        row.addWidget(self._symbol, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._text, 1)
        row.addWidget(dismiss, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 4, 6)
        layout.addLayout(row)
        layout.addWidget(self.action, 0, Qt.AlignmentFlag.AlignRight)
        self.hide()

    def show_problem(self, error: PathSRGANError, action: str = "", then: Callable[[], None] | None = None) -> None:
        """Say what is wrong, and offer a remedy as a button where there is one."""
        self._show("⚠", str(error), "#d55e00", action, then)

    def show_notice(self, text: str) -> None:
        """Say what happened, without alarm."""
        self._show("i", text, "#56b4e9", "", None)

    @property
    def text(self) -> str:
        """The message shown; empty when none is."""
        return self._text.text() if self.isVisibleTo(self.parentWidget()) else ""

    def _show(self, symbol: str, text: str, colour: str, action: str, then: Callable[[], None] | None) -> None:
        self._symbol.setText(f"<b style='color: {colour}'>{symbol}</b>")
        self._text.setText(printable(text))
        self.setStyleSheet(f"#pathsrganMessage {{ border-left: 3px solid {colour}; }}")
        self.action.setText(action)
        self.action.setVisible(bool(action))
        self._then = then
        self.show()

    def _act(self) -> None:
        self.hide()
        if self._then is not None:
            self._then()
