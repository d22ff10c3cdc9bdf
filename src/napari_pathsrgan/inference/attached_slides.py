"""The slides whose tiles may be asked for: what a tile's key stands for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.grid import TileKey


class AttachedSlides:
    """Slides seen through models, found by the slide and the product that a tile's key carries.

    Safe to use from threads. One slide may be attached several times, through one model or several.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attached: list[SuperResolvedSlide] = []

    def attach(self, super_resolved: SuperResolvedSlide) -> None:
        """Make tiles of a slide and model from now on."""
        with self._lock:
            self._attached.append(super_resolved)

    def detach(self, super_resolved: SuperResolvedSlide) -> bool:
        """Make no more tiles through this very object; says whether none is left of its slide and product."""
        with self._lock:
            self._attached = [one for one in self._attached if one is not super_resolved]
            return not any(_is_same(one, super_resolved) for one in self._attached)

    def find(self, key: TileKey) -> SuperResolvedSlide | None:
        """Find what makes a tile; None where its layer was removed. The slide's own pixels are any model's."""
        with self._lock:
            attached = list(self._attached)
        of_slide = (one for one in attached if one.slide.cache_id == key.slide)
        return next((one for one in of_slide if one.makes(key.product)), None)


def _is_same(one: SuperResolvedSlide, other: SuperResolvedSlide) -> bool:
    return (one.slide.cache_id, one.product) == (other.slide.cache_id, other.product)
