"""Overlapping tiles add up to one image."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.tiles.blending import OVERLAP, blend_axis_weights


def test_the_papers_ramp_falls_with_the_distance_to_the_centre_line() -> None:
    weights = blend_axis_weights(192, OVERLAP)
    np.testing.assert_allclose(weights[:64], (np.arange(64) + 0.5) / 64, rtol=1e-6)
    assert (weights[64:128] == 1).all()
    np.testing.assert_array_equal(weights, weights[::-1])


@settings(deadline=None)
@given(overlap=st.integers(0, 70), core=st.integers(0, 50), n_tiles=st.integers(1, 5))
def test_weights_of_a_row_of_tiles_sum_to_one_everywhere(overlap: int, core: int, n_tiles: int) -> None:
    length = 2 * overlap + core + 1
    step = length - overlap
    total = np.zeros((n_tiles - 1) * step + length)
    for number in range(n_tiles):
        weights = blend_axis_weights(length, overlap, first=number == 0, last=number == n_tiles - 1)
        assert weights.dtype == np.float32
        assert weights.min() >= 0
        total[number * step : number * step + length] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_tiles_of_one_image_add_up_to_it() -> None:
    image = np.random.default_rng(3).integers(0, 256, (500, 3)).astype(np.float32)
    length, overlap = 140, 20
    starts = list(range(0, 500 - length + 1, length - overlap))
    assert all(after - before == length - overlap for before, after in pairwise(starts))
    total = np.zeros_like(image)
    for start in starts:
        weights = blend_axis_weights(length, overlap, first=start == 0, last=start == starts[-1])
        total[start : start + length] += weights[:, None] * image[start : start + length]
    np.testing.assert_array_equal(np.rint(total), image)


@pytest.mark.parametrize(("length", "overlap"), [(100, 51), (100, -1)])
def test_overlaps_that_do_not_fit_are_refused(length: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        blend_axis_weights(length, overlap)
