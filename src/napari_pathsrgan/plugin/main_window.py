"""Opens the window from the command line: a slide in three panes, or a registration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.inference.tile_service import ComputeSettings
from napari_pathsrgan.models.zoo import model_card
from napari_pathsrgan.plugin.layers.scan_layer import slide_layer
from napari_pathsrgan.plugin.registration.registration_widget import RegistrationWidget
from napari_pathsrgan.plugin.viewer.super_resolution_widget import SuperResolutionWidget
from napari_pathsrgan.registration.pairs import PairsFile, is_pairs_file
from napari_pathsrgan.slides.open_slide import open_slide

if TYPE_CHECKING:
    import napari


def open_window(
    path: Path, mpp: float | None, model: str | Path, settings: ComputeSettings, name: str = ""
) -> tuple[napari.Viewer, SuperResolutionWidget]:
    """Open a viewer with a slide and the super-resolution dock.

    Parameters
    ----------
    path : Path
    mpp : float, optional
        Pixel size, for slides that don't say it, µm.
    model : str or Path
        See `models.zoo.find_model`.
    settings : ComputeSettings
    name : str
        What the user knows the slide by; the file's name otherwise.

    Raises
    ------
    PathSRGANError
        If slide or model can't be used; there is no window then.
    """
    import napari

    model_card(model)
    slide = open_slide(path, mpp)
    data, parameters, _ = slide_layer(slide, name)
    viewer = napari.Viewer(title=f"{name or path.name} · PathSRGAN")
    viewer.add_image(data, **parameters)
    widget = SuperResolutionWidget(viewer, settings, model)
    viewer.window.add_dock_widget(widget, name="Super-resolution", area="right")
    viewer.fit_to_view()
    return viewer, widget


def view(
    path: Path,
    mpp: float | None = None,
    model: str | Path = "lite",
    device: str = "auto",
    precision: str = "auto",
    backend: str = "auto",
) -> None:
    """Open a slide, or the registration in a pairs file, and stay until the window is closed.

    Parameters
    ----------
    path : Path
        A slide or a pairs file.
    mpp, model
        See `open_window`.
    device, precision, backend : str
        See `inference.engine.Engine`.

    Raises
    ------
    PathSRGANError
        If slide or model can't be used, or there is no screen.
    """
    import napari

    from napari_pathsrgan.errors import ScreenError
    from napari_pathsrgan.plugin.widgets.screen import has_screen

    if not has_screen():
        raise ScreenError(
            "There is no screen to open the window on.",
            "Run `pathsrgan upscale` for a file, or `pathsrgan demo`, which makes images without a screen.",
        )
    widget: SuperResolutionWidget | RegistrationWidget
    if is_pairs_file(path):
        PairsFile(path)  # an error about another version is raised here, not in the window
        viewer = napari.Viewer(title=f"{path.name} · PathSRGAN")
        widget = RegistrationWidget(viewer, path)
        viewer.window.add_dock_widget(widget, name="Registration", area="right")
    else:
        _, widget = open_window(path, mpp, model, ComputeSettings(device=device, precision=precision, backend=backend))
    try:
        napari.run()
    finally:
        widget.end()
