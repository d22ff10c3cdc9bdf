"""The first page of a review, with what to judge and examples, and the last, which thanks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QGridLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_pathsrgan.plugin.review.image_view import to_qimage
from napari_pathsrgan.plugin.review.rating_page import WORDS
from napari_pathsrgan.plugin.widgets.plain_text import PlainLabel

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

_HOW = {
    "single": "Press 1 to 5, or the buttons: 1 bad, 2 poor, 3 fair, 4 good, 5 excellent.",
    "pair": "Press ← or 1 if the left one is better, → or 3 if the right one is, ↓ or 2 if there is no difference.",
}
_EXAMPLE_PX = 440
"""Longest side of an example on the screen, so that the two ends of the scale lie beside each other: its middle."""
_RULES = (
    "Every rating is saved at once: stop whenever you like and continue later. Your first impression is the right one;"
    " ⌫ goes back to correct it. Where you can't judge, say so with 0."
)


class FirstPage(QWidget):
    """What to judge, how, and examples of the scale's ends.

    Parameters
    ----------
    title, question : str
    mode : {"single", "pair"}
    anchors : sequence of (int, (rows, cols, 3) uint8)
        Examples: score and image.
    zoom : int
        Of the examples; that of the images to rate.
    going_on : bool
        Whether the rater has been here before.

    Attributes
    ----------
    begun : Signal()
    """

    begun = Signal()

    def __init__(
        self, title: str, question: str, mode: str, anchors: Sequence[tuple[int, Pixels]], zoom: int, going_on: bool
    ) -> None:
        super().__init__()
        self.begin = QPushButton("Continue" if going_on else "Begin")
        self.begin.setObjectName("begin")
        self.begin.setMinimumSize(160, 44)
        self.begin.clicked.connect(self.begun)
        inside = QWidget()
        lines = QVBoxLayout(inside)
        lines.setSpacing(14)
        lines.addWidget(_words(title, "title"))
        for text in (question, _HOW[mode], _RULES):
            lines.addWidget(_words(text))
        lines.addWidget(self.begin, 0, Qt.AlignmentFlag.AlignLeft)
        if anchors:
            lines.addWidget(_words("Examples of the two ends of the scale:"))
            lines.addLayout(_examples(anchors, zoom))
        lines.addStretch()
        scrolled = QScrollArea()
        scrolled.setWidgetResizable(True)
        scrolled.setWidget(inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(40, 30, 40, 10)
        layout.addWidget(scrolled)


class LastPage(QWidget):
    """Says thank you, and nothing of what the ratings were about.

    Attributes
    ----------
    back_asked : Signal()
        The rater wants to correct the last one.
    closed : Signal()
    """

    back_asked = Signal()
    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.thanks = _words("", "title")
        self.thanks.setAlignment(Qt.AlignmentFlag.AlignCenter)
        done = QPushButton("Close")
        done.setMinimumSize(160, 44)
        done.clicked.connect(self.closed)
        back = QPushButton("Back to the last image")
        back.clicked.connect(self.back_asked)
        layout = QVBoxLayout(self)
        layout.addStretch()
        layout.addWidget(self.thanks)
        for button in (done, back):
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignCenter)
        layout.addStretch()

    def thank(self, rater: str, total: int) -> None:
        """Say how many are rated and saved."""
        self.thanks.setText(f"Thank you, {rater}.\nAll {total} are rated and saved.")


def _examples(anchors: Sequence[tuple[int, Pixels]], zoom: int) -> QGridLayout:
    """The bad ones on the left, the excellent ones on the right, at the zoom of those to rate."""
    grid = QGridLayout()
    grid.setSpacing(16)
    below = {score: 1 for score, _ in anchors}
    for column, score in enumerate(sorted(below)):
        grid.addWidget(_words(f"{score} · {WORDS[score]}"), 0, column)
        for own, image in anchors:
            if own == score:
                example = PlainLabel()
                example.setPixmap(QPixmap.fromImage(_middle(to_qimage(image), max(1, _EXAMPLE_PX // zoom), zoom)))
                grid.addWidget(example, below[score], column)
                below[score] += 1
    grid.setColumnStretch(len(below), 1)
    return grid


def _middle(image: QImage, side: int, zoom: int) -> QImage:
    """Cut out what is in the middle, at most so many pixels a side, and enlarge it."""
    width, height = min(side, image.width()), min(side, image.height())
    cut = image.copy((image.width() - width) // 2, (image.height() - height) // 2, width, height)
    return cut.scaled(cut.size() * zoom)


def _words(text: str, name: str = "words") -> PlainLabel:
    label = PlainLabel(text)
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
