"""One piece of a whole slide's work: read, run the network where there are cells, write the tiles that are missing.

What is computed together follows from where the cells are, never from what happens to be missing. So a run that was
killed and resumed writes the same bytes as one that was not, and so do two machines that share the work.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.foreground import foreground_weight
from napari_pathsrgan.slides.resample import enlarge
from napari_pathsrgan.tiles.covering import BlockRectangle, cover
from napari_pathsrgan.tiles.grid import CORE, SLIDE_LEVEL, Pixels, PyramidGrid, RectangleUm, block_window

if TYPE_CHECKING:
    from napari_pathsrgan.inference.region import Region
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

WINDOW_BLOCKS = 4
"""Blocks a side of a job, on the absolute grid: what is read at once, and within which rectangles are laid."""
_COARSE_TILES = 16
_BICUBIC_REACH = 2
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
class Filled:
    """What was done, of a job or of all of them.

    Attributes
    ----------
    tiles, written : int
        Tiles asked for, and those of them that were missing.
    glass_tiles : int
        Of those written, the ones that took no network.
    computed_px, kept_px : int
        20× pixels that networks computed, halos included, and those of them that were written.
    unreadable : tuple of RectangleUm
        Places whose pixels, or whose surroundings, the slide's file does not give.
    """

    tiles: int = 0
    written: int = 0
    glass_tiles: int = 0
    computed_px: int = 0
    kept_px: int = 0
    unreadable: tuple[RectangleUm, ...] = field(default=())

    def __add__(self, other: Filled) -> Filled:
        return Filled(
            self.tiles + other.tiles,
            self.written + other.written,
            self.glass_tiles + other.glass_tiles,
            self.computed_px + other.computed_px,
            self.kept_px + other.kept_px,
            self.unreadable + other.unreadable,
        )

    @property
    def redundancy(self) -> float:
        """Pixels computed per pixel kept; 1 where no network ran."""
        return self.computed_px / self.kept_px if self.kept_px else 1.0


def plan(grid: PyramidGrid, region: Region) -> list[Job]:
    """Split a region into jobs: the coarse levels first, so that other tools can show the slide at once."""
    jobs = []
    for level in reversed(range(SLIDE_LEVEL, grid.n_levels)):
        tiles = region.tiles(grid, level)
        jobs += [Job(level, tuple(tiles[at : at + _COARSE_TILES])) for at in range(0, len(tiles), _COARSE_TILES)]
    windows: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, col in sorted(set(region.tiles(grid, 0)) | set(region.tiles(grid, 1))):
        windows.setdefault((row // WINDOW_BLOCKS, col // WINDOW_BLOCKS), []).append((row, col))
    return jobs + [Job(0, tuple(windows[window])) for window in sorted(windows)]


class TileFiller:
    """Does jobs; may be called from several threads, of which one at a time is in the network.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    store : PyramidStore
    """

    def __init__(self, super_resolved: SuperResolvedSlide, store: PyramidStore) -> None:
        self._super_resolved = super_resolved
        self._store = store
        self._network = threading.Lock()

    def fill(self, job: Job) -> Filled:
        """Make what is missing of a job's tiles.

        Raises
        ------
        OutputError
            If the store can't be written.
        SlideUnreadableError
            If the slide's file has gone; a damaged place is only reported.
        """
        levels = (0, 1) if job.level == 0 else (job.level,)
        missing = {tile for tile in job.tiles if not all(is_sound(self._store, level, *tile) for level in levels)}
        if not missing:
            return Filled(tiles=len(levels) * len(job.tiles))
        try:
            done = self._fill_blocks(job, missing) if job.level == 0 else self._fill_coarse(job, missing)
        except SlideUnreadableError:
            if not self._super_resolved.slide.path.exists():
                raise
            if len(job.tiles) > 1:  # the damage may be in one of them only
                return sum((self.fill(Job(job.level, (tile,))) for tile in job.tiles), Filled())
            done = Filled(unreadable=(self._super_resolved.grid.tile_um(job.level, *job.tiles[0]),))
        return Filled(tiles=len(levels) * len(job.tiles)) + done

    def _fill_coarse(self, job: Job, missing: set[tuple[int, int]]) -> Filled:
        for tile in sorted(missing):
            self._store.write(job.level, *tile, self._super_resolved.compute_tile(job.level, *tile))
        return Filled(written=len(missing))

    def _fill_blocks(self, job: Job, missing: set[tuple[int, int]]) -> Filled:
        rows, cols = zip(*job.tiles, strict=True)
        whole = BlockRectangle(min(rows), min(cols), max(rows) - min(rows) + 1, max(cols) - min(cols) + 1)
        halo = self._super_resolved.runner.halo
        window = self._super_resolved.read_window(*whole)
        cells = self._with_cells(job, whole, window)
        done = Filled()
        for rectangle in cover(cells, halo):
            if any(map(rectangle.holds, missing)):
                written, kept_px = self._compute(rectangle, _cut(window, whole, rectangle, halo), missing)
                done += Filled(written=written, computed_px=_HR_PER_LR * rectangle.computed_px(halo), kept_px=kept_px)
                missing = {block for block in missing if not rectangle.holds(block)}
        for block in sorted(missing):
            part = _cut(window, whole, BlockRectangle(*block, 1, 1), halo, _BICUBIC_REACH)
            pictures = (_enlarge_core(part, 2), _enlarge_core(part, 4))
            for key, tile in self._super_resolved.cut_tiles(*block, 1, 1, pictures):
                written = self._write(key.level, block, tile)
                done += Filled(written=written, glass_tiles=written)
        return done

    def _with_cells(self, job: Job, whole: BlockRectangle, window: Pixels) -> list[tuple[int, int]]:
        """Blocks of a job that need the network; the same ones whichever window they are seen in."""
        glass, halo = self._super_resolved.glass, self._super_resolved.runner.halo
        if glass is None:
            return list(job.tiles)
        weight = foreground_weight(window, glass)
        # Enlarged weights reach one pixel further than the block, as in `Engine.run`.
        return [block for block in job.tiles if _cut(weight, whole, BlockRectangle(*block, 1, 1), halo, margin=1).any()]

    def _compute(self, rectangle: BlockRectangle, window: Pixels, missing: set[tuple[int, int]]) -> tuple[int, int]:
        super_resolved = self._super_resolved
        with self._network:
            pictures = super_resolved.runner.run(
                np.ascontiguousarray(window), stage=2, glass=super_resolved.glass, halo=super_resolved.runner.halo
            )
        written = kept_px = 0
        for key, tile in super_resolved.cut_tiles(*rectangle, pictures):
            if (key.row, key.col) in missing:
                written += self._write(key.level, (key.row, key.col), tile)
                kept_px += tile.shape[0] * tile.shape[1] if key.level == 0 else 0
        return written, kept_px

    def _write(self, level: int, block: tuple[int, int], tile: Pixels) -> int:
        if self._store.has(level, *block):
            return 0
        self._store.write(level, *block, tile)
        return 1


def is_sound(store: PyramidStore, level: int, row: int, col: int) -> bool:
    """Whether a tile is in a store and can be read; a damaged one counts as missing from then on."""
    if not store.has(level, row, col):
        return False
    try:
        store.read(level, row, col)
    except KeyError:
        return False
    return True


def _cut(
    picture: npt.NDArray[Any], whole: BlockRectangle, part: BlockRectangle, halo: int, margin: int | None = None
) -> npt.NDArray[Any]:
    """Cut the window of some blocks, with `margin` around them (the halo by default), out of that of more blocks."""
    margin = halo if margin is None else margin
    top, left, height, width = block_window(part.row - whole.row, part.col - whole.col, part.n_rows, part.n_cols, 0)
    rows = slice(top + halo - margin, top + height + halo + margin)
    cols = slice(left + halo - margin, left + width + halo + margin)
    return picture[rows, cols]


def _enlarge_core(core: Pixels, factor: int) -> Pixels:
    """Enlarge a glass block that has `_BICUBIC_REACH` px around it, and cut them off; all of one colour is quick."""
    if (core == core[0, 0]).all():
        return np.broadcast_to(core[0, 0], (CORE * factor, CORE * factor, 3))
    border = _BICUBIC_REACH * factor
    return enlarge(np.ascontiguousarray(core), factor)[border:-border, border:-border]
