"""Tiles of the scan enlarged without a network: what the computed views are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pathsrgan.inference.tile_sources import ThreadSource
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL
from napari_pathsrgan.tiles.product import BICUBIC

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.grid import TileKey
    from napari_pathsrgan.types import Pixels


class BicubicSource(ThreadSource):
    """Enlarges in threads, since a pane's worth takes longer than the window may be held up: 50 ms for a megapixel."""

    def accepts(self, key: TileKey) -> bool:
        """Whether it is an enlarged tile."""
        return key.product == BICUBIC and key.level < SLIDE_LEVEL

    def make(self, key: TileKey, super_resolved: SuperResolvedSlide) -> Pixels:
        """Enlarge it."""
        rows, cols = super_resolved.grid.tile_slices(key.level, key.row, key.col)
        region = rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start
        return super_resolved.read_bicubic(key.level, *region)
