"""How much coarser a level of a pyramid is than its finest: once along rows and once along columns."""

from __future__ import annotations

import math

Factors = tuple[float, float]
"""Level pixel size over that of level 0, along rows and along columns."""


def level_factors(full: tuple[int, int], level: tuple[int, int]) -> Factors:
    """Work out a level's factors from the sizes of levels, which were rounded to whole pixels.

    Parameters
    ----------
    full, level : (rows, cols)
        Sizes of level 0 and of the level, pixels.

    Returns
    -------
    (float, float)
        One whole number for both axes where rounding explains the sizes; else one factor for both where it does; else
        a factor for each axis, whole where it can be.
    """
    (least_row, most_row), (least_col, most_col) = (_explained(*sizes) for sizes in zip(full, level, strict=True))
    least, most = max(least_row, least_col), min(most_row, most_col)
    rows, cols = full[0] / level[0], full[1] / level[1]
    if least <= most:
        same = _whole(min(max(math.sqrt(rows * cols), least), most), least, most)
        return same, same
    return _whole(rows, least_row, most_row), _whole(cols, least_col, most_col)


def _explained(full: int, level: int) -> tuple[float, float]:
    """Least and greatest factor by which `full` pixels become `level` pixels, rounded up or down."""
    return full / (level + 1), full / (level - 1) if level > 1 else math.inf


def _whole(factor: float, least: float, most: float) -> float:
    """Round to a whole number if one lies between the bounds."""
    whole = float(round(factor))
    return whole if whole >= 1 and least < whole < most else factor
