"""A level of a slide's pyramid as something dask can slice: the file's own, or computed from its coarsest."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import dask.array as da
import numpy as np
from dask.base import tokenize

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.resample import resample_region

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

#: Chunks of the dask pyramid; square whatever the file's own tiles are (NDPI: 8 × 3840).
CHUNK_PX = 512
#: Decoded chunks that a level keeps, 15 MiB: what one screen shows. Whoever moves a little decodes only what is new.
KEPT_CHUNKS = 20
#: Grey level of what the file does not give, where somebody is told of it instead of an error: no stain looks like it.
UNREADABLE_GREY = 96

OnUnreadable = Callable[[SlideUnreadableError], None]


class Levelled(Protocol):
    """What a level's pixels are read from: a `Slide`.

    Attributes
    ----------
    cache_id : str
        Changes with every write to the slide's files.
    reader : str
        Library and version that decode the pixels.
    level_shapes : tuple of (rows, cols)
        Finest first.
    """

    cache_id: str
    reader: str
    level_shapes: tuple[tuple[int, int], ...]

    def read_level(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window of a level, see `Slide.read_level`."""


class LevelArray:
    """One level as (rows, cols, 3) uint8; nothing is read before it's sliced.

    Parameters
    ----------
    slide : Levelled
    index : int
        A level of the file; beyond those, levels half as large each, computed from the file's coarsest.
    unreadable : callable, optional
        Told of what the file does not give, which is grey then; without it, an error is raised.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, slide: Levelled, index: int, unreadable: OnUnreadable | None = None) -> None:
        self._slide = slide
        self._index = index
        self._unreadable = unreadable
        self._level = min(index, len(slide.level_shapes) - 1)
        self._factor = 2 ** (index - self._level)
        rows, cols = slide.level_shapes[self._level]
        self.shape = (-(-rows // self._factor), -(-cols // self._factor), 3)
        self._chunk = lru_cache(KEPT_CHUNKS)(self._read_chunk)

    def __reduce__(self) -> tuple[type[LevelArray], tuple[Levelled, int]]:
        """Travel to another process, without what was decoded and whoever is told."""
        return type(self), (self._slide, self._index)

    def __getitem__(self, key: tuple[slice, ...]) -> Pixels:
        """Read the window that the slices' outer bounds span, then take their steps."""
        (row, bottom, row_step), (col, right, col_step) = (
            part.indices(size) for part, size in zip(key[:2], self.shape, strict=False)
        )
        try:
            pixels = self._pixels(row, bottom, col, right)
        except SlideUnreadableError as error:
            if self._unreadable is None:
                raise
            self._unreadable(error)
            pixels = np.full((bottom - row, right - col, 3), UNREADABLE_GREY, np.uint8)
        return pixels[(slice(None, None, row_step), slice(None, None, col_step), *key[2:])]

    def _pixels(self, row: int, bottom: int, col: int, right: int) -> Pixels:
        height, width = max(0, bottom - row), max(0, right - col)
        chunk = row // CHUNK_PX, col // CHUNK_PX
        if height and width and chunk == ((bottom - 1) // CHUNK_PX, (right - 1) // CHUNK_PX):  # as dask asks
            top, left = row - chunk[0] * CHUNK_PX, col - chunk[1] * CHUNK_PX
            return self._chunk(*chunk)[top : top + height, left : left + width]
        return self._read(row, col, height, width)

    def _read_chunk(self, chunk_row: int, chunk_col: int) -> Pixels:
        row, col = chunk_row * CHUNK_PX, chunk_col * CHUNK_PX
        pixels = self._read(row, col, min(CHUNK_PX, self.shape[0] - row), min(CHUNK_PX, self.shape[1] - col))
        pixels.flags.writeable = False
        return pixels

    def _read(self, row: int, col: int, height: int, width: int) -> Pixels:
        def read(row: int, col: int, height: int, width: int) -> Pixels:
            return self._slide.read_level(self._level, row, col, height, width)

        if self._factor == 1:
            return read(row, col, height, width)
        shape = self._slide.level_shapes[self._level]
        return resample_region(read, shape, (1.0, 1.0), float(self._factor), row, col, height, width)


def lazy_level(slide: Levelled, index: int, unreadable: OnUnreadable | None = None) -> da.Array:
    """Wrap a level for dask in chunks of 512 × 512 × 3.

    Its name follows from the slide's cache id, so dask's caches know a slide that is opened again.
    """
    chunks = (CHUNK_PX, CHUNK_PX, 3)
    name = f"slide-{tokenize(slide.cache_id, index, slide.reader, chunks, unreadable is None)}"
    from_array: Callable[..., da.Array] = da.from_array  # dask says nothing of its types
    return from_array(LevelArray(slide, index, unreadable), chunks=chunks, name=name, asarray=False, fancy=False)
