from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.slides import resample
from napari_pathsrgan.slides.resample import (
    choose_level,
    cubic_taps,
    enlarge,
    enlarge_unrounded,
    grid_length,
    reflect_index,
    resample_array,
    resample_region,
)

from .synthetic import blob, centre_px

IMAGE = np.random.default_rng(5).integers(0, 256, (97, 131, 3), dtype=np.uint8)
MPPS = st.floats(0.1, 6.0)


def read_image(row: int, col: int, height: int, width: int) -> np.ndarray:
    """Read from IMAGE, insisting on windows inside it."""
    assert row >= 0
    assert col >= 0
    assert height > 0
    assert width > 0
    assert row + height <= IMAGE.shape[0]
    assert col + width <= IMAGE.shape[1]
    return IMAGE[row : row + height, col : col + width]


def region(source_mpp: tuple[float, float], target_mpp: float, window: tuple[int, int, int, int]) -> np.ndarray:
    return resample_region(read_image, IMAGE.shape[:2], source_mpp, target_mpp, *window)


@given(
    source=st.tuples(MPPS, MPPS),
    target=MPPS,
    first=st.tuples(st.integers(-40, 150), st.integers(-40, 150), st.integers(1, 60), st.integers(1, 60)),
    offset=st.tuples(st.integers(-30, 30), st.integers(-30, 30)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
@settings(max_examples=150, deadline=None)
def test_two_regions_of_one_grid_agree_to_the_bit(
    source: tuple[float, float],
    target: float,
    first: tuple[int, int, int, int],
    offset: tuple[int, int],
    size: tuple[int, int],
) -> None:
    second = (first[0] + offset[0], first[1] + offset[1], *size)
    top, left = max(first[0], second[0]), max(first[1], second[1])
    bottom = min(first[0] + first[2], second[0] + second[2])
    right = min(first[1] + first[3], second[1] + second[3])
    if top >= bottom or left >= right:
        return
    parts = [
        region(source, target, window)[top - window[0] : bottom - window[0], left - window[1] : right - window[1]]
        for window in (first, second)
    ]
    np.testing.assert_array_equal(parts[0], parts[1])


def test_a_region_larger_than_a_block_equals_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = region((1.465, 1.465), 1.172, (-5, -5, 130, 170))
    monkeypatch.setattr(resample, "BLOCK_SOURCE_PX", 20)
    np.testing.assert_array_equal(region((1.465, 1.465), 1.172, (-5, -5, 130, 170)), whole)


@pytest.mark.parametrize("mpp", [0.293, 0.586, 1.172, 1.465, 4.0])
def test_resample_array_gives_the_pixels_of_resample_region(mpp: float) -> None:
    whole = resample_array(IMAGE, 1.465, mpp)
    rows, cols = grid_length(97 * 1.465, mpp), grid_length(131 * 1.465, mpp)
    assert whole.shape == (rows, cols, 3)
    np.testing.assert_array_equal(region((1.465, 1.465), mpp, (0, 0, rows, cols)), whole)


@given(
    centre=st.tuples(st.floats(130, 170), st.floats(130, 170)),
    grids=st.sampled_from(
        [(0.293, 0.586), (0.293, 1.172), (0.293, 1.465), (1.465, 1.172), (1.172, 0.586), (1.465, 0.293)]
    ),
)
@settings(max_examples=40, deadline=None)
def test_a_dot_keeps_its_place_on_every_grid(centre: tuple[float, float], grids: tuple[float, float]) -> None:
    source_mpp, target_mpp = grids
    side = round(300 / source_mpp)
    image = blob(source_mpp, side, side, centre, sigma_um=9.0)
    moved = centre_px(resample_array(image, source_mpp, target_mpp)) * target_mpp
    # µm → px of the coarser grid; what is left is the rounding to 8 bits.
    assert np.abs(moved - np.array(centre)).max() / max(grids) < 0.01


def test_a_shift_moves_the_picture_by_as_many_source_pixels() -> None:
    image = blob(1.465, 120, 120, (80.0, 90.0), sigma_um=9.0)
    at_rest = centre_px(resample_array(image, 1.465, 1.172)) * 1.172
    shifted = centre_px(resample_array(image, 1.465, 1.172, shift_px=(0.3, -1.7))) * 1.172
    np.testing.assert_allclose(at_rest - shifted, [0.3 * 1.465, -1.7 * 1.465], atol=0.01)


def test_a_whole_shift_on_the_own_grid_copies_pixels() -> None:
    shifted = resample_array(IMAGE, 1.0, 1.0, shift_px=(2.0, 3.0))
    np.testing.assert_array_equal(shifted[:-2, :-3], IMAGE[2:, 3:])


def test_own_grid_is_copied_unchanged() -> None:
    np.testing.assert_array_equal(region((0.5, 0.5), 0.5, (10, 20, 30, 40)), IMAGE[10:40, 20:60])


def test_cubic_taps_on_the_own_grid_are_the_pixels_themselves() -> None:
    """The short cut for ratio 1 gives what the kernel gives."""
    taps = cubic_taps(3, 5, 1.0 + 1e-15, 97)
    picked = taps.index[np.argmax(taps.weight, axis=0), np.arange(5)]
    np.testing.assert_array_equal(picked, cubic_taps(3, 5, 1.0, 97).index[0])
    np.testing.assert_allclose(taps.weight.max(axis=0), 1.0)


@pytest.mark.parametrize("ratio", [0.2, 0.8, 1.25, 3.99, 16.3])
def test_weights_sum_to_one_and_no_tap_is_cut_off(ratio: float) -> None:
    taps = cubic_taps(0, 50, ratio, 10_000)
    np.testing.assert_allclose(taps.weight.sum(axis=0), 1.0, atol=1e-6)
    # One tap further on either side would weigh nothing: the kernel ends there.
    assert np.abs(taps.weight[0]).max() < 0.1
    assert np.abs(taps.weight[-1]).max() < 0.1


@pytest.mark.parametrize("target", [0.3, 1.0, 1.3, 7.7])
@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_a_flat_picture_stays_flat(value: int, target: float) -> None:
    flat = np.full((40, 50, 3), value, np.uint8)
    assert (resample_array(flat, 1.0, target) == value).all()


def test_overshoot_is_clipped_and_does_not_wrap() -> None:
    edge = np.zeros((20, 20, 3), np.uint8)
    edge[:, 10:] = 255
    profile = resample_array(edge, 1.0, 0.25)[40, :, 0].astype(int)
    assert (np.diff(profile) >= 0).all()
    assert profile[0] == 0
    assert profile[-1] == 255


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = resample_array(stripes, 1.0, 8.0)
    assert np.abs(shrunk[2:-2, 2:-2].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_reflect_index_folds_like_numpy(size: int) -> None:
    folded = reflect_index(np.arange(-25, size + 25), size)
    expected = np.pad(np.arange(size), 25, mode="reflect")
    np.testing.assert_array_equal(folded, expected)


def test_outside_the_slide_lies_its_mirror_image() -> None:
    outside = region((1.0, 1.0), 1.0, (-30, -30, 200, 220))
    np.testing.assert_array_equal(outside, np.pad(IMAGE, ((30, 73), (30, 59), (0, 0)), mode="reflect"))


@pytest.mark.parametrize("factor", [2, 4])
def test_an_enlarged_crop_is_the_crop_of_the_enlarged(factor: int) -> None:
    whole = enlarge(IMAGE, factor)
    assert whole.shape == (97 * factor, 131 * factor, 3)
    crop = enlarge(IMAGE[20:60, 33:90], factor)
    halo = 2 * factor
    np.testing.assert_array_equal(
        crop[halo:-halo, halo:-halo],
        whole[20 * factor : 60 * factor, 33 * factor : 90 * factor][halo:-halo, halo:-halo],
    )


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_enlarging_rounds_what_is_enlarged_unrounded(factor: int) -> None:
    levels = enlarge_unrounded(IMAGE, factor)
    assert levels.dtype == np.float32
    assert np.any(levels != np.rint(levels))
    np.testing.assert_array_equal(np.clip(np.rint(levels), 0, 255).astype(np.uint8), enlarge(IMAGE, factor))


def test_enlarging_keeps_a_dot_in_place() -> None:
    image = blob(1.0, 60, 70, (31.3, 33.9), sigma_um=5.0)
    np.testing.assert_allclose(centre_px(enlarge(image, 4)) / 4, centre_px(image), atol=0.01)


def test_enlarging_by_one_is_a_copy() -> None:
    np.testing.assert_array_equal(enlarge(IMAGE, 1), IMAGE)


@pytest.mark.parametrize(
    ("levels", "target", "chosen"),
    [
        ((0.25, 1.0, 4.0), 1.172, 1),
        ((0.25, 1.0, 4.0), 1.0, 1),
        ((0.25, 1.0005, 4.0), 1.0, 1),  # as fine as files can say
        ((0.25, 1.01, 4.0), 1.0, 0),
        ((1.465, 5.86), 1.172, 0),  # nothing is fine enough
        ((1.465, 5.86), 100.0, 1),
    ],
)
def test_choose_level(levels: tuple[float, ...], target: float, chosen: int) -> None:
    assert choose_level([(level, level) for level in levels], target) == chosen


@pytest.mark.parametrize(("extent", "mpp", "length"), [(146.5, 1.465, 100), (146.6, 1.465, 101), (0.1, 1.0, 1)])
def test_grid_length(extent: float, mpp: float, length: int) -> None:
    assert grid_length(extent, mpp) == length


@pytest.mark.parametrize(
    ("shape", "source", "target", "window"),
    [
        ((0, 10), 1.0, 1.0, (0, 0, 4, 4)),
        ((10, 10), 1.0, 1.0, (0, 0, -1, 4)),
        ((10, 10), 0.0, 1.0, (0, 0, 4, 4)),
        ((10, 10), 1.0, -1.0, (0, 0, 4, 4)),
    ],
    ids=["empty level", "negative window", "no source size", "negative target size"],
)
def test_nonsense_is_refused(
    shape: tuple[int, int], source: float, target: float, window: tuple[int, int, int, int]
) -> None:
    with pytest.raises(ValueError, match=r"px|positive"):
        resample_region(read_image, shape, (source, source), target, *window)


def test_enlarging_by_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0 times"):
        enlarge(IMAGE, 0)
