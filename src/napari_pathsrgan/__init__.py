"""Super-resolve a 4× scan of a cytology slide to its 10× and 20× views.

The names in ``__all__`` are the public interface, described with examples in docs/api.md; each is loaded when it is
first used, so that importing the package costs nothing. Everything else is private: it may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_pathsrgan.errors import PathSRGANError
    from napari_pathsrgan.evaluation.on_pairs import evaluate_pairs
    from napari_pathsrgan.inference.backend import Backend
    from napari_pathsrgan.inference.consistency_map import ConsistencyMap
    from napari_pathsrgan.inference.engine import Engine, load_model
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide, super_resolve
    from napari_pathsrgan.models.architecture import Architecture, ArchitectureOptions
    from napari_pathsrgan.registration.fine import Registration, register_slides
    from napari_pathsrgan.registration.pairs import PairsFile
    from napari_pathsrgan.slides.open_slide import open_slide
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.training.config import TrainingConfig
    from napari_pathsrgan.training.session import train

__all__ = [
    "Architecture",
    "ArchitectureOptions",
    "Backend",
    "ConsistencyMap",
    "Engine",
    "PairsFile",
    "PathSRGANError",
    "Registration",
    "Slide",
    "SuperResolvedSlide",
    "TrainingConfig",
    "__version__",
    "evaluate_pairs",
    "load_model",
    "open_slide",
    "register_slides",
    "super_resolve",
    "train",
]

__version__ = version("napari-pathsrgan")

_HOMES = {
    "Architecture": "models.architecture",
    "ArchitectureOptions": "models.architecture",
    "Backend": "inference.backend",
    "ConsistencyMap": "inference.consistency_map",
    "Engine": "inference.engine",
    "PairsFile": "registration.pairs",
    "PathSRGANError": "errors",
    "Registration": "registration.fine",
    "Slide": "slides.slide",
    "SuperResolvedSlide": "inference.super_resolved",
    "TrainingConfig": "training.config",
    "evaluate_pairs": "evaluation.on_pairs",
    "load_model": "inference.engine",
    "open_slide": "slides.open_slide",
    "register_slides": "registration.fine",
    "super_resolve": "inference.super_resolved",
    "train": "training.session",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
