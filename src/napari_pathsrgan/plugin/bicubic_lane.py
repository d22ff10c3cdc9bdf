"""Tiles of the scan enlarged without a network: what the computed views are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from napari_pathsrgan.inference.lanes import READERS
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.grid import TileKey
    from napari_pathsrgan.tiles.lane import Done

BICUBIC_MODEL = "bicubic"
"""Stands in a tile's key where a network's hash stands otherwise."""


class BicubicLane:
    """Enlarges in a thread, since a pane's worth takes longer than the window may be held up: 50 ms for a megapixel.

    Parameters
    ----------
    slides : callable
        Finds the slide of a key; None where its layer was removed.
    pool : ThreadPoolExecutor
    """

    capacity = READERS

    def __init__(self, slides: Callable[[TileKey], SuperResolvedSlide | None], pool: ThreadPoolExecutor) -> None:
        self._slides = slides
        self._pool = pool

    def accepts(self, key: TileKey) -> bool:
        """Whether it is an enlarged tile."""
        return key.model == BICUBIC_MODEL and key.level < SLIDE_LEVEL

    def gather(self, first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        """One by one: there is nothing to share."""
        return (first,)

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        """Enlarge in a thread."""
        self._pool.submit(self._enlarge, keys[0], done)

    def _enlarge(self, key: TileKey, done: Done) -> None:
        super_resolved = self._slides(key)
        if super_resolved is None:
            done({}, None)
            return
        rows, cols = super_resolved.grid.tile_slices(key.level, key.row, key.col)
        region = rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start
        try:
            tile = super_resolved.read_bicubic(key.level, *region)
        except Exception as error:  # whatever it is: a job that never ends would hold its lane for ever
            done({}, error)
            return
        done({key: tile}, None)
