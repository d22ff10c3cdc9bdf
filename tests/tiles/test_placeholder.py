"""What is drawn is sharp where tiles are there, soft without seams or shifts where they aren't, and quick."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.tiles.grid import PyramidGrid
from napari_pathsrgan.tiles.placeholder import Lookup, Patch, compose
from napari_pathsrgan.types import Pixels

SMALL = PyramidGrid(
    level_shapes=((148, 108), (74, 54), (37, 27), (19, 14), (10, 7)),
    level_mpps=(0.25, 0.5, 1.0, 2.0, 4.0),
    tile_px=(16, 8, 8, 8, 8),
)


def pictures(grid: PyramidGrid, seed: int = 0) -> list[Pixels]:
    """One unlike picture per level, so that a pixel tells where it came from."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in grid.level_shapes]


def cached(grid: PyramidGrid, levels: list[Pixels], there: Callable[[int, int, int], bool]) -> Lookup:
    def lookup(level: int, row: int, col: int) -> list[Patch]:
        place = grid.tile_slices(level, row, col)
        return [Patch(*place, levels[level][place])] if there(level, row, col) else []

    return lookup


def doubled(picture: Pixels, shape: tuple[int, int]) -> Pixels:
    big = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return np.asarray(big[: shape[0], : shape[1]], np.uint8)


@st.composite
def regions(draw: st.DrawFn, shape: tuple[int, int]) -> tuple[slice, slice]:
    top, left = draw(st.integers(0, shape[0])), draw(st.integers(0, shape[1]))
    return slice(top, draw(st.integers(top, shape[0]))), slice(left, draw(st.integers(left, shape[1])))


@settings(deadline=None)
@given(level=st.integers(0, 4), data=st.data())
def test_sharp_tiles_come_out_as_they_are(level: int, data: st.DataObject) -> None:
    levels = pictures(SMALL)
    rows, cols = data.draw(regions(SMALL.level_shapes[level]))
    drawn = compose(level, rows, cols, SMALL, cached(SMALL, levels, lambda *_: True), levels[-1])
    np.testing.assert_array_equal(drawn, levels[level][rows, cols])


@settings(deadline=None)
@given(seed=st.integers(0, 1000), level=st.integers(0, 4), data=st.data())
def test_a_region_is_the_same_whatever_was_asked_for_around_it(seed: int, level: int, data: st.DataObject) -> None:
    levels = pictures(SMALL)
    chance = np.random.default_rng(seed).random((5, 20, 20))
    lookup = cached(SMALL, levels, lambda level, row, col: bool(chance[level, row, col] < 0.5))
    rows, cols = data.draw(regions(SMALL.level_shapes[level]))
    whole = compose(level, slice(0, 999), slice(0, 999), SMALL, lookup, levels[-1])
    np.testing.assert_array_equal(compose(level, rows, cols, SMALL, lookup, levels[-1]), whole[rows, cols])


def test_tiles_of_an_ancestor_are_enlarged_as_one_picture() -> None:
    levels = pictures(SMALL)
    lookup = cached(SMALL, levels, lambda level, *_: level == 2)
    drawn = compose(0, slice(0, 148), slice(0, 108), SMALL, lookup, levels[-1])
    in_one_piece = doubled(doubled(levels[2], SMALL.level_shapes[1]), SMALL.level_shapes[0])
    np.testing.assert_array_equal(drawn, in_one_piece)


@pytest.mark.parametrize("level", [3, 2, 1, 0])
def test_a_ramp_over_the_slide_stays_where_it_was(level: int) -> None:
    slope = 20  # grey levels per pixel of the coarsest level: half a pixel off at level 0 would be 0.6

    def ramp(at: int) -> Pixels:
        rows_um = (np.arange(SMALL.level_shapes[at][0]) + 0.5) * SMALL.level_mpps[at]
        values = np.rint(rows_um * slope / SMALL.level_mpps[-1] + 10)
        return np.broadcast_to(values[:, None, None], (*SMALL.level_shapes[at], 3)).astype(np.uint8)

    drawn = compose(level, slice(0, 999), slice(0, 999), SMALL, lambda *_: (), ramp(4))
    edge = 3 << 4 - level  # where the picture's last pixel is repeated a ramp has no end
    error = drawn[edge:-edge].astype(int) - ramp(level)[edge:-edge]
    assert abs(error).max() <= 2  # OpenCV's cubic (a = -0.75) makes slight waves of a ramp
    assert abs(error.mean()) < 0.3


def test_the_nearest_cached_ancestor_shows() -> None:
    flat = [np.full((*shape, 3), 20 * (level + 1), np.uint8) for level, shape in enumerate(SMALL.level_shapes)]
    there = {(0, 0, 0), (1, 0, 1), (2, 1, 1)}
    lookup = cached(SMALL, flat, lambda *tile: tile in there)
    drawn = compose(0, slice(0, 148), slice(0, 108), SMALL, lookup, flat[-1])
    assert drawn[8, 8, 0] == 20  # its own tile
    assert drawn[8, 24, 0] == 40  # 10×
    assert drawn[48, 48, 0] == 60  # the slide
    assert drawn[120, 80, 0] == 100  # the coarsest level


def test_regions_are_cropped_to_the_level_and_the_array_is_new() -> None:
    levels = pictures(SMALL)
    lookup = cached(SMALL, levels, lambda *_: True)
    drawn = compose(4, slice(-5, 99), slice(3, 99), SMALL, lookup, levels[-1])
    assert drawn.shape == (10, 4, 3)
    drawn[:] = 0
    assert levels[-1].any()
    assert compose(0, slice(500, 600), slice(0, 10), SMALL, lookup, levels[-1]).shape == (0, 10, 3)


@settings(deadline=None)
@given(data=st.data())
def test_a_part_of_a_tile_is_sharp_and_soft_around(data: st.DataObject) -> None:
    levels = pictures(SMALL)
    soft = compose(0, slice(0, 148), slice(0, 108), SMALL, lambda *_: (), levels[-1])
    place = data.draw(regions(SMALL.level_shapes[0]))
    place = tuple(SMALL.clip(0, *(slice(max(16, part.start), min(32, part.stop)) for part in place)))
    place = tuple(slice(part.start, max(part.start, part.stop)) for part in place)
    parts = {(0, 1, 1): [Patch(*place, levels[0][place])]}
    drawn = compose(0, slice(0, 148), slice(0, 108), SMALL, lambda *tile: parts.get(tile, ()), levels[-1])
    mixed = soft.copy()
    mixed[place] = levels[0][place]
    np.testing.assert_array_equal(drawn, mixed)


def test_a_fallback_of_another_slide_is_refused() -> None:
    with pytest.raises(ValueError, match="coarsest"):
        compose(0, slice(0, 9), slice(0, 9), SMALL, lambda *_: (), np.zeros((10, 8, 3), np.uint8))


def test_a_full_screen_costs_little_more_than_the_plain_enlargement() -> None:
    grid = PyramidGrid.over_slide((2000, 2000))
    slide, coarsest = (np.zeros((*grid.level_shapes[level], 3), np.uint8) for level in (2, -1))
    places = {tile: grid.tile_slices(2, *tile) for tile in grid.tiles_in(2, slice(0, 2000), slice(0, 2000))}
    tiles = {tile: [Patch(*place, slide[place])] for tile, place in places.items()}
    region = slice(2100, 2100 + 1080), slice(3300, 3300 + 1920)

    def placeholder() -> None:
        compose(0, *region, grid, lambda level, row, col: tiles[row, col] if level == 2 else (), coarsest)

    def plain() -> None:
        cv2.resize(slide[:270, :480], (1920, 1080), interpolation=cv2.INTER_CUBIC)

    def best(work: Callable[[], None]) -> float:
        times = []
        for _ in range(9):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
        return min(times)

    assert best(placeholder) < 6 * best(plain)
