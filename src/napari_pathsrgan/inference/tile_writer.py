"""One piece of a whole slide's work: read, run the network where there are cells, write the tiles that are missing.

What is computed together follows from where the cells are, never from what happens to be missing. So a run that was
killed and resumed writes the same bytes as one that was not, and so do two machines that share the work.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import SlideChangedError, SlideUnreadableError
from napari_pathsrgan.slides.store_layout import FILL_VALUE
from napari_pathsrgan.tiles.covering import Rectangle, largest_side
from napari_pathsrgan.tiles.grid import CORE, SLIDE_LEVEL, PyramidGrid, RectangleUm

if TYPE_CHECKING:
    from napari_pathsrgan.inference.exact_levels import ExactLevels
    from napari_pathsrgan.inference.region import Region
    from napari_pathsrgan.slides.pyramid_store import PyramidStore
    from napari_pathsrgan.types import Pixels

_COARSE_TILES = 16
_HR_PER_LR = 16


@dataclass(frozen=True)
class Job:
    """Tiles made in one go.

    Attributes
    ----------
    level : int
        0 for blocks, each a tile of level 0 and one of level 1; else a level of the slide's own pixels.
    tiles : tuple of (row, col)
    """

    level: int
    tiles: tuple[tuple[int, int], ...]

    def pixels(self, grid: PyramidGrid) -> int:
        """20× pixels that it makes; 0 for the slide's own levels, which cost next to nothing."""
        if self.level:
            return 0
        shapes = (grid.tile_shape(0, *tile) for tile in self.tiles)
        return sum(height * width for height, width in shapes)


@dataclass(frozen=True)
class WriteSummary:
    """What was done, of a job or of all of them.

    Attributes
    ----------
    tiles, written : int
        Tiles asked for, and those of them that were missing.
    background_tiles : int
        Of those written, the ones that took no network.
    computed_px, kept_px : int
        20× pixels that networks computed, with and without the halos.
    unreadable : tuple of RectangleUm
        Places whose pixels, or whose surroundings, the slide's file does not give.
    """

    tiles: int = 0
    written: int = 0
    background_tiles: int = 0
    computed_px: int = 0
    kept_px: int = 0
    unreadable: tuple[RectangleUm, ...] = field(default=())

    def __add__(self, other: WriteSummary) -> WriteSummary:
        return WriteSummary(
            self.tiles + other.tiles,
            self.written + other.written,
            self.background_tiles + other.background_tiles,
            self.computed_px + other.computed_px,
            self.kept_px + other.kept_px,
            self.unreadable + other.unreadable,
        )

    @property
    def redundancy(self) -> float:
        """Pixels computed per pixel kept; 1 where no network ran."""
        return self.computed_px / self.kept_px if self.kept_px else 1.0


def window_blocks(halo: int) -> int:
    """Blocks a side of a job that is computed exactly: as large as a rectangle to compute may be.

    Larger ones would compute no less, and cores would wait longer for the last of them.
    """
    return largest_side(halo) // CORE


def plan(grid: PyramidGrid, region: Region, blocks: int) -> tuple[list[Job], list[Job]]:
    """Split a region into jobs.

    Parameters
    ----------
    grid : PyramidGrid
    region : Region
    blocks : int
        Side of the jobs of blocks, on the absolute grid: what is read at once, and cut into cells and background.

    Returns
    -------
    tuple of two lists of Job
        Those of the computed levels, and those of the coarser ones, coarsest first.
    """
    coarse = []
    for level in reversed(range(SLIDE_LEVEL, grid.n_levels)):
        tiles = region.tiles(grid, level)
        coarse += [Job(level, tuple(tiles[at : at + _COARSE_TILES])) for at in range(0, len(tiles), _COARSE_TILES)]
    windows: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, col in sorted(set(region.tiles(grid, 0)) | set(region.tiles(grid, 1))):
        windows.setdefault((row // blocks, col // blocks), []).append((row, col))
    return [Job(0, tuple(windows[window])) for window in sorted(windows)], coarse


class TileWriter:
    """Does jobs; may be called from several threads.

    Parameters
    ----------
    super_resolved : ExactLevels
    store : PyramidStore
    at_once : int
        How many of the threads may be in the network at a time.
    """

    def __init__(self, super_resolved: ExactLevels, store: PyramidStore, at_once: int = 1) -> None:
        self._super_resolved = super_resolved
        self._store = store
        self._network = threading.Semaphore(at_once)

    def fill(self, job: Job) -> WriteSummary:
        """Make what is missing of a job's tiles.

        Raises
        ------
        OutputError
            If the store can't be written.
        SlideUnreadableError
            If the slide's file has gone or was changed; a damaged place is only reported.
        """
        levels = (0, 1) if job.level == 0 else (job.level,)
        missing = {tile for tile in job.tiles if not all(is_sound(self._store, level, *tile) for level in levels)}
        if not missing:
            return WriteSummary(tiles=len(levels) * len(job.tiles))
        try:
            done = self._fill_blocks(job, missing) if job.level == 0 else self._fill_coarse(job, missing)
        except SlideUnreadableError as error:
            if isinstance(error, SlideChangedError) or not self._super_resolved.slide.path.exists():
                raise
            if len(job.tiles) > 1:  # the damage may be in one of them only
                return sum((self.fill(Job(job.level, (tile,))) for tile in job.tiles), WriteSummary())
            done = WriteSummary(unreadable=(self._super_resolved.grid.tile_um(job.level, *job.tiles[0]),))
        return WriteSummary(tiles=len(levels) * len(job.tiles)) + done

    def _fill_coarse(self, job: Job, missing: set[tuple[int, int]]) -> WriteSummary:
        for tile in sorted(missing):
            pixels = self._super_resolved.compute_tile(job.level, *tile)
            pixels[~computed_pixels(self._store, job.level, *tile)] = FILL_VALUE
            self._store.write(job.level, *tile, pixels)
        return WriteSummary(written=len(missing))

    def _fill_blocks(self, job: Job, missing: set[tuple[int, int]]) -> WriteSummary:
        done = WriteSummary()
        for blocks in rectangles_of(job.tiles):
            if not missing.isdisjoint(_tiles_of(blocks)):
                done += self._compute(blocks, missing)
        return done

    def _compute(self, blocks: Rectangle, missing: set[tuple[int, int]]) -> WriteSummary:
        super_resolved, halo = self._super_resolved, self._super_resolved.runner.halo
        window = super_resolved.read_window(*blocks)
        with self._network:
            pictures = super_resolved.runner.run(window, stage=2, background=super_resolved.background, halo=halo)
        cells = {
            (blocks.row + row, blocks.col + col)
            for part in pictures.computed
            for row, col in product(*(range(rows.start // CORE, -(-rows.stop // CORE)) for rows in part.slices()))
        }
        written = background_tiles = 0
        for key, tile in super_resolved.cut_tiles(*blocks, pictures):
            block = (key.row, key.col)
            new = self._write(key.level, block, tile) if block in missing else 0
            written += new
            background_tiles += new if block not in cells else 0
        return WriteSummary(
            written=written,
            background_tiles=background_tiles,
            computed_px=_HR_PER_LR * sum(part.computed_px(halo) for part in pictures.computed),
            kept_px=_HR_PER_LR * sum(part.height * part.width for part in pictures.computed),
        )

    def _write(self, level: int, block: tuple[int, int], tile: Pixels) -> int:
        if self._store.has(level, *block):
            return 0
        self._store.write(level, *block, tile)
        return 1


def blocks_under(store: PyramidStore, level: int, row: int, col: int) -> tuple[slice, slice]:
    """Return the rows and columns of level 0's tiles that a tile of a coarser level shows."""
    blocks = store.tile_px[level] * 2 ** (level - SLIDE_LEVEL) // CORE
    rows, cols = store.grid_shape(0)
    return (
        slice(row * blocks, min((row + 1) * blocks, rows)),
        slice(col * blocks, min((col + 1) * blocks, cols)),
    )


def computed_pixels(store: PyramidStore, level: int, row: int, col: int) -> npt.NDArray[np.bool_]:
    """Tell which pixels of a coarse tile lie over computed tiles, so that no area shows on this level alone.

    Returns
    -------
    (height, width) bool
        Cropped to the level.
    """
    rows, cols = blocks_under(store, level, row, col)
    places = product(range(rows.start, rows.stop), range(cols.start, cols.stop))
    there = np.array([store.has(0, *place) for place in places]).reshape(rows.stop - rows.start, -1)
    down, right = (
        (np.arange(min(side, length - at * side)) * 2 + 1) * 2 ** (level - SLIDE_LEVEL) // (2 * CORE)
        for at, side, length in zip((row, col), (store.tile_px[level],) * 2, store.level_shapes[level], strict=True)
    )
    return there[np.ix_(np.minimum(down, len(there) - 1), np.minimum(right, there.shape[1] - 1))]


def is_sound(store: PyramidStore, level: int, row: int, col: int) -> bool:
    """Whether a tile is in a store and can be read; a damaged one counts as missing from then on."""
    if not store.has(level, row, col):
        return False
    try:
        store.read(level, row, col)
    except KeyError:
        return False
    return True


def rectangles_of(tiles: Sequence[tuple[int, int]]) -> list[Rectangle]:
    """Put tiles, in reading order, together to rectangles: runs along a row, and below them what is just as wide."""
    runs: list[Rectangle] = []
    for row, col in tiles:
        if runs and (runs[-1].row, runs[-1].col + runs[-1].width) == (row, col):
            runs[-1] = runs[-1]._replace(width=runs[-1].width + 1)
        else:
            runs.append(Rectangle(row, col, 1, 1))
    rectangles: dict[tuple[int, int, int], Rectangle] = {}  # by where the next run would continue them
    for run in runs:
        above = rectangles.pop((run.row, run.col, run.width), run._replace(height=0))
        rectangles[run.row + 1, run.col, run.width] = above._replace(height=above.height + 1)
    return list(rectangles.values())


def _tiles_of(blocks: Rectangle) -> list[tuple[int, int]]:
    rows, cols = blocks.slices()
    return list(product(range(rows.start, rows.stop), range(cols.start, cols.stop)))
