"""Correlation: the same numbers as the definition gives, and peaks where images were moved to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_pathsrgan.registration.correlation import (
    absorption,
    correlate,
    find_peak,
    masked_correlation,
    match,
    sample_plane,
    strongest,
)


def cells(seed: int, side: int = 700) -> np.ndarray:
    """Soft blobs with a finer texture, at four times the resolution that is tested."""
    rng = np.random.default_rng(seed)
    return sum(
        weight * ndimage.gaussian_filter(rng.standard_normal((side, side)), sigma) * sigma
        for weight, sigma in ((1.0, 8.0), (2.0, 20.0))
    ).astype(np.float32)


def test_masked_correlation_is_the_definition() -> None:
    rng = np.random.default_rng(0)
    fixed, moving = rng.random((14, 11)).astype(np.float32), rng.random((9, 12)).astype(np.float32)
    fixed_mask, moving_mask = rng.random(fixed.shape) < 0.8, rng.random(moving.shape) < 0.7
    surface, (zero_row, zero_col) = masked_correlation(fixed, moving, fixed_mask, moving_mask, 0.2)
    assert surface.shape == (22, 22)
    most = overlaps(fixed_mask, moving_mask)
    compared = 0
    for row in range(-8, 14):
        for col in range(-11, 11):
            pairs = [
                (fixed[i + row, j + col], moving[i, j])
                for i in range(9)
                for j in range(12)
                if 0 <= i + row < 14 and 0 <= j + col < 11 and fixed_mask[i + row, j + col] and moving_mask[i, j]
            ]
            if len(pairs) >= 0.2 * most:
                expected = np.corrcoef(np.array(pairs, np.float64).T)[0, 1]
                assert surface[zero_row + row, zero_col + col] == pytest.approx(expected, abs=1e-4)
                compared += 1
            else:
                assert surface[zero_row + row, zero_col + col] == 0
    assert compared > 50


def overlaps(fixed_mask: np.ndarray, moving_mask: np.ndarray) -> int:
    from scipy.signal import correlate2d

    return int(correlate2d(fixed_mask.astype(int), moving_mask.astype(int)).max())


def test_masked_correlation_finds_a_part_that_sticks_out() -> None:
    scene = cells(1, 200)
    surface, zero = masked_correlation(scene[:120, :120], scene[70:, 50:])
    row, col, correlation = strongest(surface, 1)[0]
    assert (row - zero[0], col - zero[1]) == (70, 50)
    assert correlation > 0.999


@pytest.mark.parametrize(("fine", "ratio", "goal_px"), [(4, 2.5, 0.05), (2, 5.0, 0.1)])
def test_a_shift_between_pixels_is_found(fine: int, ratio: float, goal_px: float) -> None:
    """A finer image (10×, then 20×) is found in a coarser one, with errors in the finer one's pixels."""
    scene = ndimage.gaussian_filter(cells(2, 1100), 4)
    coarse = fine * ratio
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(12):
        start = rng.uniform(180, 220, 2)
        patch = sample_plane(scene, fine, (start[0], start[1]), (512 // fine,) * 2)
        low = sample_plane(scene, coarse, (0.0, 0.0), (int(1100 / coarse),) * 2)
        low += rng.normal(0, 0.01 * low.std(), low.shape).astype(np.float32)
        guess = start / coarse + rng.uniform(-1, 1, 2)
        margin = 8
        begin = guess - margin / ratio
        window = sample_plane(low, 1 / ratio, (begin[0], begin[1]), (512 // fine + 2 * margin,) * 2)
        peak = match(patch, window)
        found = (guess * ratio + np.array([peak.row, peak.col]) - margin) * fine
        errors.append(np.abs(found - start) / fine)
        assert peak.inside
    assert np.mean(errors) < goal_px


@pytest.mark.parametrize("more", [3, 30])
def test_window_correlation_is_the_definition(more: int) -> None:
    """Whichever way it is computed."""
    rng = np.random.default_rng(9)
    template, window = rng.random((20, 24)).astype(np.float32), rng.random((20 + more, 24 + more)).astype(np.float32)
    surface = correlate(template, window)
    assert surface.shape == (more + 1, more + 1)
    for row, col in ((0, 0), (more, 1), (2, more)):
        part = window[row : row + 20, col : col + 24]
        assert surface[row, col] == pytest.approx(np.corrcoef(template.ravel(), part.ravel())[0, 1], abs=1e-5)


def test_gain_and_stain_do_not_matter() -> None:
    scene = cells(4, 120)
    peak = match(0.3 * scene[30:90, 40:100] + 5, scene)
    assert (peak.row, peak.col) == (pytest.approx(30, abs=0.01), pytest.approx(40, abs=0.01))
    assert peak.correlation > 0.999


def test_background_matches_nothing() -> None:
    assert match(np.full((20, 20), 0.1, np.float32), cells(5, 60)).correlation == 0
    assert match(cells(5, 20), np.full((40, 40), 0.1, np.float32)).correlation == pytest.approx(0, abs=1e-3)


def test_a_peak_on_the_border_is_told() -> None:
    surface = np.zeros((9, 9), np.float32)
    surface[0, 4] = 1
    assert not find_peak(surface).inside


def test_a_second_place_is_told() -> None:
    tile = cells(6, 40)
    peak = match(tile, np.hstack([tile, cells(7, 40), tile * 0.9 + 0.02 * cells(8, 40)]))
    assert peak.second > 0.9 * peak.correlation


def test_absorption_is_what_green_lacks() -> None:
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, :, 1] = (255, 204, 0)
    np.testing.assert_allclose(absorption(image)[0], [0, 0.2, 1], atol=1e-6)


def test_sampling_keeps_corners_in_place() -> None:
    """Shrinking by two from the corner averages pixels 0 and 1, so the new pixel's centre is at 1.0 (METHOD § 0)."""
    ramp = np.tile(np.arange(40, dtype=np.float32) + 0.5, (40, 1))
    np.testing.assert_allclose(sample_plane(ramp, 2.0, (4.0, 6.0), (4, 4))[0], [7, 9, 11, 13], atol=1e-3)
    np.testing.assert_allclose(sample_plane(ramp, 0.5, (4.0, 6.25), (4, 4))[0], [6.5, 7, 7.5, 8], atol=1e-3)
