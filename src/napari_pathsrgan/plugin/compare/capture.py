"""Writes what is compared as an image file, with labels, divider and scale bar, for a paper or a message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QFontMetrics, QImage, QPainter
from qtpy.QtWidgets import QApplication

from napari_pathsrgan.atomic_write import atomic_replace
from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    import napari
    import numpy.typing as npt

    from napari_pathsrgan.plugin.compare.canvas_overlay import CanvasOverlay

_DPI = 300
NOT_FOR_DIAGNOSIS = "not for diagnosis"
_PADDING_PX = 4


def write_capture(viewer: napari.Viewer, overlay: CanvasOverlay, path: Path, slide: str = "") -> Path:
    """Write the canvas as PNG, whole or not at all.

    Parameters
    ----------
    viewer : napari.Viewer
    overlay : CanvasOverlay
        Its divider and lens are drawn over the canvas.
    path : Path
        Gets ``.png`` where it lacks it. A file of that name is replaced.
    slide : str
        Name of the slide, for the line below the image that also says that it is not for diagnosis.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    OutputError
        If it can't be.
    """
    path = path if path.suffix.lower() == ".png" else path.with_name(f"{path.name}.png")
    canvas = photograph(viewer, overlay)
    caption = draw_caption(" · ".join(filter(None, (printable(slide), NOT_FOR_DIAGNOSIS))), canvas.shape[1])
    captured = Image.fromarray(np.vstack([canvas, caption]))
    try:
        with atomic_replace(path) as partial:
            captured.save(partial, format="PNG", dpi=(_DPI, _DPI))
    except OSError as error:
        raise OutputError(
            f"{path.name} can't be written: {error.strerror or error}.", "Free some space, or choose another folder."
        ) from error
    return path


def photograph(viewer: napari.Viewer, overlay: CanvasOverlay) -> npt.NDArray[np.uint8]:
    """Draw the canvas as it is seen, without the screen's own magnification: (H, W, 3) uint8."""
    text = viewer.canvas.overlays.text
    shown, text.visible = text.visible, False
    try:
        canvas = np.ascontiguousarray(viewer.screenshot(canvas_only=True, flash=False))
    finally:
        text.visible = shown
    height, width = canvas.shape[:2]
    image = QImage(canvas.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888).convertToFormat(
        QImage.Format.Format_ARGB32_Premultiplied
    )
    painter = QPainter(image)
    shown_width, shown_height = overlay.canvas_size
    painter.scale(width / shown_width, height / shown_height)
    overlay.draw_edges(painter)
    painter.end()
    return _pixels(image)


def draw_caption(text: str, width: int) -> npt.NDArray[np.uint8]:
    """Draw a line of black text on white, without its end where it is too long: (H, width, 3) uint8."""
    metrics = QFontMetrics(QApplication.font())
    image = QImage(width, metrics.height() + 2 * _PADDING_PX, QImage.Format.Format_RGB888)
    image.fill(Qt.GlobalColor.white)
    painter = QPainter(image)
    painter.setFont(QApplication.font())
    line = QRectF(_PADDING_PX, 0, width - 2 * _PADDING_PX, image.height())
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, int(line.width()))
    painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, shown)
    painter.end()
    return _pixels(image)


def _pixels(image: QImage) -> npt.NDArray[np.uint8]:
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    height, width = image.height(), image.width()
    pixels = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return pixels.reshape(height, image.bytesPerLine())[:, : 3 * width].reshape(height, width, 3).copy()
