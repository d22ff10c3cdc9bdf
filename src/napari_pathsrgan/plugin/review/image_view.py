"""Images on neutral grey, at one zoom for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

_GAP_PX = 32
_MARGIN_PX = 16
_NOTE_PT = 14


def to_qimage(image: Pixels) -> QImage:
    """Copy (rows, cols, 3) uint8 to an image of Qt's."""
    rows, cols = image.shape[:2]
    return QImage(image.tobytes(), cols, rows, 3 * cols, QImage.Format.Format_RGB888).copy()


class PatchView(QWidget):
    """Shows one image, or two side by side; never smaller or larger than the size given.

    Parameters
    ----------
    rows, cols : int
        Size of every image, in its own pixels.
    side_by_side : int
        How many are shown at a time.
    zoom : int
        Screen pixels for each of theirs. Screens that count in points of two or more pixels show each so much larger.
    grey : int
        Level of the background, 0 to 255.
    """

    def __init__(
        self, rows: int, cols: int, side_by_side: int = 1, zoom: int = 1, grey: int = 128, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.background = QColor(grey, grey, grey)
        self._size = QSize(cols * zoom, rows * zoom)
        self._count = side_by_side
        self._images: list[QImage] = []
        self.note = ""
        self.setMinimumSize(self.sizeHint())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Room for the images and a margin."""
        width = self._count * self._size.width() + (self._count - 1) * _GAP_PX
        return QSize(width + 2 * _MARGIN_PX, self._size.height() + 2 * _MARGIN_PX)

    def show_images(self, images: Sequence[Pixels]) -> None:
        """Show images of (rows, cols, 3) uint8, from left to right."""
        self.note = ""
        self._images = [to_qimage(image) for image in images]
        self.update()

    def show_note(self, text: str) -> None:
        """Show words in place of images."""
        self._images = []
        self.note = text
        self.update()

    def image_rects(self) -> list[QRect]:
        """Where the images are, from left to right."""
        width = self._count * self._size.width() + (self._count - 1) * _GAP_PX
        left, top = (self.width() - width) // 2, (self.height() - self._size.height()) // 2
        step = self._size.width() + _GAP_PX
        return [
            QRect(left + place * step, top, self._size.width(), self._size.height()) for place in range(self._count)
        ]

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the background and what is shown."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.background)
        for rect, image in zip(self.image_rects(), self._images, strict=False):
            painter.drawImage(rect, image)
        if self.note:
            painter.setPen(Qt.GlobalColor.white)
            font = painter.font()
            font.setPointSize(_NOTE_PT)
            painter.setFont(font)
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.note)
