"""How many raters and fields a study needs: power by simulation from the variances of ratings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_pathsrgan.review.multi_rater import compare_means, mean_squares

Array = npt.NDArray[np.float64]

SIMULATIONS = 400
"""Power is then known to about ± 5 percentage points (95 %)."""


class RatingSpread(BaseModel):
    """Standard deviations of ratings, in steps of the scale.

    Attributes
    ----------
    rater, case : float
        Of raters, who are milder or stricter, and of fields, which look better or worse.
    rater_method, case_method : float
        Of how differently raters, and fields, respond to the methods. These limit a study; without an earlier one,
        0.15 to 0.3 are usual for both.
    rest : float
        Of what a rater says of the same image another time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rater: float = Field(default=0.4, ge=0, le=4)
    case: float = Field(default=0.5, ge=0, le=4)
    rater_method: float = Field(default=0.2, ge=0, le=4)
    case_method: float = Field(default=0.2, ge=0, le=4)
    rest: float = Field(default=0.7, ge=0, le=4)


def estimate_spread(values: Array) -> RatingSpread:
    """Estimate the standard deviations from an earlier study.

    Parameters
    ----------
    values : (R, C, M) float64
        Ratings by rater, field and method, without gaps; at least two of each.

    Returns
    -------
    RatingSpread
        By the expected mean squares of a three-way analysis of variance; negative variances count as 0.
    """
    raters, cases, methods = values.shape
    inner = mean_squares(values)
    outer = mean_squares(values.mean(axis=2))
    per_method = methods * np.array(outer[:3])  # mean squares of raters, cases and rater × case over all methods
    variances = {
        "rest": inner.rest,
        "rater_method": (inner.raters - inner.rest) / cases,
        "case_method": (inner.cases - inner.rest) / raters,
        "rater": (per_method[0] - per_method[2] - inner.raters + inner.rest) / (cases * methods),
        "case": (per_method[1] - per_method[2] - inner.cases + inner.rest) / (raters * methods),
    }
    return RatingSpread(**{name: min(4.0, math.sqrt(max(0.0, variance))) for name, variance in variances.items()})


class Power(NamedTuple):
    """Power of a study with so many raters and fields: the share of studies that find the difference."""

    raters: int
    fields: int
    share: float


def simulate_power(
    raters: int,
    fields: int,
    difference: float,
    spread: RatingSpread | None = None,
    methods: int = 2,
    comparisons: int = 1,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Power:
    """Simulate studies in which one method is better, and count how many find it.

    Parameters
    ----------
    raters, fields : int
        At least 2 each. Each field stands for a slide of its own.
    difference : float
        By how much the last method's mean opinion score exceeds all others', steps of the scale.
    spread : RatingSpread, optional
    methods : int
        How many are rated.
    comparisons : int
        How many differences are planned to be tested: p is corrected for the first of them (Holm 1979).
    simulations, seed : int

    Returns
    -------
    Power
        Ratings are rounded to whole steps and cut off at 1 and 5, as those of raters are, and tested by
        `multi_rater.compare_means`.
    """
    rng = np.random.default_rng(seed)
    spread = spread or RatingSpread()
    found = 0
    for _ in range(simulations):
        values = _ratings(rng, raters, fields, methods, difference, spread)
        one = compare_means(values, methods - 1, 0)
        found += one.value > 0 and one.p * comparisons < 0.05
    return Power(raters, fields, found / simulations)


def _ratings(
    rng: np.random.Generator, raters: int, fields: int, methods: int, difference: float, spread: RatingSpread
) -> Array:
    """One study's ratings, (raters, fields, methods)."""
    values = 3.0 + rng.normal(0, spread.rest, (raters, fields, methods))
    values += rng.normal(0, spread.rater, (raters, 1, 1)) + rng.normal(0, spread.case, (1, fields, 1))
    values += rng.normal(0, spread.rater_method, (raters, 1, methods))
    values += rng.normal(0, spread.case_method, (1, fields, methods))
    values[..., :-1] -= difference / 2
    values[..., -1] += difference / 2
    return np.asarray(np.clip(np.rint(values), 1, 5))


def power_table(
    raters: Sequence[int], fields: Sequence[int], difference: float, spread: RatingSpread | None = None,
    methods: int = 2, comparisons: int = 1, simulations: int = SIMULATIONS,
) -> list[Power]:  # fmt: skip
    """Simulate every number of raters with every number of fields; see `simulate_power`."""
    return [simulate_power(r, f, difference, spread, methods, comparisons, simulations) for r in raters for f in fields]
