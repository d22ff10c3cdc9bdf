"""Text from files shown as text: Qt takes whatever resembles HTML for HTML, which may hide, forge and fetch things."""

from __future__ import annotations

import html

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QMessageBox, QWidget

from napari_pathsrgan.text import printable


class PlainLabel(QLabel):
    """A label that shows its text as it is, even where it resembles HTML."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)


class MarkedLabel(QLabel):
    """A label for markup that this program writes; what comes from elsewhere goes through `escaped` first."""

    def __init__(self, markup: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setText(markup)


def escaped(text: str) -> str:
    """Write text so that a `MarkedLabel` or a tool tip shows it as it is."""
    return html.escape("\n".join(map(printable, text.split("\n"))), quote=False)


def plain_tip(text: str) -> str:
    """Write a tool tip that shows text as it is; tool tips have no format that could be set."""
    return f"<qt>{escaped(text).replace(chr(10), '<br>')}</qt>"


def plain_message_box(parent: QWidget, text: str, details: str = "") -> QMessageBox:
    """Make a message box that shows its text as it is; the details are words of ours."""
    box = QMessageBox(parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(printable(text))
    box.setInformativeText(details)
    return box
