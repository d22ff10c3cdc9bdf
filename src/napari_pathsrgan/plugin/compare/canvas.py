"""Access to napari's canvas beyond its models: the widget, the panes, a layer's visual.

napari has no way to say "this layer only left of the cursor". Its clipping planes do nothing for images, and a layer
whose array leaves pixels out has to be sliced, put together and uploaded anew for every step of a drag. So we hang a
filter of vispy's on the visual (`clip_filter`), for which a step costs two numbers. The way there has public names
only, `napari.qt.QtViewer`, `canvas`, `layer_to_visual`, `grid_views`, and all of it is here.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.qt import QtViewer
from qtpy.QtCore import QRectF
from qtpy.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    import napari
    from vispy.scene import ViewBox

CAMERA_PIXEL_UM = 5.86
"""Camera pixel of the paper's scanners: an objective's magnification times its µm per pixel (5.86 for all three)."""


@dataclass(frozen=True)
class Pane:
    """One image's place on the canvas.

    Attributes
    ----------
    layers : tuple of Image
        What is shown in it, the undermost first; without hidden ones.
    box : ViewBox
        Marks made its children are drawn over the images, in pixels from its upper-left corner.
    rect : QRectF
        Where it lies on the canvas, pixels.
    """

    layers: tuple[Image, ...]
    box: ViewBox
    rect: QRectF


class CanvasAccess:
    """Finds a viewer's canvas.

    Parameters
    ----------
    viewer : napari.Viewer
        Or the proxy of it that napari gives to docks.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = getattr(viewer, "__wrapped__", viewer)
        # Weakly: a dock that somebody keeps must not keep the window.
        self._found = weakref.ref(
            next(
                widget
                for widget in QApplication.allWidgets()
                if isinstance(widget, QtViewer) and widget.viewer is self.viewer
            )
        )

    @property
    def _qt_viewer(self) -> QtViewer:
        found = self._found()
        assert found is not None
        return found

    @property
    def widget(self) -> QWidget:
        """What the canvas is drawn on; mouse and keys come here first."""
        native: QWidget = self._qt_viewer.canvas.native
        return native

    def layer_docks(self) -> tuple[QWidget, ...]:
        """Find napari's docks with the layer list and the layer controls."""
        return self._qt_viewer.dockLayerList, self._qt_viewer.dockLayerControls

    def on_draw(self, callback: Callable[[Any], None]) -> None:
        """Call something each time before the canvas is drawn."""
        self._qt_viewer.canvas.events.draw.connect(callback)

    def off_draw(self, callback: Callable[[Any], None]) -> None:
        """Undo `on_draw`."""
        self._qt_viewer.canvas.events.draw.disconnect(callback)

    def redraw(self) -> None:
        """Draw soon; layers are not sliced anew."""
        self.widget.update()

    def slice_now(self) -> None:
        """Have napari slice for what is in sight; called before drawing, for it does so after, and then draws again."""
        self._qt_viewer.canvas.on_draw()

    def panes(self) -> list[Pane]:
        """Panes with something in them, from left to right and top to bottom; one where there is no grid."""
        canvas, layers = self._qt_viewer.canvas, self.viewer.layers
        if not self.viewer.canvas.grid.enabled:
            width, height = canvas.view.rect.size
            return [Pane(_shown(layers), canvas.view, QRectF(0, 0, width, height))]
        found = []
        for (_, indices), box in zip(
            self.viewer.canvas.grid.iter_viewboxes(layers), canvas.grid_views, strict=False
        ):  # as many as there are layers; napari makes the boxes anew a moment later
            shown = _shown([layers[index] for index in indices])
            if shown:
                found.append(Pane(shown, box, QRectF(*box.pos, *box.rect.size)))
        return found

    def visuals(self, layer: Image) -> list[Any]:
        """What draws a layer: one image, several where it is larger than a texture can be, none once it was removed."""
        drawn = self._qt_viewer.canvas.layer_to_visual.get(layer)
        return [] if drawn is None else list(getattr(drawn.node, "adopted_children", [drawn.node]))


def _shown(layers: Any) -> tuple[Image, ...]:
    return tuple(layer for layer in layers if layer.visible and isinstance(layer, Image))
