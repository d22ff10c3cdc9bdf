"""Fill a pyramid store with what is missing: a whole slide or a region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.inference.disk_cache import open_store
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, RectangleUm

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

_BLOCKS_PER_WINDOW = 2
"""Blocks a side computed in one go: 2 × 2 share their halo and still fit a laptop's memory."""


def export(
    super_resolved: SuperResolvedSlide,
    path: Path,
    region_um: tuple[float, float, float, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write every level of a super-resolved slide as OME-Zarr, or go on where an earlier export stopped.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    path : Path
        Ends in .ome.zarr; a store of the same slide and model is filled further.
    region_um : (row, col, height, width), optional
        Part of the slide, µm; all of it otherwise. Tiles that touch it are written whole.
    progress : callable, optional
        Given the tiles done and to do.

    Raises
    ------
    OutputError
        If the place holds something else, is read-only or full; what was written stays usable.
    StoreMismatchError
        If the store there belongs to another slide or model.
    OptionError
        If the region lies outside the slide.
    """
    grid = super_resolved.grid
    region = RectangleUm(*region_um) if region_um else RectangleUm(0.0, 0.0, *super_resolved.slide.extent_um)
    tiles = {level: grid.tiles_in(level, *grid.slices_um(level, region)) for level in range(grid.n_levels)}
    if not tiles[0]:
        height, width = super_resolved.slide.extent_um
        raise OptionError(
            f"The region lies outside the slide, which is {height:.0f} × {width:.0f} µm.",
            "Give it as row, column, height and width in µm from the upper-left corner.",
        )
    store = open_store(super_resolved, path)
    total, done = sum(map(len, tiles.values())), 0

    def count(tiles_done: int) -> None:
        nonlocal done
        done += tiles_done
        if progress:
            progress(done, total)

    # Coarse levels first: they are cheap, and other tools can show the slide at once.
    for level in reversed(range(SLIDE_LEVEL, grid.n_levels)):
        for row, col in tiles[level]:
            if not store.has(level, row, col):
                store.write(level, row, col, super_resolved.compute_tile(level, row, col))
            count(1)
    blocks = set(tiles[0]) | set(tiles[1])
    for window in _windows(blocks):
        if not all(store.has(level, row, col) for row, col in window for level in (0, 1)):
            _write_window(super_resolved, store, window)
        count(sum((row, col) in set(tiles[level]) for row, col in window for level in (0, 1)))


def _windows(blocks: set[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Group blocks by the windows of an absolute grid, row by row."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, col in sorted(blocks):
        groups.setdefault((row // _BLOCKS_PER_WINDOW, col // _BLOCKS_PER_WINDOW), []).append((row, col))
    yield from groups.values()


def _write_window(super_resolved: SuperResolvedSlide, store: PyramidStore, blocks: list[tuple[int, int]]) -> None:
    top, left = min(row for row, _ in blocks), min(col for _, col in blocks)
    n_rows, n_cols = (max(block[axis] for block in blocks) - (top, left)[axis] + 1 for axis in (0, 1))
    runner = super_resolved.runner
    window = super_resolved.read_window(top, left, n_rows, n_cols)
    pictures = runner.run(window, stage=2, glass=super_resolved.glass, halo=runner.halo)
    for key, tile in super_resolved.cut_tiles(top, left, n_rows, n_cols, pictures):
        if (key.row, key.col) in blocks and not store.has(key.level, key.row, key.col):
            store.write(key.level, key.row, key.col, tile)
