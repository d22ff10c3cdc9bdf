"""A slide's own pixels, or those of a computed image file, as a napari layer in µm."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_pathsrgan.plugin.layers.names import LABEL_KEY, NAME_KEY, OF_SLIDE_KEY, pixel_size, safe_name

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_pathsrgan.errors import SlideUnreadableError
    from napari_pathsrgan.slides.computed import Computed
    from napari_pathsrgan.slides.slide import Slide

SLIDE_KEY = "pathsrgan_slide"
"""Metadata of a scan's own layer: {"path": str, "mpp": float, "given_mpp": float or None, "name": str,
"fingerprint": str}."""
COMPUTED_KEY = "pathsrgan_computed"
"""Metadata of a computed image's or map's layer: {"kind": "image" or "map", "model": str, "complete": bool,
"areas_um": list of (row, col, height, width)}."""

QUIET_S = 60.0
"""How long nothing more is said of a part of a scan that can't be read."""

LayerTuple = tuple[Any, dict[str, Any], str]


def slide_layer(slide: Slide, name: str = "") -> LayerTuple:
    """Describe a slide's own pixels, or those of a computed image file, as a napari layer.

    Parameters
    ----------
    slide : Slide
    name : str
        What the user knows it by; the file's name otherwise.

    Returns
    -------
    tuple
        `ScanLevels` of dask arrays, the layer's parameters (µm, corner of the slide at 0), and "image".
    """
    from napari_pathsrgan.plugin.layers.preview_layer import (
        ScanLevels,  # napari, which asks many readers before it opens a file
    )

    power = f"{slide.objective_power:g}".replace(".", ",") if slide.objective_power else f"{5.86 / slide.mpp:.0f}"
    row_mpp, col_mpp = slide.pixel_size_um
    what = "scan" if slide.computed is None else safe_name(slide.computed.words)
    layer_name = f"{power}× {what} · {pixel_size(slide.mpp)}"
    # A computed image is no slide to the dock *Super-resolution*: nobody wants computed views of computed views.
    known = {
        SLIDE_KEY: {
            "path": str(slide.path),
            "mpp": slide.mpp,
            "given_mpp": slide.given_mpp,
            "name": name or slide.path.stem,
            "fingerprint": slide.file_fingerprint,
        }
    }
    parameters = {
        "name": layer_name,
        "multiscale": True,
        "rgb": True,
        "scale": (row_mpp, col_mpp),
        "translate": (row_mpp / 2, col_mpp / 2),
        "units": ("um", "um"),
        "interpolation2d": "linear",
        # napari's cache of dask results keeps every region ever drawn, up to a quarter of all memory; levels keep the
        # chunks in sight themselves.
        "cache": False,
        "metadata": {
            **(known if slide.computed is None else {COMPUTED_KEY: _computed_record(slide.computed)}),
            NAME_KEY: layer_name,
            OF_SLIDE_KEY: slide.file_fingerprint,
            LABEL_KEY: f"{power}× {what} · {slide.mpp:.3f} µm/px",
            "reader": slide.reader,
            "progressive_loader": False,
        },
    }
    return ScanLevels(slide.pyramid(_NowAndThen())), parameters, "image"


def is_scan(layer: Layer) -> bool:
    """Whether a layer is a slide's own; napari's copies and channels of it are not, though they carry its metadata."""
    from napari_pathsrgan.plugin.layers.preview_layer import ScanLevels

    return SLIDE_KEY in layer.metadata and isinstance(layer.data, ScanLevels)


def _computed_record(computed: Computed) -> dict[str, Any]:
    """Describe a computed file in plain values, which napari keeps when it saves a layer."""
    areas = computed.areas
    return {
        "kind": computed.kind,
        "model": computed.model,
        "complete": areas.complete,
        "areas_um": [list(rectangle) for rectangle in areas.rectangles_um],
    }


class _NowAndThen:
    """Tells why a part of a scan is grey: napari draws it again with every step, and one notice is enough."""

    def __init__(self) -> None:
        self._told_at: dict[str, float] = {}

    def __call__(self, error: SlideUnreadableError) -> None:
        from napari.utils.notifications import show_warning

        sentence, now = str(error), time.monotonic()
        if now - self._told_at.get(sentence, -QUIET_S) >= QUIET_S:
            self._told_at[sentence] = now
            show_warning(sentence)
