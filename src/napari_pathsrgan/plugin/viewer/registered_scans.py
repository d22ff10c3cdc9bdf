"""The registered scans of one viewer: added to a slide, moved into place, closed when they are removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_pathsrgan.plugin.layers.names import OF_SLIDE_KEY, slide_of
from napari_pathsrgan.plugin.layers.registered_scan import RegisteredScan, open_registered
from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY
from napari_pathsrgan.plugin.viewer.redraw_timer import SETTLED_MS

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Layer

    from napari_pathsrgan.plugin.viewer.slide_view_model import SlideViewModel


class RegisteredScans(QObject):
    """Scans laid on slides.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._scans: list[tuple[Layer, RegisteredScan]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._fit)
        camera = viewer.scene.camera.events
        self._connected = (
            (camera.center, self._on_camera),
            (camera.zoom, self._on_camera),
            (viewer.layers.events.removed, self._on_removed),
        )
        for event, callback in self._connected:
            event.connect(callback)

    def layers(self, source: Layer) -> list[Image]:
        """Scans of a slide, the coarsest first."""
        return [scan.layer for own, scan in self._scans if own == source]

    def add(self, shown: SlideViewModel, path: Path) -> None:
        """Add the scans that a slide was registered with; those that were added before are replaced.

        Raises
        ------
        PathSRGANError
            See `registered_scan.open_registered`; nothing has changed then.
        """
        name = shown.source.metadata[SLIDE_KEY]["name"]
        scans = open_registered(path, shown.slide.fingerprint, name)
        for layer in self.layers(shown.source):
            self._viewer.layers.remove(layer)
        for scan in scans:
            scan.layer.metadata[OF_SLIDE_KEY] = slide_of(shown.source)  # it is compared with that slide's views
            self._scans.append((shown.source, scan))
            self._viewer.add_layer(scan.layer)
        self._fit()

    def close(self, remove: bool) -> None:
        """Close the files; the layers, which show nothing any more, go too where the window stays."""
        self._timer.stop()
        for event, callback in self._connected:
            event.disconnect(callback)
        scans, self._scans = self._scans, []
        for _, scan in scans:
            if remove and scan.layer in self._viewer.layers:
                self._viewer.layers.remove(scan.layer)
            scan.close()

    def _on_camera(self, _event: Any = None) -> None:
        if self._scans:
            self._timer.start(SETTLED_MS)

    def _fit(self) -> None:
        for _, scan in self._scans:
            scan.fit(self._viewer.scene.camera.center[-2:])

    def _on_removed(self, event: Any) -> None:
        for entry in [(source, scan) for source, scan in self._scans if event.value in (source, scan.layer)]:
            self._scans.remove(entry)
            if event.value is entry[1].layer:
                entry[1].close()
            else:  # the slide: napari has not finished with it
                QTimer.singleShot(0, lambda scan=entry[1]: self._take_off(scan))

    def _take_off(self, scan: RegisteredScan) -> None:
        if scan.layer in self._viewer.layers:
            self._viewer.layers.remove(scan.layer)
        scan.close()
