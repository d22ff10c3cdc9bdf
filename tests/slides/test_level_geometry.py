from __future__ import annotations

import numpy as np
import pytest

from napari_pathsrgan.slides.level_geometry import level_factors
from napari_pathsrgan.slides.resample import choose_level


@pytest.mark.parametrize(
    ("full", "level", "factors"),
    [
        ((1501, 1203), (501, 401), (3, 3)),  # rounded up: the quotient of the rows is 2.996
        ((1501, 1203), (166, 133), (9, 9)),  # rounded down
        ((1501, 1203), (751, 301), (2, 4)),
        ((1000, 4000), (1000, 1000), (1, 4)),
        ((2011, 3013), (504, 755), (3.9904, 3.9904)),
        ((100_000, 80_000), (1, 1), (89_443, 89_443)),
        ((1, 4096), (1, 1024), (4, 4)),
        ((700, 900), (700, 900), (1, 1)),
    ],
)
def test_factors_follow_from_sizes(full: tuple[int, int], level: tuple[int, int], factors: tuple[float, float]) -> None:
    assert level_factors(full, level) == pytest.approx(factors, rel=2e-4)


@pytest.mark.parametrize("factor", [2, 3, 4, 8, 16, 32])
def test_a_whole_factor_is_found_however_sizes_were_rounded(factor: int) -> None:
    rng = np.random.default_rng(factor)
    for rows, cols in rng.integers(1000, 100_000, (200, 2)).tolist():
        for up_rows in (0, factor - 1):
            level = (rows + up_rows) // factor, (cols + factor - 1 - up_rows) // factor
            assert level_factors((rows, cols), level) == (factor, factor)


def test_a_level_must_be_fine_enough_along_both_axes() -> None:
    levels = [(1.0, 1.0), (2.0, 4.0), (8.0, 8.0)]
    assert [choose_level(levels, mpp) for mpp in (1.0, 2.0, 3.9, 4.0, 8.0)] == [0, 0, 0, 1, 2]
