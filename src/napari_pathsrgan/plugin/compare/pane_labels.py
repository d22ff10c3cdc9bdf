"""The label in each pane's corner. It is part of the canvas, so it is in every screenshot, whoever takes it.

napari's own name overlay runs out of a narrow pane. Ours breaks between the parts of a name, then between words, takes
smaller letters, and leaves out the middle of what is too long still; but never the word "computed".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter
from qtpy.QtWidgets import QApplication
from vispy.scene.visuals import Image as ImageVisual
from vispy.visuals.transforms import STTransform

if TYPE_CHECKING:
    from vispy.scene import ViewBox

    from napari_pathsrgan.plugin.compare.canvas import CanvasAccess, Pane
    from napari_pathsrgan.plugin.compare.modes import Label

MARGIN_PX, PADDING_PX = 8, 4
LEAST_WIDTH_PX = 24
"""A side of a swipe narrower than this gets no label."""
_BETWEEN, _COMPUTED = " · ", "computed"
_SIZES = (1.0, 0.85, 0.7)
"""Of the application's letters."""
_ORDER = 10**6 + 1
"""Over napari's own overlays."""


class PaneLabels:
    """Keeps the labels on the canvas as they should be; napari makes its panes anew whenever layers change.

    Parameters
    ----------
    canvas : CanvasAccess
    make_labels : callable (Pane) -> sequence of Label
    """

    def __init__(self, canvas: CanvasAccess, make_labels: Callable[[Pane], Sequence[Label]]) -> None:
        self._canvas = canvas
        self._make_labels = make_labels
        self._drawn: dict[tuple[ViewBox, int], tuple[Any, ImageVisual]] = {}
        self.lines: list[tuple[str, ...]] = []

    def update(self) -> None:
        """Draw what has changed; called before each drawing of the canvas."""
        background = np.array(self._canvas.viewer.canvas.background_color)
        font = QApplication.font()
        ratio = self._canvas.widget.devicePixelRatioF()
        seen: dict[tuple[ViewBox, int], tuple[Any, ImageVisual]] = {}
        self.lines = []
        for pane in self._canvas.panes():
            for number, label in enumerate(self._make_labels(pane)):
                lines, fitting = fit_label(label.text, font, label.width_px - 2 * (MARGIN_PX + PADDING_PX))
                if label.width_px < LEAST_WIDTH_PX + 2 * MARGIN_PX or not lines:
                    continue
                drawn = (lines, tuple(background), fitting.toString(), ratio)
                slot = (pane.box, number)
                before, visual = self._drawn.pop(slot, (None, None))
                if before != drawn:
                    visual = _replace(visual, pane.box, draw_label(lines, fitting, background, ratio))
                width = visual.size[0] / ratio
                x = round(pane.rect.width() - MARGIN_PX - width) if label.right else MARGIN_PX
                _place(visual, (1 / ratio, 1 / ratio), (x, MARGIN_PX))
                seen[slot] = (drawn, visual)
                self.lines.append(lines)
        for _, visual in self._drawn.values():
            visual.parent = None
        self._drawn = seen

    def clear(self) -> None:
        """Take all labels away."""
        for _, visual in self._drawn.values():
            visual.parent = None
        self._drawn = {}


def fit_label(text: str, font: QFont, width_px: float) -> tuple[tuple[str, ...], QFont]:
    """Break a name into lines that fit, in smaller letters where it must be.

    Parameters
    ----------
    text : str
        Parts with " · " between them.
    font : QFont
    width_px : float

    Returns
    -------
    lines : tuple of str
        What is too long still lacks its middle; the word "computed" is never left out.
    font : QFont
    """
    for share in _SIZES:
        smaller = QFont(font)
        smaller.setPointSizeF(font.pointSizeF() * share)
        lines, whole = _break(text, QFontMetricsF(smaller), width_px)
        if whole:
            break
    return lines, smaller


def _break(text: str, metrics: QFontMetricsF, width_px: float) -> tuple[tuple[str, ...], bool]:
    def fits(line: str) -> bool:
        return metrics.horizontalAdvance(line) <= width_px

    lines: list[str] = []
    whole = True
    for part in text.split(_BETWEEN):
        between = _BETWEEN
        for word in [part] if fits(part) else part.split(" "):
            if lines and fits(lines[-1] + between + word):
                lines[-1] += between + word
            elif fits(word) or word == _COMPUTED:
                lines.append(word)
            else:
                lines.append(metrics.elidedText(word, Qt.TextElideMode.ElideMiddle, width_px))
                whole = False
            between = " "
    return tuple(line for line in lines if line), whole


def draw_label(
    lines: Sequence[str], font: QFont, background: npt.NDArray[np.float64], ratio: float
) -> npt.NDArray[np.uint8]:
    """Draw lines of text on a box in the canvas's colour.

    Parameters
    ----------
    lines : sequence of str
    font : QFont
    background : (4,) float
        The canvas's colour, 0 to 1.
    ratio : float
        Pixels of the screen per pixel of the window.

    Returns
    -------
    (H, W, 4) uint8
        RGBA, `ratio` times as large as it is shown.
    """
    metrics = QFontMetricsF(font)
    width = max(metrics.horizontalAdvance(line) for line in lines) + 2 * PADDING_PX
    height = metrics.lineSpacing() * len(lines) + PADDING_PX
    image = QImage(int(np.ceil(width * ratio)), int(np.ceil(height * ratio)), QImage.Format.Format_RGBA8888)
    image.setDevicePixelRatio(ratio)
    image.fill(QColor(0, 0, 0, 0))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor.fromRgbF(float(background[0]), float(background[1]), float(background[2]), 0.8))
    painter.drawRoundedRect(QRectF(0, 0, width, height), 3, 3)
    painter.setFont(font)
    painter.setPen(QColor("white") if background[:3].mean() < 0.5 else QColor("black"))
    painter.drawText(QRectF(PADDING_PX, PADDING_PX / 2, width, height), 0, "\n".join(lines))
    painter.end()
    pixels = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return pixels.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width()].copy()


def _replace(visual: ImageVisual | None, box: ViewBox, pixels: npt.NDArray[np.uint8]) -> ImageVisual:
    if visual is not None:
        visual.parent = None
    visual = ImageVisual(pixels, interpolation="nearest", parent=box)
    visual.order = _ORDER
    visual.set_gl_state("translucent", depth_test=False)
    visual.transform = STTransform()
    return visual


def _place(visual: ImageVisual, scale: tuple[float, float], translate: tuple[float, float]) -> None:
    """Move a label where it is to be; for one that is there already, vispy would link its shaders anew all the same."""
    for name, wanted in (("scale", scale), ("translate", translate)):
        if tuple(getattr(visual.transform, name)[:2]) != wanted:
            setattr(visual.transform, name, wanted)
