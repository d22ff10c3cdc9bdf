"""What is open in the window, for the suggestions of forms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.commands.command import OpenLayers, OpenSlide
from napari_pathsrgan.jobs.listing import JobList
from napari_pathsrgan.jobs.record import State
from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY
from napari_pathsrgan.plugin.registration.registration_widget import RegistrationWidget
from napari_pathsrgan.plugin.viewer.pixel_size_dialog import remembered_mpp
from napari_pathsrgan.registration.pairs import is_pairs_file

if TYPE_CHECKING:
    import napari


def open_layers(viewer: napari.Viewer) -> OpenLayers:
    """Describe the slides and the pairs file that are open.

    Parameters
    ----------
    viewer : napari.Viewer
    """
    return OpenLayers(_slides(viewer), _pairs(viewer))


def _slides(viewer: napari.Viewer) -> tuple[OpenSlide, ...]:
    layers = [layer for layer in viewer.layers if SLIDE_KEY in layer.metadata]
    layers.sort(key=lambda layer: layer not in viewer.layers.selection)
    sizes = {Path(layer.metadata[SLIDE_KEY]["path"]): float(layer.metadata[SLIDE_KEY]["mpp"]) for layer in layers}
    return tuple(OpenSlide(path, mpp, remembered_mpp(path) is not None) for path, mpp in sizes.items())


def _pairs(viewer: napari.Viewer) -> Path | None:
    """The pairs file in the dock *Registration*, or the newest one that a job has written."""
    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, RegistrationWidget) and widget.pairs is not None:
            return widget.pairs.path
    written = (job.out for job in JobList().read() if job.state is State.DONE)
    return next((out for out in written if out is not None and out.is_dir() and is_pairs_file(out)), None)
