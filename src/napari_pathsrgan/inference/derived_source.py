"""Tiles of images that are derived from a slide and its computed image, such as a bicubic enlargement."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from napari_pathsrgan.inference.tile_sources import ThreadSource
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.grid import TileKey
    from napari_pathsrgan.tiles.product import Product
    from napari_pathsrgan.types import Pixels

CachedTile = Callable[["TileKey"], "Pixels | None"]
"""Gives a computed tile that is in memory already, or None."""
RegionReader = Callable[[int, int, int, int, int], "Pixels"]
"""Computes a region: (level, row, col, height, width) in pixels of the level → (height, width, 3) uint8."""

_KEPT_READERS = 2


class DerivedImage(Protocol):
    """An image that is derived region by region from a slide and its computed image.

    Attributes
    ----------
    content : str
        `Product.content` of its tiles.
    n_threads : int
        Tiles that may be made at the same time.
    """

    @property
    def content(self) -> str: ...  # noqa: D102

    @property
    def n_threads(self) -> int: ...  # noqa: D102

    def open_reader(self, super_resolved: SuperResolvedSlide, cached: CachedTile) -> RegionReader:
        """Make what reads regions of one slide; it is called from one thread at a time where `n_threads` is 1."""


class DerivedSource(ThreadSource):
    """Makes the tiles of one derived image in threads, which never hold up the window.

    Parameters
    ----------
    slides, pool
        See `ThreadSource`; the pool has `DerivedImage.n_threads` threads.
    image : DerivedImage
    cached : callable (TileKey) -> tile or None
    """

    def __init__(
        self,
        slides: Callable[[TileKey], SuperResolvedSlide | None],
        pool: ThreadPoolExecutor,
        image: DerivedImage,
        cached: CachedTile,
    ) -> None:
        super().__init__(slides, pool)
        self.capacity = image.n_threads
        self._image = image
        self._cached = cached
        self._lock = threading.Lock()
        self._readers: dict[tuple[str, Product], tuple[SuperResolvedSlide, RegionReader]] = {}

    def accepts(self, key: TileKey) -> bool:
        """Whether it is a tile of this image."""
        return key.product.content == self._image.content and key.level < SLIDE_LEVEL

    def make(self, key: TileKey, super_resolved: SuperResolvedSlide) -> Pixels:
        """Read the tile's region."""
        rows, cols = super_resolved.grid.tile_slices(key.level, key.row, key.col)
        read = self._reader(key, super_resolved)
        return read(key.level, rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)

    def _reader(self, key: TileKey, super_resolved: SuperResolvedSlide) -> RegionReader:
        """Take the slide's reader; those of the last slides are kept, with what they learnt of them."""
        with self._lock:
            owner, read = self._readers.pop((key.slide, key.product), (None, None))
            if read is None or owner is not super_resolved:
                read = self._image.open_reader(super_resolved, self._cached)
            self._readers[key.slide, key.product] = super_resolved, read
            while len(self._readers) > _KEPT_READERS:
                del self._readers[next(iter(self._readers))]
            return read
