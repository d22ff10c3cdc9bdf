"""The computed picture with an orange veil where it disagrees with the scan: the consistency map as one looks at it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from napari_pathsrgan.inference.consistency import LEVELS_PER_SIGMA
from napari_pathsrgan.inference.consistency_map import ConsistencyMap, computed
from napari_pathsrgan.inference.exact_levels import assemble
from napari_pathsrgan.tiles.grid import CORE, SLIDE_LEVEL, Window

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.grid import TileKey
    from napari_pathsrgan.types import Pixels

ORANGE = (255, 128, 0)
CLEAR_SIGMA, FULL_SIGMA = 3.0, 10.0
"""Expected deviations up to which the veil is not seen, and from which on it is at its densest."""
_DENSEST = 0.85
_KEPT_TILES = 32


class ConsistencyView:
    """Tiles of the computed levels under the veil.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    at_hand : callable (TileKey) -> tile or None
        Knows computed tiles that are there already.
    """

    def __init__(self, super_resolved: SuperResolvedSlide, at_hand: Callable[[TileKey], Pixels | None]) -> None:
        self.super_resolved = super_resolved
        self._at_hand = at_hand
        self._map = ConsistencyMap(
            super_resolved, computed(super_resolved, lambda row, col: at_hand(super_resolved.key(0, row, col)))
        )
        self._veil = lru_cache(_KEPT_TILES)(lambda row, col: self._map.tile(row, col)[0])

    def tile(self, level: int, row: int, col: int) -> Pixels:
        """Compute a tile of level 0 or 1, as `SuperResolvedSlide.compute_tile` gives it, with the veil.

        The first one takes longer: it learns what is to be expected of the slide.
        """
        picture = self._at_hand(self.super_resolved.key(level, row, col))
        if picture is None:
            picture = self.super_resolved.compute_tile(level, row, col)
        blocks, scale = self._map.tile_px // CORE, 2 ** (SLIDE_LEVEL - level)
        deviations = self._veil(row // blocks, col // blocks)
        enlarged = cv2.resize(deviations, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        top, left = row % blocks * CORE * scale, col % blocks * CORE * scale
        return veiled(picture, np.asarray(enlarged[top:, left:][: picture.shape[0], : picture.shape[1]], np.uint8))

    def read(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a region of level 0 or 1; see `SuperResolvedSlide.read`."""
        region = Window(row, col, height, width)
        return assemble(self.super_resolved.grid, level, region, lambda *place: self.tile(level, *place))


def veiled(picture: Pixels, deviations: Pixels) -> Pixels:
    """Lay the veil over a picture.

    Parameters
    ----------
    picture : (H, W, 3) uint8
    deviations : (H, W) uint8
        Of a `ConsistencyMap`, enlarged to the picture.

    Returns
    -------
    (H, W, 3) uint8
    """
    sigma = deviations.astype(np.float32) / LEVELS_PER_SIGMA
    density = _DENSEST * np.clip((sigma - CLEAR_SIGMA) / (FULL_SIGMA - CLEAR_SIGMA), 0, 1)[..., None]
    mixed = picture + density * (np.array(ORANGE, np.float32) - picture)
    return np.asarray(np.rint(mixed), np.uint8)
