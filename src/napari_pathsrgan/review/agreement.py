"""How far raters agree with each other, and each with themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import MissingPartError
from napari_pathsrgan.review.multi_rater import Estimate, mean_squares

if TYPE_CHECKING:
    from napari_pathsrgan.review.scores import Rating

Array = npt.NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]

_RESAMPLINGS = 500


class Icc(NamedTuple):
    """Intraclass correlations of raters (Shrout & Fleiss 1979): two-way random, absolute agreement.

    Attributes
    ----------
    single : Estimate
        ICC(2,1): of one rater's ratings.
    average : Estimate
        ICC(2,k): of the raters' mean.
    targets, raters : int
        Images that all these raters rated, and how many raters.
    """

    single: Estimate
    average: Estimate
    targets: int
    raters: int


@dataclass(frozen=True)
class Consistency:
    """How far a rater says the same again, not knowing.

    Attributes
    ----------
    rater : str
    repeats : int
        Rated both times.
    same : float
        Share rated the same.
    within_one : float
        Share at most one step apart.
    mean_apart : float
        Mean distance, steps.
    kappa : float
        Cohen's kappa between both times with quadratic weights (Cohen 1968): agreement beyond chance, 1 for the same
        and 0 for chance; NaN where one score was given alone.
    """

    rater: str
    repeats: int
    same: float
    within_one: float
    mean_apart: float
    kappa: float


def require(name: str) -> Any:
    """Import a library of the extra *review*; MissingPartError where it isn't installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingPartError(
            f"The statistics need {name}, which is not installed.",
            "Install it: pip install 'napari-pathsrgan[review]'.",
        ) from error


def intraclass_correlation(values: Array, seed: int = 0) -> Icc:
    """Compute ICC(2,1) and ICC(2,k) over the images that most raters rated.

    A rater who rated few images would leave few that all rated. The raters are therefore those, most diligent first,
    whose number times the number of images common to them is greatest. Intervals are generalised confidence intervals:
    each mean square is divided by draws of its χ².

    Parameters
    ----------
    values : (raters, targets) float64
        NaN where nothing was said.
    seed : int
        Of the draws.

    Returns
    -------
    Icc
        NaN with fewer than two raters, or two common targets, or without any variation.
    """
    complete = _most_complete(values)
    raters, targets = complete.shape
    nothing = Estimate(math.nan, math.nan, math.nan)
    if raters < 2 or targets < 2 or np.ptp(complete) == 0:
        return Icc(nothing, nothing, targets, raters)
    found = mean_squares(complete)
    of_raters, of_targets, rest = found.draw(np.random.default_rng(seed))
    ones, means = _correlations(of_raters, of_targets, rest, raters, targets)
    one, mean = _correlations(np.array(found.raters), np.array(found.cases), np.array(found.rest), raters, targets)
    return Icc(_with_limits(float(one), ones), _with_limits(float(mean), means), targets, raters)


def _correlations(of_raters: Array, of_targets: Array, rest: Array, raters: int, targets: int) -> tuple[Array, Array]:
    """Shrout & Fleiss 1979: ICC(2,1) and ICC(2,k) from mean squares."""
    shared, differing = of_targets - rest, (of_raters - rest) / targets
    with np.errstate(invalid="ignore", divide="ignore"):
        single = shared / (of_targets + (raters - 1) * rest + raters * differing)
        return single, shared / (of_targets + differing)


def _with_limits(value: float, drawn: Array) -> Estimate:
    there = drawn[np.isfinite(drawn)]
    if not there.size:
        return Estimate(value, math.nan, math.nan)
    low, high = np.percentile(there, (2.5, 97.5))
    return Estimate(value, max(-1.0, float(low)), min(1.0, float(high)))


def _most_complete(values: Array) -> Array:
    """Keep the raters whose number times that of their common targets is greatest, and these targets."""
    there = ~np.isnan(values)
    order = np.argsort(-there.sum(axis=1), kind="stable")
    common = [int(there[order[:count]].all(axis=0).sum()) for count in range(1, len(values) + 1)]
    sizes = [count * number if count > 1 else 0 for count, number in enumerate(common, 1)]
    kept = np.sort(order[: int(np.argmax(sizes)) + 1]) if any(sizes) else np.sort(order)
    chosen = values[kept]
    return np.asarray(chosen[:, ~np.isnan(chosen).any(axis=0)])


def krippendorff_alpha(values: Array, level: Level, groups: Sequence[str], seed: int = 0) -> Estimate:
    """Compute Krippendorff's alpha (2011, *Computing Krippendorff's alpha-reliability*); images may be left out.

    Parameters
    ----------
    values : (raters, targets) float64
        NaN where nothing was said.
    level : {"nominal", "ordinal", "interval"}
        What distances between ratings mean.
    groups : (targets,) of str
        Targets of one group, such as the images of one field, are drawn together for the interval, a bootstrap.
    seed : int
        Of the draws.

    Returns
    -------
    Estimate
        1 for agreement, 0 for chance; NaN where no target was rated twice, or all ratings are the same. The limits are
        NaN with fewer than two groups.

    Raises
    ------
    MissingPartError
        If krippendorff isn't installed.
    """
    twice = np.count_nonzero(~np.isnan(values), axis=0) > 1
    shared, names = values[:, twice], [group for group, kept in zip(groups, twice, strict=True) if kept]
    value = _alpha(shared, level)
    members = [np.flatnonzero([name == other for other in names]) for name in dict.fromkeys(names)]
    if math.isnan(value) or len(members) < 2:
        return Estimate(value, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    count, drawn = len(members), []
    for _ in range(_RESAMPLINGS):
        chosen = np.concatenate([members[index] for index in rng.integers(0, count, count)])
        drawn.append(_alpha(shared[:, chosen], level))
    return _with_limits(value, np.array(drawn))


def _alpha(values: Array, level: Level) -> float:
    if len(np.unique(values[~np.isnan(values)])) < 2:
        return math.nan
    return float(require("krippendorff").alpha(reliability_data=values, level_of_measurement=level))


def consistencies(ratings: Sequence[Rating]) -> list[Consistency]:
    """Compare each rater's repeats with their first ratings; those who rated none twice are left out."""
    firsts = {(one.rater, one.trial): one.score for one in ratings if not one.repeat}
    both: dict[str, list[tuple[int, int]]] = {}
    for one in ratings:
        before = firsts.get((one.rater, one.trial))
        if one.repeat and one.score is not None and before is not None:
            both.setdefault(one.rater, []).append((before, one.score))
    return [_consistency(rater, np.array(scores)) for rater, scores in sorted(both.items())]


def _consistency(rater: str, scores: npt.NDArray[np.int_]) -> Consistency:
    """Summarise (N, 2) first and second scores."""
    distances = np.abs(scores[:, 0] - scores[:, 1])
    same, within = float(np.mean(distances == 0)), float(np.mean(distances <= 1))
    return Consistency(rater, len(scores), same, within, float(distances.mean()), _weighted_kappa(scores))


def _weighted_kappa(scores: npt.NDArray[np.int_]) -> float:
    """1 − observed over expected squared distance; expected between any first and any second score."""
    observed = np.mean((scores[:, 0] - scores[:, 1]) ** 2)
    expected = np.mean((scores[:, :1] - scores[:, 1]) ** 2)
    return float(1 - observed / expected) if expected else math.nan
