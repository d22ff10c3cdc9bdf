"""Fill a pyramid store with what is missing of a whole slide or a region, on this machine.

A few threads take jobs (`tile_writer.Job`) one after the other: while some are in the network, the others read,
compress and write, all of which leave the interpreter free. Few jobs are under way at a time, so memory doesn't grow
with the slide. A tile on disk is done: whoever stops this, however, loses the tiles under way and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.atomic_write import gone_error, only_writer, remove_partial
from napari_pathsrgan.inference.blended import WINDOW_BLOCKS, BlendedTileWriter
from napari_pathsrgan.inference.disk_cache import open_store
from napari_pathsrgan.inference.region import Region, RegionUm, find_region, outside
from napari_pathsrgan.inference.tile_writer import (
    Job,
    TileWriter,
    WriteSummary,
    blocks_under,
    plan,
    rectangles_of,
    window_blocks,
)
from napari_pathsrgan.slides.computed_areas import ComputedAreas
from napari_pathsrgan.tiles.grid import RectangleUm

if TYPE_CHECKING:
    from napari_pathsrgan.inference.exact_levels import ExactLevels
    from napari_pathsrgan.slides.pyramid_store import PyramidStore
    from napari_pathsrgan.tiles.covering import Rectangle
    from napari_pathsrgan.tiles.grid import PyramidGrid

_LEAST_THREADS = 3
"""One in the network, one reading ahead, one compressing and writing."""

Progress = Callable[[int, int], None]
"""Given the 20× pixels done and to do."""
Executor = Callable[["ExactLevels", "PyramidStore", Sequence[Job]], Iterator[tuple[Job, WriteSummary]]]
"""A way to have jobs done; yields each with what was done, in any order."""


def write_whole_slide(
    super_resolved: ExactLevels,
    path: Path,
    region: RegionUm | Path | Region | None = None,
    *,
    blend: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> WriteSummary:
    """Write every level of a super-resolved slide as OME-Zarr, or go on where an earlier run stopped.

    Parameters
    ----------
    super_resolved : ExactLevels
    path : Path
        Ends in .ome.zarr; a store of the same slide and model is filled further.
    region : (row, col, height, width) in µm, Path of a GeoJSON file, or Region, optional
        Part of the slide; all of it otherwise. Tiles that touch it are written whole.
    blend : bool
        Add overlapping windows up with the paper's weights (Ma et al. 2020 § IV-D) instead of computing exact tiles.
    executor : callable, optional
        Who does the jobs: a `cluster.Cluster`; by default this machine.
    progress : callable, optional
        Given the 20× pixels done and to do.

    Returns
    -------
    WriteSummary
        With the places that the slide's file does not give; their tiles stay missing.

    Raises
    ------
    OutputError
        If the place holds something else, is read-only or full, goes away, or another process writes there; what was
        written stays usable.
    StoreMismatchError
        If the store there belongs to another slide or model, or is blended where exact tiles are wanted.
    SlideUnreadableError
        If the slide's file goes away.
    OptionError
        If the region lies outside the slide.
    """
    blocks = WINDOW_BLOCKS if blend else window_blocks(super_resolved.runner.halo)
    computed, coarse = plan(super_resolved.grid, find_region(region, super_resolved.slide), blocks)
    if not computed:
        raise outside(super_resolved.slide)
    with only_writer(path):
        return _fill(super_resolved, path, (computed, coarse), blend, executor, progress)


def _fill(
    super_resolved: ExactLevels,
    path: Path,
    plans: tuple[Sequence[Job], Sequence[Job]],
    blend: bool,
    executor: Executor | None,
    progress: Progress | None,
) -> WriteSummary:
    """Do the jobs of the computed levels, then those of the coarser ones, which show what is computed under them."""
    computed, coarse = plans
    remove_partial(path)
    store = open_store(super_resolved, path, blend)
    store.remove_leftovers()
    _discard_outdated(store, computed, coarse)
    pixels = {job: job.pixels(super_resolved.grid) for job in computed}
    total, done_px, done = sum(pixels.values()), 0, WriteSummary()
    try:
        for jobs in plans:
            for job, filled in (executor or (in_overlap if blend else in_threads))(super_resolved, store, jobs):
                done += filled
                done_px += pixels.get(job, 0)
                if progress:
                    progress(done_px, total)
    except KeyboardInterrupt:
        _record_areas(super_resolved, store)
        raise
    _refuse_vanished(super_resolved.grid, store, [*computed, *coarse], done)
    _record_areas(super_resolved, store)
    return done


def _refuse_vanished(grid: PyramidGrid, store: PyramidStore, jobs: Sequence[Job], done: WriteSummary) -> None:
    """Raise OutputError where a tile is missing in the end that the slide does give."""
    unreadable = set(done.unreadable)
    for job in jobs:
        for tile, level in product(job.tiles, (0, 1) if job.level == 0 else (job.level,)):
            if not store.has(level, *tile) and grid.tile_um(job.level, *tile) not in unreadable:
                raise gone_error(store.path)


def _discard_outdated(store: PyramidStore, computed: Sequence[Job], coarse: Sequence[Job]) -> None:
    """Remove coarse tiles over places that are about to be computed, before they are."""
    missing = {tile for job in computed for tile in job.tiles if not store.has(0, *tile)}
    for job in coarse:
        for tile in job.tiles:
            rows, cols = blocks_under(store, job.level, *tile)
            if store.has(job.level, *tile) and not missing.isdisjoint(
                product(range(rows.start, rows.stop), range(cols.start, cols.stop))
            ):
                store.discard(job.level, *tile)


def _record_areas(super_resolved: ExactLevels, store: PyramidStore) -> None:
    """Say in the store which areas are computed."""
    grid, there = super_resolved.grid, list(store.tiles(0))
    n_rows, n_cols = grid.n_tiles(0)
    rectangles = [_rectangle_um(grid, blocks) for blocks in rectangles_of(there)]
    store.set_areas(ComputedAreas(len(there) == n_rows * n_cols, tuple(rectangles)))


def _rectangle_um(grid: PyramidGrid, blocks: Rectangle) -> RectangleUm:
    first = grid.tile_um(0, blocks.row, blocks.col)
    last = grid.tile_um(0, blocks.row + blocks.height - 1, blocks.col + blocks.width - 1)
    height = last.row_um + last.height_um - first.row_um
    width = last.col_um + last.width_um - first.col_um
    return RectangleUm(first.row_um, first.col_um, height, width)


def in_threads(
    super_resolved: ExactLevels, store: PyramidStore, jobs: Iterable[Job]
) -> Iterator[tuple[Job, WriteSummary]]:
    """Do jobs in a few threads of this process, exactly; see `Executor`."""
    under_way: dict[Future[WriteSummary], Job] = {}
    with super_resolved.runner.at_once() as at_once:
        fill = TileWriter(super_resolved, store, at_once).fill
        threads = max(at_once, _LEAST_THREADS)
        with ThreadPoolExecutor(threads, thread_name_prefix="pathsrgan-tiles") as pool:
            try:
                for job in jobs:
                    if len(under_way) >= 2 * threads:
                        yield from _finished(under_way)
                    under_way[pool.submit(fill, job)] = job
                while under_way:
                    yield from _finished(under_way)
            finally:  # on an error or Ctrl-C, what is under way is finished, and what waits is dropped
                pool.shutdown(wait=True, cancel_futures=True)


def in_overlap(
    super_resolved: ExactLevels, store: PyramidStore, jobs: Sequence[Job]
) -> Iterator[tuple[Job, WriteSummary]]:
    """Do jobs on this machine, the computed levels blended; see `Executor`."""
    yield from in_threads(super_resolved, store, [job for job in jobs if job.level])
    yield from BlendedTileWriter(super_resolved, store).fill([job for job in jobs if not job.level])


def _finished(under_way: dict[Future[WriteSummary], Job]) -> Iterator[tuple[Job, WriteSummary]]:
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        yield under_way.pop(future), future.result()
