"""Whole scans of single fields."""

from __future__ import annotations

import numpy as np
import pytest
from tests.imaging.specimens import dark_dot

from napari_pathsrgan.imaging.forward import NOMINAL, scan_back, scan_field
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import CLEAN, random_settings


def field(size: int = 240) -> np.ndarray:
    return np.rint(255 * dark_dot(size, (0.4 * size, 0.55 * size), 20.0)).astype(np.uint8)


def test_a_scan_is_the_same_for_the_same_seed() -> None:
    objective = OBJECTIVES[4]

    def scan(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return scan_field(field(), 0.27, objective, random_settings(rng, objective), rng)

    assert np.array_equal(scan(3), scan(3))
    assert not np.array_equal(scan(3), scan(4))


@pytest.mark.parametrize("power", OBJECTIVES)
def test_a_scan_covers_its_field(power: int) -> None:
    objective = OBJECTIVES[power]
    white = np.full((211, 300, 3), 255, np.uint8)
    pixels = scan_field(white, 0.27, objective, CLEAN, np.random.default_rng(0))
    assert pixels.shape == (int(211 * 0.27 / objective.mpp), int(300 * 0.27 / objective.mpp), 3)
    assert np.all(pixels == round(0.96 * 255))


def test_a_field_too_coarse_is_refused() -> None:
    with pytest.raises(ValueError, match="too coarse"):
        scan_field(np.zeros((20, 20, 3), np.uint8), 0.4, OBJECTIVES[20], CLEAN, np.random.default_rng(0))


def test_scanning_back_equals_scanning_through_nominal_optics() -> None:
    back = scan_back(field(), 0.27, OBJECTIVES[4].mpp)
    scanned = scan_field(field(), 0.27, OBJECTIVES[4], NOMINAL, np.random.default_rng(0))
    assert np.array_equal(np.rint(back), scanned)
