"""What a viewer shows → tiles.

A viewer indexes a level's array with the part it is about to draw; napari grows that part to whole chunks, may leave
the channel axis out, and asks for single rows when it likes. These functions turn such an index into a region, and the
region into tiles: those in sight, those just out of sight, and those of a coarser level that a placeholder needs.
"""

from __future__ import annotations

import operator
from types import EllipsisType
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

from napari_pathsrgan.tiles.grid import PART_PX, SLIDE_LEVEL, TilePart

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.grid import PyramidGrid

PREFETCH_RING = 1
"""Tiles fetched around those in sight. Ours: one is as far as a hand pans before the view settles."""

IndexItem = SupportsIndex | slice | EllipsisType


class ViewIndex(NamedTuple):
    """An index into a (rows, cols, 3) level, taken apart.

    Attributes
    ----------
    rows, cols : slice
        Region to draw, 0 ≤ start ≤ stop ≤ length, step 1.
    rest : tuple of int or slice
        What remains to be done to the region's (h, w, 3) pixels for NumPy's answer to the whole index.
    """

    rows: slice
    cols: slice
    rest: tuple[int | slice, ...]


def split_index(index: IndexItem | tuple[IndexItem, ...], shape: tuple[int, int, int]) -> ViewIndex:
    """Take an index apart into the region it draws and what is left to do with the pixels.

    Parameters
    ----------
    index : int, slice, Ellipsis or tuple of them
        As given to ``level[index]``. Axes left out are taken whole.
    shape : (rows, cols, channels)
        Of the level, in pixels.

    Raises
    ------
    IndexError
        If there are more axes than three, or an integer lies outside.
    ValueError
        If rows or columns are skipped: a viewer that wants fewer pixels takes a coarser level.
    """
    items = _three_axes(index if isinstance(index, tuple) else (index,))
    rows, row_rest = _axis(items[0], shape[0])
    cols, col_rest = _axis(items[1], shape[1])
    channel = items[2] if isinstance(items[2], slice) else operator.index(items[2])
    return ViewIndex(rows, cols, (row_rest, col_rest, channel))


def visible_tiles(grid: PyramidGrid, level: int, rows: slice, cols: slice) -> list[tuple[int, int]]:
    """Tiles (row, col) of `level` that the region touches, row by row."""
    return grid.tiles_in(level, rows, cols)


def part_in_sight(grid: PyramidGrid, level: int, row: int, col: int, rows: slice, cols: slice) -> TilePart | None:
    """Find the least part of a computed tile that holds what a region shows of it.

    Parameters
    ----------
    grid : PyramidGrid
    level, row, col : int
        A tile of a computed level that the region touches.
    rows, cols : slice
        The region, in pixels of `level`.

    Returns
    -------
    TilePart or None
        None where that is the whole tile.
    """
    step = PART_PX << SLIDE_LEVEL - level
    spans = []
    for tile, seen in zip(grid.tile_slices(level, row, col), (rows, cols), strict=True):
        first = (max(seen.start, tile.start) - tile.start) // step
        last = -(-(min(seen.stop, tile.stop) - tile.start) // step)
        spans.append((first, last, -(-(tile.stop - tile.start) // step)))
    (top, bottom, height), (left, right, width) = spans
    part = TilePart(top, left, bottom, right)
    return None if part == TilePart(0, 0, height, width) else part


def prefetch_tiles(
    grid: PyramidGrid, level: int, rows: slice, cols: slice, ring: int = PREFETCH_RING
) -> list[tuple[int, int]]:
    """Tiles (row, col) of `level` at most `ring` tiles away from the region, without those it touches, row by row."""
    seen = set(visible_tiles(grid, level, rows, cols))
    if not seen:
        return []
    margin = ring * grid.tile_px[level]
    around = grid.tiles_in(
        level, slice(rows.start - margin, rows.stop + margin), slice(cols.start - margin, cols.stop + margin)
    )
    return [tile for tile in around if tile not in seen]


def ancestor_tiles(
    grid: PyramidGrid, level: int, rows: slice, cols: slice, coarser_level: int, margin: int = 4
) -> list[tuple[int, int]]:
    """Tiles of a coarser level that lie under a region: what its placeholder is made of.

    Parameters
    ----------
    grid : PyramidGrid
        Levels and tiles.
    level, rows, cols : int, slice, slice
        The region, in pixels of `level`.
    coarser_level : int
        Level whose tiles are asked for.
    margin : int
        Pixels of the coarser level added on each side. Enlarging by two takes two more on each side, and those two
        take one more for every further doubling between the levels, so four is enough however many there are.

    Returns
    -------
    list of (row, col)
        Row by row.
    """
    downsample = 1 << coarser_level - level
    return grid.tiles_in(
        coarser_level,
        slice(rows.start // downsample - margin, -(-rows.stop // downsample) + margin),
        slice(cols.start // downsample - margin, -(-cols.stop // downsample) + margin),
    )


def _three_axes(items: tuple[IndexItem, ...]) -> list[SupportsIndex | slice]:
    given: list[SupportsIndex | slice] = [item for item in items if not isinstance(item, EllipsisType)]
    if len(given) > 3 or len(items) - len(given) > 1:
        raise IndexError(f"A level has rows, columns and channels; the index {items} has more.")
    whole = [slice(None)] * (3 - len(given))
    at = next((place for place, item in enumerate(items) if isinstance(item, EllipsisType)), len(given))
    return [*given[:at], *whole, *given[at:]]


def _axis(item: SupportsIndex | slice, length: int) -> tuple[slice, int | slice]:
    if isinstance(item, slice):
        start, stop, step = item.indices(length)
        if step != 1:
            raise ValueError(f"A step of {step} pixels would draw pixels that are thrown away; take a coarser level.")
        return slice(start, max(start, stop)), slice(None)
    position = operator.index(item)
    if not -length <= position < length:
        raise IndexError(f"Pixel {position} lies outside an axis of {length}.")
    position %= length
    return slice(position, position + 1), 0
