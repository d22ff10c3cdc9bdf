"""The grid covers every pixel once, agrees with itself across levels, and speaks µm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.tiles.grid import CORE, GRID_STEP, PyramidGrid, RectangleUm, Window, block_window, snap_window

SIZES = st.integers(1, 3000)


def test_levels_of_a_slide_of_odd_size() -> None:
    grid = PyramidGrid.over_slide((1301, 2047), coarsest_px=600)
    assert grid.level_shapes == ((5204, 8188), (2602, 4094), (1301, 2047), (651, 1024), (326, 512))
    assert grid.tile_px == (512, 256, 256, 256, 256)
    assert grid.level_mpps == pytest.approx((0.293, 0.586, 1.172, 2.344, 4.688))
    assert grid.n_tiles(0) == grid.n_tiles(1) == (11, 16)
    assert grid.tile_shape(0, 10, 15) == (5204 - 5120, 8188 - 7680)


def test_a_small_slide_still_has_its_own_level() -> None:
    grid = PyramidGrid.over_slide((3, 5))
    assert grid.level_shapes == ((12, 20), (6, 10), (3, 5))


@settings(deadline=None)
@given(rows=SIZES, cols=SIZES, data=st.data())
def test_every_pixel_of_every_level_is_in_one_tile(rows: int, cols: int, data: st.DataObject) -> None:
    grid = PyramidGrid.over_slide((rows, cols), coarsest_px=64)
    level = data.draw(st.integers(0, grid.n_levels - 1))
    height, width = grid.level_shapes[level]
    covered_rows, covered_cols = np.zeros(height, int), np.zeros(width, int)
    n_rows, n_cols = grid.n_tiles(level)
    for row in range(n_rows):
        covered_rows[grid.tile_slices(level, row, 0)[0]] += 1
    for col in range(n_cols):
        covered_cols[grid.tile_slices(level, 0, col)[1]] += 1
    assert (covered_rows == 1).all()
    assert (covered_cols == 1).all()


@settings(deadline=None)
@given(rows=SIZES, cols=SIZES, data=st.data())
def test_tiles_of_any_region_are_those_that_share_a_pixel_with_it(rows: int, cols: int, data: st.DataObject) -> None:
    grid = PyramidGrid.over_slide((rows, cols), coarsest_px=64)
    level = data.draw(st.integers(0, grid.n_levels - 1))
    place = st.integers(-700, 4 * 3000 + 700)
    top, left = data.draw(place), data.draw(place)
    region = slice(top, top + data.draw(st.integers(0, 1500))), slice(left, left + data.draw(st.integers(0, 1500)))
    found = grid.tiles_in(level, *region)

    def touched(axis: int) -> list[int]:
        side, length = grid.tile_px[level], grid.level_shapes[level][axis]
        pixels = np.arange(max(region[axis].start, 0), min(region[axis].stop, length))
        return sorted({int(pixel) for pixel in pixels // side})

    assert found == [(row, col) for row in touched(0) for col in touched(1)]


@settings(deadline=None)
@given(rows=SIZES, cols=SIZES, data=st.data())
def test_a_parent_holds_the_whole_tile(rows: int, cols: int, data: st.DataObject) -> None:
    grid = PyramidGrid.over_slide((rows, cols), coarsest_px=64)
    level = data.draw(st.integers(0, grid.n_levels - 1))
    coarser = data.draw(st.integers(level, grid.n_levels - 1))
    n_rows, n_cols = grid.n_tiles(level)
    row, col = data.draw(st.integers(0, n_rows - 1)), data.draw(st.integers(0, n_cols - 1))
    pixels = grid.tile_slices(level, row, col)
    around = grid.tile_slices(coarser, *grid.parent(level, row, col, coarser))
    for inner, outer in zip(pixels, around, strict=True):
        downsample = 2 ** (coarser - level)
        assert outer.start * downsample <= inner.start
        assert inner.stop <= outer.stop * downsample


def test_there_is_no_tile_past_the_edge() -> None:
    grid = PyramidGrid.over_slide((600, 600))
    with pytest.raises(IndexError, match="none at"):
        grid.tile_slices(2, 3, 0)
    with pytest.raises(ValueError, match="no level"):
        grid.parent(2, 0, 0, 1)


@pytest.mark.parametrize(
    ("shapes", "mpps", "sides"),
    [
        pytest.param(((8, 8), (4, 4)), (1.0,), (4, 4), id="a pixel size is missing"),
        pytest.param(((9, 8), (4, 4)), (1.0, 2.0), (4, 4), id="half is rounded down"),
        pytest.param((), (), (), id="no level"),
    ],
)
def test_levels_that_do_not_fit_are_refused(
    shapes: tuple[tuple[int, int], ...], mpps: tuple[float, ...], sides: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"level|Level"):
        PyramidGrid(shapes, mpps, sides)


def test_tiles_of_both_computed_levels_lie_on_their_block() -> None:
    grid = PyramidGrid.over_slide((1000, 1000))
    for row, col in [(0, 0), (3, 5), (7, 7)]:
        assert grid.tile_um(0, row, col) == pytest.approx(grid.tile_um(1, row, col))
    assert grid.tile_um(0, 3, 5) == pytest.approx(RectangleUm(3 * 150.016, 5 * 150.016, 150.016, 150.016))


@settings(deadline=None)
@given(level=st.integers(0, 4), row=st.integers(0, 60), col=st.integers(0, 60))
def test_um_and_back(level: int, row: int, col: int) -> None:
    grid = PyramidGrid.over_slide((9000, 9000))
    n_rows, n_cols = grid.n_tiles(level)
    row, col = min(row, n_rows - 1), min(col, n_cols - 1)
    area = grid.tile_um(level, row, col)
    assert grid.slices_um(level, area) == grid.tile_slices(level, row, col)
    assert grid.tile_at_um(level, area.row_um, area.col_um) == (row, col)
    centre = area.row_um + area.height_um / 2, area.col_um + area.width_um / 2
    assert grid.tile_at_um(level, *centre) == (row, col)


def test_a_point_off_the_slide_has_no_tile() -> None:
    with pytest.raises(IndexError, match="outside"):
        PyramidGrid.over_slide((600, 600)).tile_at_um(0, -1.0, 5.0)


def test_window_of_a_block_at_the_corner_overshoots_the_slide() -> None:
    assert block_window(0, 0, 1, 1, 32) == Window(-32, -32, 192, 192)
    assert block_window(2, 5, 2, 3, 16) == Window(2 * CORE - 16, 5 * CORE - 16, 2 * CORE + 32, 3 * CORE + 32)


@pytest.mark.parametrize(("blocks", "halo"), [((1, 1), 12), ((1, 1), -8), ((0, 1), 32)])
def test_windows_off_the_grid_are_refused(blocks: tuple[int, int], halo: int) -> None:
    with pytest.raises(ValueError, match=r"halo|blocks"):
        block_window(0, 0, *blocks, halo)


@settings(deadline=None)
@given(
    row=st.integers(-500, 500),
    col=st.integers(-500, 500),
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    step=st.sampled_from([GRID_STEP, 128]),
)
def test_snapped_windows_are_the_smallest_on_the_grid(row: int, col: int, height: int, width: int, step: int) -> None:
    snapped = snap_window(row, col, height, width, step)
    assert all(edge % step == 0 for edge in snapped)
    assert row - step < snapped.row <= row
    assert col - step < snapped.col <= col
    assert row + height <= snapped.row + snapped.height < row + height + step
    assert col + width <= snapped.col + snapped.width < col + width + step
    assert snap_window(*snapped, step) == snapped
