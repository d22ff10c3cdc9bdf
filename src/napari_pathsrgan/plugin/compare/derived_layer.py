"""Shows a layer that is made of two images in their place, and redraws it when one of the two is redrawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

DERIVED_KEY = "pathsrgan_derived"
"""Metadata of a layer that is made of two others."""


class DerivedLayer(QObject):
    """Shows one pair at a time.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    layer : Image or None
        None while nothing is shown.
    """

    def __init__(self, viewer: napari.Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer: Image | None = None
        self._images: tuple[Image, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._refresh)

    @property
    def is_shown(self) -> bool:
        """Whether the layer is there; the user may have removed it."""
        return self.layer is not None and self.layer in self._viewer.layers

    def show(self, derive: Callable[[Image, Image], Image], first: Image, second: Image) -> None:
        """Make the layer and add it."""
        self.layer = derive(first, second)
        self.layer.metadata[DERIVED_KEY] = True
        self._images = first, second
        for image in self._images:
            image.events.set_data.connect(self._on_set_data)
        self._viewer.add_layer(self.layer)

    def remove(self) -> None:
        """Remove the layer, if there is one."""
        self._timer.stop()
        for image in self._images:
            image.events.set_data.disconnect(self._on_set_data)
        self._images = ()
        if self.is_shown:
            self._viewer.layers.remove(self.layer)
        self.layer = None

    def _on_set_data(self, _event: Any = None) -> None:
        self._timer.start(0)

    def _refresh(self) -> None:
        if self.layer is not None:
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)
