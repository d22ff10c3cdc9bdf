"""Where the scheduler's tiles come from: the disk, the slide, the inference process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING

from napari_pathsrgan.inference.process import ProcessModel
from napari_pathsrgan.inference.window_buffer import LARGEST_WINDOW_PX
from napari_pathsrgan.tiles.grid import CORE, SLIDE_LEVEL, TileKey, Window

if TYPE_CHECKING:
    from napari_pathsrgan.inference.disk_cache import DiskCache
    from napari_pathsrgan.inference.network_parts import Pictures
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.tile_source import Done
    from napari_pathsrgan.types import Pixels

READERS = 2
"""Threads that read the slide: more gain nothing (FIELD notes on openslide: 2 to 4)."""


class DiskSource:
    """Tiles that an earlier visit left on disk."""

    capacity = 2

    def __init__(self, cache: DiskCache, pool: ThreadPoolExecutor) -> None:
        self._cache = cache
        self._pool = pool

    def accepts(self, key: TileKey) -> bool:
        """Whether the tile is on disk."""
        return self._cache.has(key)

    def batch(self, first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        """Up to eight at a time: each takes a millisecond or two."""
        others = (key for key in wanted if key != first and self._cache.has(key))
        return first, *(key for key, _ in zip(others, range(7), strict=False))

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        """Read them in a thread; a damaged tile is missing, so that it is computed again."""
        self._pool.submit(self._read, keys, done)

    def _read(self, keys: tuple[TileKey, ...], done: Done) -> None:
        tiles: dict[TileKey, Pixels] = {}
        try:
            for key in keys:
                tile = self._cache.read(key)
                if tile is not None:
                    tiles[key.whole] = tile
                    if key.part is not None:
                        tiles[key] = tile[key.part.pixels(key.level)]
        except Exception as error:  # whatever it is: a job that never ends would hold its source for ever
            done(tiles, error)
            return
        done(tiles, None)


class ThreadSource(ABC):
    """Tiles that are made one by one in threads, each to be seen as soon as it is there.

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

    @abstractmethod
    def accepts(self, key: TileKey) -> bool:
        """Whether this source makes that tile."""

    @abstractmethod
    def make(self, key: TileKey, super_resolved: SuperResolvedSlide) -> Pixels:
        """Make a tile, in a thread: (h, w, 3) uint8."""

    def batch(self, first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        """One by one: there is nothing to share."""
        return (first,)

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        """Make it in a thread."""
        self._pool.submit(self._run, keys[0], done)

    def _run(self, key: TileKey, done: Done) -> None:
        super_resolved = self._slides(key)
        if super_resolved is None:  # its layer was removed meanwhile
            done({}, None)
            return
        try:
            tile = self.make(key, super_resolved)
        except Exception as error:  # whatever it is: a job that never ends would hold its source for ever
            done({}, error)
            return
        done({key: tile}, None)


class SlideSource(ThreadSource):
    """The slide's own pixels; a tile is read in milliseconds."""

    def accepts(self, key: TileKey) -> bool:
        """Whether it is of a level that needs no network."""
        return key.level >= SLIDE_LEVEL

    def make(self, key: TileKey, super_resolved: SuperResolvedSlide) -> Pixels:
        """Read it."""
        return super_resolved.compute_tile(key.level, key.row, key.col)


class NetworkSource:
    """Tiles computed by the inference process.

    Parameters
    ----------
    slides : callable
        Finds the slide and model of a key; None where its layer was removed.
    pool : ThreadPoolExecutor
        Reads the windows, so that reading overlaps with the network; of one thread, so that they come in order.
    keep : callable, optional
        Given every computed tile, for the disk.
    """

    def __init__(
        self,
        slides: Callable[[TileKey], SuperResolvedSlide | None],
        pool: ThreadPoolExecutor,
        keep: Callable[[TileKey, Pixels], None] | None = None,
    ) -> None:
        self._slides = slides
        self._pool = pool
        self._keep = keep
        self._on_card = False

    @property
    def capacity(self) -> int:
        """Two for a graphics card, so that it never waits for a window to be read.

        One for a CPU: reading takes some hundredths of what the network takes, and a second window would keep whoever
        looks elsewhere waiting twice as long.
        """
        return 2 if self._on_card else 1

    def accepts(self, key: TileKey) -> bool:
        """Whether it needs a network."""
        return key.level < SLIDE_LEVEL

    def batch(self, first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        """Choose a rectangle of blocks around the first, and both views of each block where 20× is wanted of it.

        Blocks of one rectangle share their halo: 2 × 2 blocks cost 1.28 of their own pixels with a halo of 17, one
        alone 1.60. A graphics card takes 4 × 4, since it is slow to start and fast to run. Parts of blocks go together
        where they make one rectangle, as those of one view do.
        """
        wanted_here = {key for key in wanted if key.slide == first.slide and key.product == first.product}
        level = 0 if first.level == 0 or sibling(first, 0) in wanted_here else 1
        blocks = {(key.row, key.col): key for key in wanted_here if key.level == level}
        blocks[first.row, first.col] = sibling(first, level)
        cores = {place: key.core for place, key in blocks.items()}
        chosen = grow_rectangle((first.row, first.col), cores, self._largest_side(first))
        return tuple(sibling(blocks[place], part) for place in chosen for part in range(level, SLIDE_LEVEL))

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        """Read the window in a thread and hand it to the inference process."""
        self._pool.submit(self._read, keys, done)

    def _largest_side(self, key: TileKey) -> int:
        """Side of what is computed at once, input pixels, without its halo."""
        super_resolved = self._slides(key)
        if super_resolved is None or not isinstance(super_resolved.runner, ProcessModel):
            return CORE
        self._on_card = super_resolved.runner.process.status.device not in ("", "cpu")
        side = 4 if self._on_card else 2
        return min(side, (LARGEST_WINDOW_PX - 2 * super_resolved.runner.halo) // CORE) * CORE

    def _read(self, keys: tuple[TileKey, ...], done: Done) -> None:
        super_resolved = self._slides(keys[0])
        if super_resolved is None or not isinstance(super_resolved.runner, ProcessModel):
            done({}, None)
            return
        core = _hull([key.core for key in keys])
        stage = 2 - min(key.level for key in keys)
        runner = super_resolved.runner
        try:
            window = super_resolved.read_around(core)
            future = runner.submit(window, stage, super_resolved.background, runner.halo)
        except Exception as error:  # whatever it is: a job that never ends would hold its source for ever
            done({}, error)
            return

        def finish(future: Future[Pictures | None]) -> None:
            try:
                pictures = future.result()
                assert pictures is not None
                tiles = dict(super_resolved.cut(pictures, core, keys))
            except Exception as error:  # as above
                done({}, error)
                return
            done(tiles, None)
            if self._keep:
                for key, tile in tiles.items():
                    if key.part is None:
                        self._keep(key, tile)

        future.add_done_callback(finish)


def sibling(key: TileKey, level: int) -> TileKey:
    """The tile of the same block, or the same part of it, at the other network level."""
    return key._replace(level=level)


def grow_rectangle(
    first: tuple[int, int], cores: Mapping[tuple[int, int], Window], largest_side: int
) -> list[tuple[int, int]]:
    """Find the wanted blocks that make the largest rectangle with the first.

    Parameters
    ----------
    first : (row, col)
    cores : mapping of (row, col) to Window
        What is wanted of each block, the first among them, input pixels.
    largest_side : int
        Of the rectangle, input pixels.

    Returns
    -------
    list of (row, col)
        Row by row; what is wanted of them covers the rectangle without a gap. The first alone may be larger than that.
    """
    best, best_px = [first], cores[first].height * cores[first].width
    most = largest_side // CORE + 1  # the outer ones may be wanted in part
    for n_rows, n_cols in product(range(1, most + 1), repeat=2):
        if n_rows * n_cols * CORE**2 <= best_px:
            continue
        corners = product(range(first[0] - n_rows + 1, first[0] + 1), range(first[1] - n_cols + 1, first[1] + 1))
        for top, left in corners:
            blocks = list(product(range(top, top + n_rows), range(left, left + n_cols)))
            if not all(block in cores for block in blocks):
                continue
            parts = [cores[block] for block in blocks]
            hull, px = _hull(parts), sum(part.height * part.width for part in parts)
            if px == hull.height * hull.width and max(hull.height, hull.width) <= largest_side and px > best_px:
                best, best_px = blocks, px
    return best


def _hull(windows: Sequence[Window]) -> Window:
    """The smallest window around others."""
    top, left = min(window.row for window in windows), min(window.col for window in windows)
    bottom, right = (
        max(window.row + window.height for window in windows),
        max(window.col + window.width for window in windows),
    )
    return Window(top, left, bottom - top, right - left)
