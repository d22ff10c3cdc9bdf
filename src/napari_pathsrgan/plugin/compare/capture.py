"""Writes what is compared as an image file, with labels, divider and scale bar, for a paper or a message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from qtpy.QtGui import QImage, QPainter

from napari_pathsrgan.atomic_write import atomic_replace
from napari_pathsrgan.errors import OutputError

if TYPE_CHECKING:
    import napari
    import numpy.typing as npt

    from napari_pathsrgan.plugin.compare.canvas_overlay import CanvasOverlay

_DPI = 300


def write_capture(viewer: napari.Viewer, overlay: CanvasOverlay, path: Path) -> Path:
    """Write the canvas as PNG, whole or not at all.

    Parameters
    ----------
    viewer : napari.Viewer
    overlay : CanvasOverlay
        Its divider and lens are drawn over the canvas.
    path : Path
        Gets ``.png`` where it lacks it. A file of that name is replaced.

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
    captured = Image.fromarray(photograph(viewer, overlay))
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
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    pixels = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return pixels.reshape(height, image.bytesPerLine())[:, : 3 * width].reshape(height, width, 3).copy()
