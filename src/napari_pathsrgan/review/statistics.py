"""Mean opinion scores: intervals, distributions, and tests between methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.review.agreement import require
from napari_pathsrgan.review.multi_rater import RatingTable, build_table, compare_means, estimate_mean

if TYPE_CHECKING:
    from napari_pathsrgan.review.scores import Rating

Array = npt.NDArray[np.float64]

_BLOCK = 500
SCALE = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class RatingMatrix:
    """First ratings of single images, by rater, field and method.

    Attributes
    ----------
    raters, patches, methods : list of str
    slides : list of str
        The slide of each field; "" where it is not known.
    values : (R, P, M) float64
        1 to 5; NaN where nothing was said.
    """

    raters: list[str]
    patches: list[str]
    slides: list[str]
    methods: list[str]
    values: Array

    def table(self) -> RatingTable:
        """Means by rater, slide (or field) and method, with missing ratings filled in."""
        return build_table(self.values, self.slides)


@dataclass(frozen=True)
class OpinionScore:
    """What one method was rated.

    Attributes
    ----------
    method : str
    mean : float
        Over raters and slides (or fields, see `multi_rater.RatingTable`) with the same weight; NaN without any rating.
    low, high : float
        95 % interval of the mean for raters and slides beyond those of the study; NaN where there is none.
    mean_z : float
        Mean after each rater's own scale was taken out: in standard deviations of that rater's ratings.
    counts : tuple of 5 int
        How often it was rated 1, 2, 3, 4, 5.
    unjudged : int
        How often it could not be judged.
    median_s : float
        Time taken for a rating, s.
    """

    method: str
    mean: float
    low: float
    high: float
    mean_z: float
    counts: tuple[int, ...]
    unjudged: int
    median_s: float

    @property
    def ratings(self) -> int:
        """How many scores the mean is of."""
        return sum(self.counts)


@dataclass(frozen=True)
class Comparison:
    """One method against another.

    Attributes
    ----------
    first, second : str
    difference : float
        Mean of first minus second; it is that of their mean opinion scores. NaN where one was never rated.
    low, high : float
        Its 95 % interval, for raters and slides (or fields) beyond those of the study.
    degrees_of_freedom : float
        Of the t test.
    p : float
        Two-sided; see `multi_rater.compare_means`.
    p_holm : float
        Corrected for the number of comparisons (Holm 1979).
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    degrees_of_freedom: float
    p: float
    p_holm: float


def build_matrix(ratings: Sequence[Rating], methods: Sequence[str]) -> RatingMatrix:
    """Sort first ratings of single images into a matrix; repeats are left out."""
    firsts = [one for one in ratings if not one.repeat]
    raters = sorted({one.rater for one in firsts})
    slides = {one.patch: one.slide for one in firsts}
    patches = sorted(slides)
    values = np.full((len(raters), len(patches), len(methods)), np.nan)
    for one in firsts:
        if one.score is not None:
            values[raters.index(one.rater), patches.index(one.patch), list(methods).index(one.methods[0])] = one.score
    return RatingMatrix(raters, patches, [slides[patch] for patch in patches], list(methods), values)


def opinion_scores(matrix: RatingMatrix, ratings: Sequence[Rating]) -> list[OpinionScore]:
    """Mean opinion scores of all methods, in the matrix's order."""
    standard, table = _standardised(matrix.values), matrix.table()
    return [
        _opinion(method, matrix.values[..., index], standard[..., index], table.values[..., index], table, ratings)
        for index, method in enumerate(matrix.methods)
    ]


def _opinion(
    method: str, own: Array, standard: Array, means: Array, table: RatingTable, ratings: Sequence[Rating]
) -> OpinionScore:
    firsts = [one for one in ratings if one.methods[0] == method and not one.repeat]
    never = means.size == 0 or bool(np.isnan(means).any())
    estimate = (np.nan,) * 3 if never else estimate_mean(means, table.filled)
    counts = tuple(int(np.count_nonzero(own == score)) for score in SCALE)
    seconds = float(np.median([one.seconds for one in firsts])) if firsts else np.nan
    unjudged = sum(one.score is None for one in firsts)
    return OpinionScore(method, *estimate, mean_of(standard), counts, unjudged, seconds)


def mean_of(values: Array) -> float:
    """Mean of what is there; NaN where there is nothing."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")


def bootstrap_weights(raters: int, patches: int, resamplings: int, seed: int = 0) -> Iterator[tuple[Array, Array]]:
    """Draw raters and fields with replacement, for a bootstrap.

    Raters differ and so do fields, so ratings are no independent sample: each draw takes some raters and some fields,
    and all that these raters said of these fields (the “pigeonhole” bootstrap of Owen 2007, *Annals of Applied
    Statistics* 1: 386–411, which errs towards too wide). Of a single rater, fields alone are drawn.

    Parameters
    ----------
    raters, patches : int
    resamplings : int
        How many draws in all.
    seed : int

    Yields
    ------
    by_rater : (N, raters) float64
        How often each was drawn, a row for each of the N draws of a block.
    by_patch : (N, patches) float64
    """
    rng = np.random.default_rng(seed)
    for first in range(0, resamplings, _BLOCK):
        count = min(_BLOCK, resamplings - first)
        by_rater = rng.multinomial(raters, np.full(raters, 1 / raters), count).astype(np.float64)
        yield by_rater, rng.multinomial(patches, np.full(patches, 1 / patches), count).astype(np.float64)


def compare_methods(matrix: RatingMatrix) -> list[Comparison]:
    """Test every method against every other, with Holm's correction over the tests that can be made.

    Raises
    ------
    MissingPartError
        If statsmodels isn't installed.
    """
    table = matrix.table()
    rated = [index for index in range(len(matrix.methods)) if not np.isnan(table.values[..., index]).any()]
    values = table.values[..., rated]
    nothing = (float("nan"),) * 5
    pairs = list(itertools.combinations(range(len(matrix.methods)), 2))
    found = []
    for a, b in pairs:
        both = a in rated and b in rated
        one = compare_means(values, rated.index(a), rated.index(b), table.filled) if both else nothing
        value, low, high, p, df = one
        found.append((value, low, high, df, p))
    p_holm = _holm([one[-1] for one in found])
    return [
        Comparison(matrix.methods[a], matrix.methods[b], *one, corrected)
        for (a, b), one, corrected in zip(pairs, found, p_holm, strict=True)
    ]


def _holm(values: list[float]) -> list[float]:
    """Correct p values for their number; NaN stays and does not count."""
    there = [index for index, p in enumerate(values) if not np.isnan(p)]
    out = list(values)
    if there:
        corrected = require("statsmodels.stats.multitest").multipletests(
            [values[index] for index in there], method="holm"
        )[1]
        for index, p in zip(there, corrected, strict=True):
            out[index] = float(p)
    return out


def _standardised(values: Array) -> Array:
    """Each rater's ratings minus their mean over their standard deviation."""
    out = np.full_like(values, np.nan)
    for rater, own in enumerate(values):
        there = own[~np.isnan(own)]
        if there.size > 1 and there.std(ddof=1) > 0:
            out[rater] = (own - there.mean()) / there.std(ddof=1)
    return out
