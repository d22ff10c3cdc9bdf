"""Overlapping tiles add up to one picture; a halo is cut to the pixel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.tiles.blending import OVERLAP, Merge, blend_axis_weights, crop_halo

MERGES = st.sampled_from(["trim", "linear"])


def test_the_papers_ramp_falls_with_the_distance_to_the_centre_line() -> None:
    weights = blend_axis_weights(192, OVERLAP, "linear")
    np.testing.assert_allclose(weights[:64], (np.arange(64) + 0.5) / 64, rtol=1e-6)
    assert (weights[64:128] == 1).all()
    np.testing.assert_array_equal(weights, weights[::-1])


def test_the_default_throws_the_outer_quarter_away_and_ramps_the_middle_half() -> None:
    weights = blend_axis_weights(192, OVERLAP)
    assert (weights[:16] == 0).all()
    np.testing.assert_allclose(weights[16:48], (np.arange(32) + 0.5) / 32, rtol=1e-6)
    assert (weights[48:144] == 1).all()


@settings(deadline=None)
@given(overlap=st.integers(0, 70), core=st.integers(0, 50), n_tiles=st.integers(1, 5), merge=MERGES)
def test_weights_of_a_row_of_tiles_sum_to_one_everywhere(overlap: int, core: int, n_tiles: int, merge: Merge) -> None:
    length = 2 * overlap + core + 1
    step = length - overlap
    total = np.zeros((n_tiles - 1) * step + length)
    for number in range(n_tiles):
        weights = blend_axis_weights(length, overlap, merge, first=number == 0, last=number == n_tiles - 1)
        assert weights.dtype == np.float32
        assert weights.min() >= 0
        total[number * step : number * step + length] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("merge", ["trim", "linear"])
def test_tiles_of_one_picture_add_up_to_it(merge: Merge) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (500, 3)).astype(np.float32)
    length, overlap = 140, 20
    starts = list(range(0, 500 - length + 1, length - overlap))
    assert all(after - before == length - overlap for before, after in pairwise(starts))
    total = np.zeros_like(picture)
    for start in starts:
        weights = blend_axis_weights(length, overlap, merge, first=start == 0, last=start == starts[-1])
        total[start : start + length] += weights[:, None] * picture[start : start + length]
    np.testing.assert_array_equal(np.rint(total), picture)


@pytest.mark.parametrize(("length", "overlap", "merge"), [(100, 51, "trim"), (100, -1, "trim"), (100, 20, "average")])
def test_overlaps_that_do_not_fit_are_refused(length: int, overlap: int, merge: Merge) -> None:
    with pytest.raises(ValueError, match=r"overlaps|merged"):
        blend_axis_weights(length, overlap, merge)


@settings(deadline=None)
@given(halo=st.integers(0, 12), scale=st.sampled_from([1, 2, 4]), height=st.integers(1, 9), width=st.integers(1, 9))
def test_cropping_leaves_the_core(halo: int, scale: int, height: int, width: int) -> None:
    core = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    border = halo * scale
    padded = np.pad(core, ((border, border), (border, border), (0, 0)))
    np.testing.assert_array_equal(crop_halo(padded, halo, scale), core)


def test_a_halo_can_not_be_all() -> None:
    with pytest.raises(ValueError, match="halo of 8 px at ×4"):
        crop_halo(np.zeros((64, 80, 3), np.uint8), 8, 4)
