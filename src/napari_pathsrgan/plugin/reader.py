"""npe2 reader: a slide as one pyramid layer in µm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathsrgan.plugin.panes import NAME_KEY

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide

SLIDE_KEY = "pathsrgan_slide"
"""Metadata of a slide's own layer: {"path": str, "mpp": float, "name": str}."""

LayerTuple = tuple[Any, dict[str, Any], str]


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerTuple]] | None:
    """Return our reader for a slide, fast; None for what is no slide.

    Parameters
    ----------
    path : str or list of str
        What the user dropped; of a list, each file becomes a layer.
    """
    from napari_pathsrgan.slides.open_slide import slide_kind

    paths = [path] if isinstance(path, str) else path
    return read_slides if paths and all(slide_kind(one) for one in paths) else None


def read_slides(path: str | list[str]) -> list[LayerTuple]:
    """Open slides as layers.

    Raises
    ------
    PathSRGANError
        With what is wrong and what to do; napari shows it as a notification.
    """
    from napari_pathsrgan.plugin.mpp_dialog import open_asking

    return [slide_layer(open_asking(Path(one))) for one in ([path] if isinstance(path, str) else path)]


def slide_layer(slide: Slide, name: str = "") -> LayerTuple:
    """Describe a slide's own pixels as a napari layer.

    Parameters
    ----------
    slide : Slide
    name : str
        What the user knows it by; the file's name otherwise.

    Returns
    -------
    tuple
        A list of dask levels, the layer's parameters (µm, corner of the slide at 0), and "image".
    """
    power = f"{slide.objective_power:g}×" if slide.objective_power else f"{5.86 / slide.mpp:.0f}×"
    row_mpp, col_mpp = slide.pixel_size_um
    label = f"{power} scan · {slide.mpp:.3f} µm/px"
    parameters = {
        "name": label,
        "multiscale": True,
        "rgb": True,
        "scale": (row_mpp, col_mpp),
        "translate": (row_mpp / 2, col_mpp / 2),
        "units": ("um", "um"),
        "interpolation2d": "linear",
        "metadata": {
            SLIDE_KEY: {"path": str(slide.path), "mpp": slide.mpp, "name": name or slide.path.stem},
            NAME_KEY: label,
            "reader": slide.reader,
            "progressive_loader": False,
        },
    }
    return slide.pyramid(), parameters, "image"
