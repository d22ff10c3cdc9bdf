"""Super-resolve a 4× scan of a cytology slide to its 10× and 20× views.

Four functions make up the library; each is loaded when it is first used, so that importing the package costs nothing:

`open_slide`
    A slide file → `Slide`: pixels that know where they lie.
`load_model`
    A name or a file → `Engine`: a network ready to run. Loads torch.
`super_resolve`
    A slide and a model → `SuperResolvedSlide`: every level at 20×, 10× and beyond, computed when read.
`register_slides`
    Three scans of one glass slide → `Registration`: where each patch of the 4× scan lies in the finer ones.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_pathsrgan.inference.engine import load_model
    from napari_pathsrgan.inference.super_resolved import super_resolve
    from napari_pathsrgan.registration.fine import register_slides
    from napari_pathsrgan.slides.open_slide import open_slide

__all__ = ["__version__", "load_model", "open_slide", "register_slides", "super_resolve"]

__version__ = version("napari-pathsrgan")

_HOMES = {
    "load_model": "napari_pathsrgan.inference.engine",
    "open_slide": "napari_pathsrgan.slides.open_slide",
    "register_slides": "napari_pathsrgan.registration.fine",
    "super_resolve": "napari_pathsrgan.inference.super_resolved",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
