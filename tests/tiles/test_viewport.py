"""Whatever a viewer asks an array, the region and the rest of the index give NumPy's answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.tiles.grid import PART_PX, PyramidGrid
from napari_pathsrgan.tiles.viewport import (
    ancestor_tiles,
    part_in_sight,
    prefetch_tiles,
    split_index,
    visible_tiles,
)

SHAPE = (40, 30, 3)
LEVEL = np.arange(np.prod(SHAPE)).reshape(SHAPE)


@pytest.mark.parametrize(
    "index",
    [
        pytest.param((slice(8, 24), slice(0, 16), slice(None)), id="napari with channels"),
        pytest.param((slice(8, 24, 1), slice(0, 16, 1)), id="napari without channels"),
        pytest.param((slice(np.int64(8), np.int64(400)), slice(np.int32(-9), None)), id="numpy integers, past the end"),
        pytest.param((5, slice(3, 9)), id="one row"),
        pytest.param((-1, np.int64(7), 2), id="one value"),
        pytest.param((slice(3, 9), slice(3, 9), 0), id="one channel"),
        pytest.param((..., 1), id="all of one channel"),
        pytest.param((slice(4, 5), ..., slice(0, 2)), id="dots in the middle"),
        pytest.param(..., id="all"),
        pytest.param(slice(3, 7), id="some rows"),
        pytest.param(12, id="a row by number"),
        pytest.param((slice(9, 3), slice(None)), id="nothing"),
        pytest.param((), id="empty tuple"),
        pytest.param((0, 1, 2, ...), id="dots for no axis"),
    ],
)
def test_index_taken_apart_gives_what_numpy_gives(index: Any) -> None:
    rows, cols, rest = split_index(index, SHAPE)
    np.testing.assert_array_equal(LEVEL[rows, cols][rest], LEVEL[index])


@settings(deadline=None)
@given(data=st.data())
def test_any_index_taken_apart_gives_what_numpy_gives(data: st.DataObject) -> None:
    def axis(length: int) -> st.SearchStrategy[int | slice]:
        edge = st.none() | st.integers(-2 * length, 2 * length)
        return st.integers(-length, length - 1) | st.builds(slice, edge, edge)

    index = data.draw(st.tuples(axis(SHAPE[0]), axis(SHAPE[1])) | st.tuples(*map(axis, SHAPE)))
    rows, cols, rest = split_index(index, SHAPE)
    assert 0 <= rows.start <= rows.stop <= SHAPE[0]
    np.testing.assert_array_equal(LEVEL[rows, cols][rest], LEVEL[index])


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ((0, 0, 0, 0), IndexError),
        ((..., ...), IndexError),
        ((40, 0), IndexError),
        ((slice(0, 8, 2),), ValueError),
        ((slice(8, 0, -1),), ValueError),
    ],
)
def test_indices_that_make_no_sense_are_refused(index: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        split_index(index, SHAPE)


def test_ring_in_the_middle_and_in_a_corner() -> None:
    grid = PyramidGrid.over_slide((2000, 2000))
    assert visible_tiles(grid, 0, slice(1000, 1024), slice(600, 700)) == [(1, 1)]
    assert prefetch_tiles(grid, 0, slice(1000, 1024), slice(600, 700)) == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)
    ]  # fmt: skip
    assert prefetch_tiles(grid, 0, slice(0, 10), slice(0, 10)) == [(0, 1), (1, 0), (1, 1)]


@settings(deadline=None)
@given(
    level=st.integers(0, 3),
    top=st.integers(-300, 9000),
    left=st.integers(-300, 9000),
    height=st.integers(0, 3000),
    width=st.integers(0, 3000),
    ring=st.integers(0, 2),
)
def test_ring_and_visible_tiles_make_a_rectangle(
    level: int, top: int, left: int, height: int, width: int, ring: int
) -> None:
    grid = PyramidGrid.over_slide((2100, 1900))
    region = slice(top, top + height), slice(left, left + width)
    visible, around = visible_tiles(grid, level, *region), prefetch_tiles(grid, level, *region, ring)
    assert not set(visible) & set(around)
    if not visible:
        assert not around
        return
    n_rows, n_cols = grid.n_tiles(level)
    seen_rows, seen_cols = [row for row, _ in visible], [col for _, col in visible]
    assert set(visible) | set(around) == {
        (row, col)
        for row in range(max(min(seen_rows) - ring, 0), min(max(seen_rows) + ring + 1, n_rows))
        for col in range(max(min(seen_cols) - ring, 0), min(max(seen_cols) + ring + 1, n_cols))
    }


def test_ancestors_under_a_region() -> None:
    grid = PyramidGrid.over_slide((2000, 2000))
    assert ancestor_tiles(grid, 0, slice(1100, 1200), slice(2100, 2200), 2) == [(1, 2)]
    assert ancestor_tiles(grid, 0, slice(1024, 1200), slice(2100, 2200), 2) == [(0, 2), (1, 2)]  # the margin's share


@settings(deadline=None)
@given(level=st.integers(0, 1), data=st.data())
def test_a_part_holds_what_is_in_sight_and_no_square_more(level: int, data: st.DataObject) -> None:
    grid = PyramidGrid.over_slide((300, 421))
    height, width = grid.level_shapes[level]
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows = slice(top, data.draw(st.integers(top + 1, height)))
    cols = slice(left, data.draw(st.integers(left + 1, width)))
    step = PART_PX << 2 - level
    for row, col in grid.tiles_in(level, rows, cols):
        part = part_in_sight(grid, level, row, col, rows, cols)
        whole = grid.tile_slices(level, row, col)
        for held, tile, seen in zip(grid.tile_slices(level, row, col, part), whole, (rows, cols), strict=True):
            first, last = max(tile.start, seen.start), min(tile.stop, seen.stop)
            assert first - step < held.start <= first
            assert last <= held.stop < last + step
        if part is not None:
            assert grid.tile_slices(level, row, col, part) != whole
