"""Rectangles of blocks: they hold what is asked for, once, and cost little."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pathsrgan.tiles.covering import cover, largest_side
from napari_pathsrgan.tiles.grid import CORE

BLOCKS = st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)))


@given(BLOCKS, st.sampled_from([16, 32]), st.tuples(st.integers(0, 90), st.integers(0, 90)))
def test_every_block_is_held_once_and_rectangles_do_not_overlap(
    blocks: set[tuple[int, int]], halo: int, corner: tuple[int, int]
) -> None:
    moved = {(row + corner[0], col + corner[1]) for row, col in blocks}
    rectangles = cover(moved, halo)
    held = [
        (row, col)
        for rectangle in rectangles
        for row in range(rectangle.row, rectangle.row + rectangle.n_rows)
        for col in range(rectangle.col, rectangle.col + rectangle.n_cols)
    ]
    assert len(held) == len(set(held))
    assert moved <= set(held)
    assert all(max(rectangle.n_rows, rectangle.n_cols) <= largest_side(halo) for rectangle in rectangles)
    away = [
        rectangle._replace(row=rectangle.row - corner[0], col=rectangle.col - corner[1]) for rectangle in rectangles
    ]
    assert away == cover(blocks, halo)


@given(BLOCKS, st.sampled_from([16, 32]))
def test_it_never_costs_more_than_block_by_block(blocks: set[tuple[int, int]], halo: int) -> None:
    cost = sum(rectangle.computed_px(halo) for rectangle in cover(blocks, halo))
    assert cost <= len(blocks) * (CORE + 2 * halo) ** 2


@pytest.mark.parametrize(("halo", "side"), [(8, 1), (16, 2), (32, 4)])
def test_a_full_window_costs_at_most_a_third_more_than_it_keeps(halo: int, side: int) -> None:
    assert largest_side(halo) == side
    full = [(row, col) for row in range(4) for col in range(4)]
    cost = sum(rectangle.computed_px(halo) for rectangle in cover(full, halo))
    assert cost <= 1.3 * 16 * CORE**2


def test_glass_between_cells_is_left_out_where_that_is_cheaper() -> None:
    corners = [(0, 0), (3, 3)]
    assert [tuple(rectangle) for rectangle in cover(corners, 16)] == [(0, 0, 1, 1), (3, 3, 1, 1)]
    assert cover([], 16) == []
