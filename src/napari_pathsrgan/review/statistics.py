"""Mean opinion scores with what they are worth: intervals, distributions, tests between methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.stats import wilcoxon

from napari_pathsrgan.review.agreement import require

if TYPE_CHECKING:
    from napari_pathsrgan.review.scores import Rating

Array = npt.NDArray[np.float64]

RESAMPLINGS = 5000
_BLOCK = 500
SCALE = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Cube:
    """First ratings of single pictures, by rater, field and method.

    Attributes
    ----------
    raters, patches, methods : list of str
    values : (R, P, M) float64
        1 to 5; NaN where nothing was said.
    """

    raters: list[str]
    patches: list[str]
    methods: list[str]
    values: Array


@dataclass(frozen=True)
class Mos:
    """What one method was rated.

    Attributes
    ----------
    method : str
    mean : float
        Over all first ratings; NaN without any.
    low, high : float
        95 % bootstrap interval of the mean, over raters and fields.
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
    """One method against another on the same fields.

    Attributes
    ----------
    first, second : str
    patches : int
        Fields that some rater rated in both.
    difference : float
        Mean of first minus second over fields.
    p : float
        Wilcoxon's signed-rank test over fields, each the mean over its raters; two-sided.
    p_holm : float
        Corrected for the number of comparisons (Holm 1979).
    """

    first: str
    second: str
    patches: int
    difference: float
    p: float
    p_holm: float


def gather(ratings: Sequence[Rating], methods: Sequence[str]) -> Cube:
    """Sort first ratings of single pictures into a cube; repeats are left out."""
    firsts = [one for one in ratings if not one.repeat]
    raters = sorted({one.rater for one in firsts})
    patches = sorted({one.patch for one in firsts})
    values = np.full((len(raters), len(patches), len(methods)), np.nan)
    for one in firsts:
        if one.score is not None:
            values[raters.index(one.rater), patches.index(one.patch), list(methods).index(one.methods[0])] = one.score
    return Cube(raters, patches, list(methods), values)


def opinion_scores(cube: Cube, ratings: Sequence[Rating]) -> list[Mos]:
    """Mean opinion scores of all methods, in the cube's order."""
    standard = _standardised(cube.values)
    found = []
    for index, method in enumerate(cube.methods):
        own = cube.values[..., index]
        firsts = [one for one in ratings if one.methods[0] == method and not one.repeat]
        counts = tuple(int(np.count_nonzero(own == score)) for score in SCALE)
        found.append(
            Mos(
                method,
                mean_of(own),
                *bootstrap_interval(own),
                mean_of(standard[..., index]),
                counts,
                sum(one.score is None for one in firsts),
                float(np.median([one.seconds for one in firsts])) if firsts else np.nan,
            )
        )
    return found


def mean_of(values: Array) -> float:
    """Mean of what is there; NaN where there is nothing."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")


def bootstrap_interval(values: Array, resamplings: int = RESAMPLINGS, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a mean over raters and fields, both drawn with replacement.

    Parameters
    ----------
    values : (R, P) float64
        NaN where nothing was said.
    resamplings, seed : int
        See `drawn_anew`.

    Returns
    -------
    (float, float)
        NaN where there is nothing, or nothing to vary.
    """
    there = ~np.isnan(values)
    if np.count_nonzero(there) < 2:
        return float("nan"), float("nan")
    filled = np.where(there, values, 0.0)
    means = []
    for by_rater, by_patch in drawn_anew(len(values), values.shape[1], resamplings, seed):
        total, number = (np.sum((by_rater @ part) * by_patch, axis=1) for part in (filled, there.astype(np.float64)))
        means.append(total[number > 0] / number[number > 0])
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)


def drawn_anew(raters: int, patches: int, resamplings: int, seed: int = 0) -> Iterator[tuple[Array, Array]]:
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


def compare_methods(cube: Cube) -> list[Comparison]:
    """Test every method against every other on the same fields, with Holm's correction.

    Raises
    ------
    MissingPartError
        If pingouin isn't installed.
    """
    found: list[tuple[str, str, int, float, float]] = []
    for a, b in itertools.combinations(range(len(cube.methods)), 2):
        apart = cube.values[..., a] - cube.values[..., b]
        by_patch = np.array([mean_of(apart[:, patch]) for patch in range(apart.shape[1])])
        by_patch = by_patch[~np.isnan(by_patch)]
        p = float(wilcoxon(by_patch).pvalue) if np.any(by_patch) else 1.0
        found.append((cube.methods[a], cube.methods[b], len(by_patch), mean_of(by_patch), p))
    _, corrected = require("pingouin").multicomp([one[-1] for one in found], method="holm")
    return [Comparison(*one, float(p_holm)) for one, p_holm in zip(found, corrected, strict=True)]


def _standardised(values: Array) -> Array:
    """Each rater's ratings minus their mean over their standard deviation."""
    out = np.full_like(values, np.nan)
    for rater, own in enumerate(values):
        there = own[~np.isnan(own)]
        if there.size > 1 and there.std(ddof=1) > 0:
            out[rater] = (own - there.mean()) / there.std(ddof=1)
    return out
