"""The paper's way with tiles: windows that overlap by 64 px, added up with weights (Ma et al. 2020 § IV-D).

A window's tiles are done once its eight neighbours are computed, so about one row of windows waits in memory: what a
slide's width costs, not its area. `tile_writer` is exact, needs no neighbours and computes no more; this is for who
wants the paper's pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.errors import SlideChangedError, SlideUnreadableError
from napari_pathsrgan.inference.tile_writer import Job, WriteSummary, is_sound
from napari_pathsrgan.tiles.blending import OVERLAP, blend_axis_weights
from napari_pathsrgan.tiles.grid import CORE, block_window
from napari_pathsrgan.types import Pixels

if TYPE_CHECKING:
    from napari_pathsrgan.inference.exact_levels import ExactLevels
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

WINDOW_BLOCKS = 4
"""Blocks a side of a window, and of a job."""
_MARGIN = OVERLAP // 2
_SCALES = {1: 2, 0: 4}

Place = tuple[int, int]
"""Row and column of a window in the grid of windows."""
Pictures = dict[int, Pixels]
"""10× and 20× picture of a window with its margins, by level."""


class BlendedTileWriter:
    """Does the jobs of the computed levels, one window after the other.

    Parameters
    ----------
    super_resolved : ExactLevels
    store : PyramidStore
        Of blended tiles.
    """

    def __init__(self, super_resolved: ExactLevels, store: PyramidStore) -> None:
        self._super_resolved = super_resolved
        self._store = store
        self._blocks = super_resolved.grid.n_tiles(0)
        self._places = tuple(-(-count // WINDOW_BLOCKS) for count in self._blocks)

    def fill(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, WriteSummary]]:
        """Make what is missing; yields each job with what was done, in reading order.

        Raises
        ------
        OutputError
            If the store can't be written.
        SlideUnreadableError
            If the slide's file has gone or was changed; a damaged place is only reported.
        """
        wanted: dict[Place, Job] = {}
        for job in jobs:
            if all(is_sound(self._store, level, *tile) for tile in job.tiles for level in _SCALES):
                yield job, WriteSummary(tiles=2 * len(job.tiles))
            else:
                wanted[job.tiles[0][0] // WINDOW_BLOCKS, job.tiles[0][1] // WINDOW_BLOCKS] = job
        needed = sorted({place for centre in wanted for place in self._around(centre)})
        last_use = {centre: max(self._around(centre)) for centre in wanted}
        pictures: dict[Place, Pictures | None] = {}
        for place, (computed_px, computed) in zip(needed, self._computed(needed), strict=True):
            pictures[place] = computed
            cost = WriteSummary(computed_px=computed_px)
            for centre in [centre for centre, last in last_use.items() if last == place]:
                del last_use[centre]
                yield wanted[centre], cost + self._finish(centre, wanted[centre], pictures)
                cost = WriteSummary()
            waiting = {around for centre in last_use for around in self._around(centre)}
            pictures = {place: kept for place, kept in pictures.items() if place in waiting}

    def _around(self, centre: Place) -> list[Place]:
        rows, cols = (range(max(at - 1, 0), min(at + 2, count)) for at, count in zip(centre, self._places, strict=True))
        return [(row, col) for row in rows for col in cols]

    def _rectangle(self, place: Place) -> tuple[int, int, int, int]:
        """First block, and how many of them, along rows and columns; fewer at the slide's edges."""
        (row, n_rows), (col, n_cols) = (
            (at * WINDOW_BLOCKS, min(WINDOW_BLOCKS, count - at * WINDOW_BLOCKS))
            for at, count in zip(place, self._blocks, strict=True)
        )
        return row, col, n_rows, n_cols

    def _computed(self, places: Sequence[Place]) -> Iterator[tuple[int, Pictures | None]]:
        """Compute windows in order while the next one is read; None where the slide can't be read."""
        with ThreadPoolExecutor(1, thread_name_prefix="pathsrgan-read") as pool:
            ahead: Future[Pixels | None] | None = None
            for number, place in enumerate(places):
                window = (ahead or pool.submit(self._read, place)).result()
                ahead = pool.submit(self._read, places[number + 1]) if number + 1 < len(places) else None
                if window is None:
                    yield 0, None
                    continue
                mr, hr, _ = self._super_resolved.runner.run(window, stage=2, background=self._super_resolved.background)
                assert hr is not None
                yield hr.shape[0] * hr.shape[1], {1: mr, 0: hr}

    def _read(self, place: Place) -> Pixels | None:
        slide = self._super_resolved.slide
        window = block_window(*self._rectangle(place), _MARGIN)
        try:
            return slide.read_grid(self._super_resolved.runner.card.mpp_in, *window)
        except SlideUnreadableError as error:
            if isinstance(error, SlideChangedError) or not slide.path.exists():
                raise
            return None

    def _finish(self, centre: Place, job: Job, pictures: dict[Place, Pictures | None]) -> WriteSummary:
        grid, tiles = self._super_resolved.grid, 2 * len(job.tiles)
        if any(pictures[place] is None for place in self._around(centre)):
            return WriteSummary(tiles=tiles, unreadable=tuple(grid.tile_um(0, *tile) for tile in job.tiles))
        written = kept_px = 0
        first_row, first_col, _, _ = self._rectangle(centre)
        for level, scale in _SCALES.items():
            blended = self._blend(centre, level, scale, pictures)
            side = CORE * scale
            for row, col in job.tiles:
                if self._store.has(level, row, col):
                    continue
                height, width = grid.tile_shape(level, row, col)
                top, left = (row - first_row) * side, (col - first_col) * side
                self._store.write(level, row, col, blended[top : top + height, left : left + width])
                written += 1
                kept_px += height * width if level == 0 else 0
        return WriteSummary(tiles=tiles, written=written, kept_px=kept_px)

    def _blend(self, centre: Place, level: int, scale: int, pictures: dict[Place, Pictures | None]) -> Pixels:
        """Add up what a window and its neighbours say of its blocks."""
        core = [scale * part for part in block_window(*self._rectangle(centre), 0)]
        total = np.zeros((core[2], core[3], 3), np.float32)
        for place in self._around(centre):
            found = pictures[place]
            assert found is not None
            theirs = [scale * part for part in block_window(*self._rectangle(place), _MARGIN)]
            inside, here, weights = zip(
                *(self._share(core, theirs, place, axis, scale) for axis in (0, 1)), strict=True
            )
            part = found[level][inside[0], inside[1]].astype(np.float32)
            total[here[0], here[1]] += part * weights[0][:, None, None] * weights[1][None, :, None]
        return np.asarray(np.rint(total), np.uint8)

    def _share(
        self, core: Sequence[int], theirs: Sequence[int], place: Place, axis: int, scale: int
    ) -> tuple[slice, slice, np.ndarray]:
        """Along one axis: the part of a window's picture that lies in a core, where there, and its weights."""
        start, stop = theirs[axis], theirs[axis] + theirs[axis + 2]
        begin, end = max(start, core[axis]), min(stop, core[axis] + core[axis + 2])
        ends = {"first": place[axis] == 0, "last": place[axis] == self._places[axis] - 1}
        weights = blend_axis_weights(stop - start, OVERLAP * scale, **ends)
        inside = slice(begin - start, end - start)
        return inside, slice(begin - core[axis], end - core[axis]), weights[inside]
