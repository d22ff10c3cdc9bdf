"""The layer that shows a difference: made when it is asked for, drawn anew when one of its two pictures is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_pathsrgan.plugin.compare.difference_levels import difference_levels
from napari_pathsrgan.plugin.compare.pane_labels import short_name
from napari_pathsrgan.plugin.layers.names import safe_name
from napari_pathsrgan.plugin.layers.preview_layer import LiveImage

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

DIFFERENCE_KEY = "pathsrgan_difference"
"""Metadata of the layer that shows a difference."""
_LIMITS = (0.0, 64.0)
"""Grey levels from black to bright at first: a quarter of what there is, for most differences are small."""


class DifferenceLayer(QObject):
    """Shows how much two pictures differ, one pair at a time.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    layer : Image or None
        What shows it; None while nothing does.
    """

    def __init__(self, viewer: napari.Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer: Image | None = None
        self._pictures: tuple[Image, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._refresh)

    @property
    def seen(self) -> bool:
        """Whether the layer is there; the user may have removed it."""
        return self.layer is not None and self.layer in self._viewer.layers

    def show(self, first: Image, second: Image) -> None:
        """Add the layer."""
        levels, pixel_um, corner_um = difference_levels(first, second)
        self.layer = LiveImage(
            levels,
            name=f"Difference · {safe_name(short_name(first))} − {safe_name(short_name(second))} · grey levels",
            scale=pixel_um,
            translate=corner_um + pixel_um / 2,
            units=first.units,
            colormap="inferno",
            contrast_limits=_LIMITS,
            interpolation2d="linear",
            metadata={DIFFERENCE_KEY: True, "progressive_loader": False},
        )
        self.layer.contrast_limits_range = (0, 255)
        self.layer.colorbar.visible = True
        self._pictures = first, second
        for picture in self._pictures:
            picture.events.set_data.connect(self._note_pixels)
        self._viewer.add_layer(self.layer)

    def drop(self) -> None:
        """Remove the layer, if there is one."""
        self._timer.stop()
        for picture in self._pictures:
            picture.events.set_data.disconnect(self._note_pixels)
        self._pictures = ()
        if self.seen:
            self._viewer.layers.remove(self.layer)
        self.layer = None

    def _note_pixels(self, _event: Any = None) -> None:
        self._timer.start(0)

    def _refresh(self) -> None:
        self.layer.refresh(thumbnail=False, extent=False, highlight=False)
