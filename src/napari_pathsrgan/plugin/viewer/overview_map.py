"""The overview map of the slide, and the magnification and scale bar on the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_pathsrgan.plugin.compare.canvas import CAMERA_PIXEL_UM

if TYPE_CHECKING:
    import napari
    import numpy.typing as npt
    from napari.layers import Layer

_BRIEF_BELOW_PX = 420
"""Width of the canvas below which magnification and scale bar would meet."""
_MARGIN = 0.95
"""Share of the pane that a whole slide takes."""
_COMPUTED = QColor(86, 180, 233, 70)
_FRAME = QColor(230, 159, 0)


class OverviewMap(QWidget):
    """The whole slide with the visible rectangle; a click or drag jumps there.

    Attributes
    ----------
    jumped : Signal(float, float)
        Row and column of the place clicked, µm.
    """

    jumped = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: npt.NDArray[np.uint8] | None = None
        self._pixmap = QPixmap()
        self._computed: QImage | None = None
        self._blocks: npt.NDArray[np.bool_] = np.zeros((0, 0), bool)
        self._shaded: QPixmap | None = None
        self._extent_um = (1.0, 1.0)
        self._computed_extent_um = (1.0, 1.0)
        self._visible_um: tuple[float, float, float, float] | None = None
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setToolTip("The whole slide. The frame is what you see; blue is computed. Click or drag to go there.")

    def sizeHint(self) -> QSize:  # noqa: N802
        """Tall enough to aim at a cell cluster."""
        return QSize(280, 220)

    def set_slide(self, image: npt.NDArray[np.uint8] | None, extent_um: tuple[float, float] = (1.0, 1.0)) -> None:
        """Show a slide.

        Parameters
        ----------
        image : (H, W, 3) uint8 or None
            Overview; None for no slide.
        extent_um : (height, width)
        """
        if image is self._shown:
            return
        self._shown = image
        self._computed = self._visible_um = self._shaded = None
        self._blocks = np.zeros((0, 0), bool)
        self._extent_um = extent_um
        self._pixmap = QPixmap() if image is None else QPixmap.fromImage(_rgb_image(image))
        self.update()

    def set_computed(self, blocks: npt.NDArray[np.bool_], extent_um: tuple[float, float]) -> None:
        """Shade what has been computed: a (rows, cols) mask of blocks and the area it covers, µm."""
        if extent_um == self._computed_extent_um and np.array_equal(blocks, self._blocks):
            return
        self._blocks, self._shaded = blocks, None
        colour = np.array([_COMPUTED.red(), _COMPUTED.green(), _COMPUTED.blue(), _COMPUTED.alpha()], np.uint8)
        rgba = np.ascontiguousarray(blocks[..., None] * colour)
        height, width = blocks.shape
        self._computed = QImage(rgba.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()
        self._computed_extent_um = extent_um
        self.update()

    def set_visible(self, row_um: float, col_um: float, height_um: float, width_um: float) -> None:
        """Frame the part of the slide that a pane shows."""
        rectangle = (row_um, col_um, height_um, width_um)
        if rectangle != self._visible_um:
            self._visible_um = rectangle
            self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw image, shading and frame."""
        if self._pixmap.isNull():
            return
        target = self._target()
        scale = target.width() / self._extent_um[1]
        if self._shaded is None or self._shaded.size() != self.size() * self.devicePixelRatioF():
            self._shaded = self._draw_shaded(target, scale)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._shaded)
        if self._visible_um is not None:
            row, col, height, width = self._visible_um
            frame = QRectF(target.left() + col * scale, target.top() + row * scale, width * scale, height * scale)
            grown = _at_least(frame, 6).intersected(target)
            painter.setPen(QPen(QColor(0, 0, 0, 160), 3))
            painter.drawRect(grown)
            painter.setPen(QPen(_FRAME, 1.5))
            painter.drawRect(grown)

    def _draw_shaded(self, target: QRectF, scale: float) -> QPixmap:
        """Draw image and shading at the size they are shown; kept, since only the frame moves while one pans."""
        ratio = self.devicePixelRatioF()
        drawn = QPixmap(self.size() * ratio)
        drawn.setDevicePixelRatio(ratio)
        drawn.fill(Qt.GlobalColor.transparent)
        painter = QPainter(drawn)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(target, self._pixmap, QRectF(self._pixmap.rect()))
        if self._computed is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
            height, width = self._computed_extent_um
            painter.setClipRect(target)
            shading = QRectF(target.left(), target.top(), width * scale, height * scale)
            painter.drawImage(shading, self._computed, QRectF(self._computed.rect()))
        painter.end()
        return drawn

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Jump."""
        self._jump(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Jump along while dragged."""
        self._jump(event)

    def _jump(self, event: QMouseEvent | None) -> None:
        if event is None or self._pixmap.isNull() or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        target, point = self._target(), QPointF(event.pos())
        col = min(max((point.x() - target.left()) / target.width(), 0.0), 1.0) * self._extent_um[1]
        row = min(max((point.y() - target.top()) / target.height(), 0.0), 1.0) * self._extent_um[0]
        self.jumped.emit(row, col)

    def _target(self) -> QRectF:
        height, width = self._extent_um
        scale = min(self.width() / width, self.height() / height)
        size = width * scale, height * scale
        return QRectF((self.width() - size[0]) / 2, 0, *size)


def _rgb_image(image: npt.NDArray[np.uint8]) -> QImage:
    height, width = image.shape[:2]
    pixels = np.ascontiguousarray(image)
    return QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def _at_least(frame: QRectF, side: float) -> QRectF:
    width, height = max(frame.width(), side), max(frame.height(), side)
    centre = frame.center()
    return QRectF(centre.x() - width / 2, centre.y() - height / 2, width, height)


def visible_um(viewer: napari.Viewer) -> tuple[float, float, float, float]:
    """Part of the slide one pane shows: row, column, height and width, µm."""
    camera = viewer.scene.camera
    height, width = (size / camera.zoom for size in viewer.canvas.viewbox_size(viewer.layers))
    row, col = camera.center[-2:]
    return row - height / 2, col - width / 2, height, width


def go_to(viewer: napari.Viewer, layer: Layer) -> None:
    """Show a layer whole in its pane."""
    (top, left), (bottom, right) = layer.extent.world
    height, width = viewer.canvas.viewbox_size(viewer.layers)
    viewer.scene.camera.center = ((top + bottom) / 2, (left + right) / 2)
    viewer.scene.camera.zoom = _MARGIN * min(height / (bottom - top), width / (right - left))


def magnification_text(um_per_screen_px: float, brief: bool = False) -> str:
    """What the screen shows, in a pathologist's and in a physicist's terms; the former alone where space is scarce."""
    power = f"{CAMERA_PIXEL_UM / um_per_screen_px:.3g}×"
    return power if brief else f"on screen: {power} · {um_per_screen_px:.3g} µm/px"


def show_measures(viewer: napari.Viewer) -> None:
    """Put scale bar and magnification on the canvas."""
    overlays = viewer.canvas.overlays
    overlays.scale_bar.visible = True
    overlays.scale_bar.gridded = False
    overlays.scale_bar.box = True
    overlays.text.visible = True
    overlays.text.position = "bottom_left"
    overlays.text.box = True
    overlays.text.font_size = 9
    update_magnification(viewer)


def update_magnification(viewer: napari.Viewer) -> None:
    """Bring the magnification on the canvas up to date."""
    text = viewer.canvas.overlays.text
    if text.visible:
        text.text = magnification_text(1 / viewer.scene.camera.zoom, viewer.canvas.size[1] < _BRIEF_BELOW_PX)


def hide_measures(viewer: napari.Viewer) -> None:
    """Take them off again: nobody keeps the magnification up to date any more."""
    viewer.canvas.overlays.text.visible = False
