"""Inference about other raters and other slides from one study: random raters × random cases, methods fixed.

Ratings of one rater are alike, and so are ratings of one slide. A table of raters × cases × methods is therefore split
into mean squares, and the variance of a mean is put together from those of raters, of cases and of the rest. This is
the analysis of variance of Dorfman, Berbaum and Metz (1992) applied to ratings, with the degrees of freedom of Hillis
(2007, *Statistics in Medicine* 26: 596–619) where cases are many, and Satterthwaite's, which count the cases as well,
where they are few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

_DRAWS = 20_000
"""Of the generalised confidence interval: its limits vary by some 1 % of its width between seeds."""


class Estimate(NamedTuple):
    """A figure with its 95 % interval; NaN where the study says nothing of other raters and cases."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A difference of two methods' means: its interval, two-sided p and the degrees of freedom of its t."""

    value: float
    low: float
    high: float
    p: float
    degrees_of_freedom: float


@dataclass(frozen=True)
class RatingTable:
    """Ratings of all methods by all raters on all cases, without gaps.

    Attributes
    ----------
    values : (R, C, M) float64
        Mean rating by rater, case and method.
    filled : float
        Share of the ratings that were missing and come from an additive model of rater, field and method.
    unit : str
        What a case is: "slides", or "fields" where there is one slide or none is known.
    """

    values: Array
    filled: float
    unit: str


def build_table(values: Array, slides: list[str]) -> RatingTable:
    """Fill what is missing and average the fields of each slide.

    Missing ratings are put in by least squares from the additive effects of rater, field and method (Yates 1933), so
    that methods are compared on the same fields and raters, and differences agree with means. Raters, fields and
    methods without any rating are not filled.

    Parameters
    ----------
    values : (R, P, M) float64
        By rater, field and method; NaN where nothing was said.
    slides : list of str, (P,)
        The slide of each field; "" where it is not known.

    Returns
    -------
    RatingTable
        Methods without a rating stay NaN.
    """
    there = ~np.isnan(values)
    raters, fields = np.any(there, axis=(1, 2)), np.any(there, axis=(0, 2))
    rated = values[np.ix_(raters, fields)]
    names = [slides[field] for field in np.flatnonzero(fields)]
    whole = _fill(rated)
    known = there.any(axis=(0, 1))
    missing = float(np.isnan(rated[..., known]).mean()) if rated[..., known].size else 0.0
    several = len(set(names)) > 1 and all(names)
    if not several:
        return RatingTable(whole, missing, "fields")
    parts = [whole[:, [name == slide for name in names]].mean(axis=1) for slide in dict.fromkeys(names)]
    return RatingTable(np.stack(parts, axis=1), missing, "slides")


def _fill(values: Array) -> Array:
    """Replace NaN by the least-squares fit of additive effects; methods without a rating stay NaN."""
    known = np.flatnonzero(~np.isnan(values).all(axis=(0, 1)))
    part = values[..., known]
    gaps = np.isnan(part)
    out = values.copy()
    if gaps.any():
        levels = np.indices(part.shape).reshape(3, -1)
        columns = [np.ones(part.size)] + [
            (levels[axis] == level).astype(float) for axis in range(3) for level in range(1, part.shape[axis])
        ]
        design, flat, missing = np.stack(columns, axis=1), part.ravel().copy(), gaps.ravel()
        effects = np.linalg.lstsq(design[~missing], flat[~missing], rcond=None)[0]
        flat[missing] = design[missing] @ effects
        out[..., known] = flat.reshape(part.shape)
    return out


class MeanSquares(NamedTuple):
    """Mean squares of a table of raters × cases (× methods) and their degrees of freedom; those of one level are 0.

    With several methods they are those of the interactions with method.
    """

    raters: float
    cases: float
    rest: float
    raters_df: int
    cases_df: int
    rest_df: int

    @property
    def variance(self) -> float:
        """Mean square that the variance of a mean is made of: raters + what cases vary beyond the rest."""
        if not self.raters_df:
            return self.cases
        return self.raters + max(self.cases - self.rest, 0.0)

    @property
    def degrees_of_freedom(self) -> float:
        """Hillis' degrees of freedom, lessened by Satterthwaite's terms for cases where these add to the variance."""
        spread = self.raters**2 / self.raters_df if self.raters_df else 0.0
        if self.cases_df and (self.cases > self.rest or not self.raters_df):
            spread += self.cases**2 / self.cases_df
            spread += self.rest**2 / self.rest_df if self.rest_df else 0.0
        return self.variance**2 / spread if spread else math.inf

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Draw what the expected mean squares may be: each divided by draws of its χ² over its degrees of freedom."""
        by_raters, by_cases, of_rest = (
            square * df / rng.chisquare(df, _DRAWS) if df else np.zeros(_DRAWS)
            for square, df in zip(self[:3], self[3:], strict=True)
        )
        return by_raters, by_cases, of_rest


def mean_squares(values: Array, filled: float = 0.0) -> MeanSquares:
    """Split a table into mean squares.

    Parameters
    ----------
    values : (R, C) or (R, C, M) float64
        Without gaps. Of several methods the mean squares are those of the interactions with method.
    filled : float
        Share of the values that were missing: it takes as many degrees of freedom off the rest.

    Returns
    -------
    MeanSquares
    """
    raters, cases = values.shape[:2]
    methods = values.shape[2] if values.ndim == 3 else 2
    own = values - values.mean(axis=2, keepdims=True) if values.ndim == 3 else values
    own = own - own.mean(axis=(0, 1))
    by_rater, by_case = own.mean(axis=1, keepdims=True), own.mean(axis=0, keepdims=True)
    rest = own - by_rater - by_case
    degrees = np.array([raters - 1, cases - 1, (raters - 1) * (cases - 1)]) * (methods - 1)
    degrees[2] = max(degrees[2] - round(filled * values.size), min(degrees[2], 1))
    sums = (cases * (by_rater**2).sum(), raters * (by_case**2).sum(), (rest**2).sum())
    by_raters, by_cases, of_rest = (float(total / df) if df else 0.0 for total, df in zip(sums, degrees, strict=True))
    return MeanSquares(by_raters, by_cases, of_rest, *(int(df) for df in degrees))


def estimate_mean(values: Array, filled: float = 0.0, seed: int = 0) -> Estimate:
    """Estimate a method's mean rating by raters and on cases beyond those of the study.

    A generalised confidence interval (Weerahandi 1993, *Journal of the American Statistical Association* 88: 899–905):
    each mean square is divided by draws of its χ². It keeps its coverage with two or three raters, where a t interval
    with Satterthwaite's degrees of freedom does not.

    Parameters
    ----------
    values : (R, C) float64
        Mean rating by rater and case. One rater: the interval is for other cases alone. One case: for other raters
        alone.
    filled : float
        See `mean_squares`.
    seed : int
        Of the draws.

    Returns
    -------
    Estimate
        Without limits where nothing varies or there is one rating.
    """
    raters, cases = values.shape
    found = mean_squares(values, filled)
    mean = float(values.mean())
    if found.variance <= 0 or not (found.raters_df or found.cases_df):
        return Estimate(mean, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    by_rater, by_case, rest = found.draw(rng)
    variances = by_rater + np.maximum(by_case - rest, 0) if found.raters_df else by_case
    half = float(np.quantile(np.abs(rng.standard_normal(_DRAWS)) * np.sqrt(variances / (raters * cases)), 0.95))
    return Estimate(mean, mean - half, mean + half)


def compare_means(values: Array, first: int, second: int, filled: float = 0.0) -> Difference:
    """Compare two methods' means, for raters and cases beyond those of the study.

    The error comes from the interactions of all methods with raters and cases, as in the F test of Dorfman, Berbaum
    and Metz.

    Parameters
    ----------
    values : (R, C, M) float64
        Without gaps.
    first, second : int
        Which methods.
    filled : float
        See `mean_squares`.

    Returns
    -------
    Difference
        First minus second. p is 1 and there are no limits where nothing varies and the means are the same; p is 0
        where nothing varies and they are not.
    """
    raters, cases, _ = values.shape
    found = mean_squares(values, filled)
    apart = float(values[..., first].mean() - values[..., second].mean())
    if not (found.raters_df or found.cases_df):
        return Difference(apart, math.nan, math.nan, math.nan, math.nan)
    if found.variance <= 0:
        return Difference(apart, math.nan, math.nan, float(abs(apart) < 1e-12), math.nan)
    error, df = math.sqrt(2 * found.variance / (raters * cases)), found.degrees_of_freedom
    half = float(stats.t.isf(0.025, df)) * error
    return Difference(apart, apart - half, apart + half, float(2 * stats.t.sf(abs(apart) / error, df)), df)
