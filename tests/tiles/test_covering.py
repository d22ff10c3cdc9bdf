"""Rectangles of a window: they hold what is asked for, once, and cost little."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_pathsrgan.tiles.covering import GRID_STEP, PART_PX, Rectangle, cover, largest_side

CELLS = arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
HALOS = st.sampled_from([16, 32])


def pixels(cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Make a window of squares that are wanted or not."""
    return cells.repeat(PART_PX, axis=0).repeat(PART_PX, axis=1)


@given(CELLS, HALOS, st.integers(0, 20), st.integers(0, PART_PX - 1))
def test_each_pixel_is_in_one_rectangle_and_what_is_wanted_in_those_to_compute(
    cells: npt.NDArray[np.bool_], halo: int, lack_px: int, at: int
) -> None:
    wanted = np.zeros((PART_PX * cells.shape[0] - lack_px, PART_PX * cells.shape[1] - lack_px), bool)
    places = wanted[at::PART_PX, at::PART_PX]
    places[:] = cells[: places.shape[0], : places.shape[1]]
    computed, left = cover(wanted, halo)
    times = np.zeros(wanted.shape, int)
    for rectangle in computed + left:
        assert rectangle.row % GRID_STEP == rectangle.col % GRID_STEP == 0
        times[rectangle.slices()] += 1
    assert (times == 1).all()
    assert not any(wanted[rectangle.slices()].any() for rectangle in left)
    assert all(wanted[rectangle.slices()].any() for rectangle in computed)
    assert all(max(rectangle.height, rectangle.width) <= largest_side(halo) for rectangle in computed)


def cost(cells: npt.NDArray[np.bool_], halo: int) -> int:
    return sum(rectangle.computed_px(halo) for rectangle in cover(pixels(cells), halo)[0])


@given(CELLS, HALOS)
def test_it_costs_no_more_than_any_first_cut_or_none(cells: npt.NDArray[np.bool_], halo: int) -> None:
    cheapest = cost(cells, halo)
    cuts = [(cells[:at], cells[at:]) for at in range(1, cells.shape[0])]
    cuts += [(cells[:, :at], cells[:, at:]) for at in range(1, cells.shape[1])]
    ways = [sum(cost(part, halo) for part in cut) for cut in cuts]
    side = max(cells.shape)
    if PART_PX * side <= largest_side(halo):
        whole = Rectangle(0, 0, PART_PX * cells.shape[0], PART_PX * cells.shape[1])
        ways.append(whole.computed_px(halo) if cells.any() else 0)
    assert cheapest == min(ways, default=0)


@pytest.mark.parametrize(("halo", "side_px"), [(8, 384), (16, 384), (32, 512)])
def test_a_full_window_costs_at_most_a_third_more_than_it_keeps(halo: int, side_px: int) -> None:
    assert largest_side(halo) == side_px
    computed, left = cover(np.ones((512, 512), bool), halo)
    assert not left
    assert sum(rectangle.computed_px(halo) for rectangle in computed) <= 1.3 * 512**2


def test_background_between_cells_is_left_out_where_that_is_cheaper() -> None:
    corners = np.zeros((512, 512), bool)
    corners[:100, :100] = corners[-100:, -100:] = True
    computed, _ = cover(corners, 16)
    assert computed == [Rectangle(0, 0, 104, 104), Rectangle(408, 408, 104, 104)]
    near = pixels(np.array([[True, True], [True, False]]))
    assert cover(near, 16)[0] == [Rectangle(0, 0, 64, 64)]


@given(arrays.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.booleans()))
def test_nothing_is_computed_beyond_what_is_wanted_but_for_the_grids_steps(wanted: npt.NDArray[np.bool_]) -> None:
    for rectangle in cover(wanted, 16)[0]:
        inside = wanted[rectangle.slices()]
        for axis, side in enumerate((rectangle.height, rectangle.width)):
            places = np.flatnonzero(inside.any(axis=1 - axis))
            assert places[0] < GRID_STEP
            assert places[-1] >= side - GRID_STEP


def test_nothing_wanted_is_one_rectangle_left() -> None:
    assert cover(np.zeros((200, 300), bool), 16) == ([], [Rectangle(0, 0, 200, 300)])
