"""How far raters agree with each other, and each with themselves."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import MissingPartError

if TYPE_CHECKING:
    from napari_pathsrgan.review.scores import Rating

Array = npt.NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True)
class Icc:
    """Intraclass correlation ICC(2,k) of Shrout & Fleiss 1979: two-way random, absolute agreement of the raters' mean.

    Attributes
    ----------
    value, low, high : float
        With its 95 % interval (to two decimals); NaN where it can't be had.
    targets, raters : int
        Pictures that all raters rated, and how many raters.
    """

    value: float
    low: float
    high: float
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
    """

    rater: str
    repeats: int
    same: float
    within_one: float
    mean_apart: float


def require(name: str) -> Any:
    """Import a library of the extra *review*; MissingPartError where it isn't installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingPartError(
            f"The statistics need {name}, which is not installed.",
            "Install it: pip install 'napari-pathsrgan[review]'.",
        ) from error


def icc_2k(values: Array) -> Icc:
    """Compute ICC(2,k) over what all raters rated.

    Parameters
    ----------
    values : (raters, targets) float64
        NaN where nothing was said.

    Returns
    -------
    Icc
        NaN with fewer than two raters, or two common targets, or without any variation.

    Raises
    ------
    MissingPartError
        If pingouin isn't installed.
    """
    complete = values[:, ~np.isnan(values).any(axis=0)]
    raters, targets = complete.shape
    nothing = Icc(float("nan"), float("nan"), float("nan"), targets, raters)
    if raters < 2 or targets < 5 or np.ptp(complete) == 0:  # pingouin wants five
        return nothing
    pandas = require("pandas")
    frame = pandas.DataFrame(
        {
            "rater": np.repeat(np.arange(raters), targets),
            "target": np.tile(np.arange(targets), raters),
            "score": complete.ravel(),
        }
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Where raters agree to the last, its interval divides by zero; and what it asks of pandas is its own affair.
        for kind in (RuntimeWarning, DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        found = require("pingouin").intraclass_corr(frame, targets="target", raters="rater", ratings="score")
    # Shrout & Fleiss's ICC(2,k) is ICC(A,k) in newer versions.
    row = found[found["Type"].isin(["ICC2k", "ICC(A,k)"])].iloc[0]
    interval = row["CI95"] if "CI95" in found else row["CI95%"]
    return Icc(float(row["ICC"]), float(interval[0]), float(interval[1]), targets, raters)


def krippendorff_alpha(values: Array, level: Level) -> float:
    """Compute Krippendorff's alpha (2011, *Computing Krippendorff's alpha-reliability*); pictures may be left out.

    Parameters
    ----------
    values : (raters, targets) float64
        NaN where nothing was said.
    level : {"nominal", "ordinal", "interval"}
        What distances between ratings mean.

    Returns
    -------
    float
        1 for agreement, 0 for chance; NaN where no target was rated twice, or all ratings are the same.

    Raises
    ------
    MissingPartError
        If krippendorff isn't installed.
    """
    shared = values[:, np.count_nonzero(~np.isnan(values), axis=0) > 1]
    if len(np.unique(shared[~np.isnan(shared)])) < 2:
        return float("nan")
    return float(require("krippendorff").alpha(reliability_data=shared, level_of_measurement=level))


def consistencies(ratings: Sequence[Rating]) -> list[Consistency]:
    """Compare each rater's repeats with their first ratings; those who rated none twice are left out."""
    firsts = {(one.rater, one.trial): one.score for one in ratings if not one.repeat}
    apart: dict[str, list[int]] = {}
    for one in ratings:
        before = firsts.get((one.rater, one.trial))
        if one.repeat and one.score is not None and before is not None:
            apart.setdefault(one.rater, []).append(abs(one.score - before))
    found = []
    for rater, steps in sorted(apart.items()):
        distances = np.array(steps)
        same, within = float(np.mean(distances == 0)), float(np.mean(distances <= 1))
        found.append(Consistency(rater, len(steps), same, within, float(distances.mean())))
    return found
