"""Which method is preferred, from choices between two: the model of Bradley & Terry 1952."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit

from napari_pathsrgan.review.statistics import Array, bootstrap_weights

if TYPE_CHECKING:
    from napari_pathsrgan.review.scores import Rating

LEFT, SAME, RIGHT = 1, 2, 3
RESAMPLINGS = 1000


@dataclass(frozen=True)
class Preference:
    """How much a method is preferred.

    Attributes
    ----------
    method : str
    ability : float
        Log odds against an average method: the methods' abilities add up to 0. NaN if it was never compared.
    low, high : float
        95 % bootstrap interval, over raters and fields; NaN where there is nothing to vary.
    won, compared : float
        Choices for it, and choices it was part of; “no difference” is half a choice for each.
    """

    method: str
    ability: float
    low: float
    high: float
    won: float
    compared: float


def count_choices(ratings: Sequence[Rating], methods: Sequence[str]) -> Array:
    """Sort choices by rater and field; repeats are left out.

    Returns
    -------
    (R, P, M, M) float64
        How often a rater preferred the row's method to the column's on a field.
    """
    firsts = [one for one in ratings if not one.repeat]
    raters, patches = sorted({one.rater for one in firsts}), sorted({one.patch for one in firsts})
    choices = np.zeros((len(raters), len(patches), len(methods), len(methods)))
    for one in firsts:
        if one.score is None:
            continue
        own = choices[raters.index(one.rater), patches.index(one.patch)]
        left, right = (methods.index(method) for method in one.methods)
        for_left = {LEFT: 1.0, SAME: 0.5, RIGHT: 0.0}[one.score]
        own[left, right] += for_left
        own[right, left] += 1 - for_left
    return choices


def bradley_terry(wins: Array, start: Array | None = None) -> tuple[Array, bool]:
    """Fit abilities by maximum likelihood.

    Where some methods never lost to others there is no maximum (Ford 1957, *American Mathematical Monthly* 64: 28–33):
    then half a choice each way is added to every pair that was compared. Methods of which there is no choice between
    any two that link them to the others are compared within their group.

    Parameters
    ----------
    wins : (M, M) float64
        How often the row's method was preferred to the column's.
    start : (M,) float64, optional
        Where to look first.

    Returns
    -------
    abilities : (M,) float64
        Adding up to 0 within each group; NaN for methods never compared.
    bounded : bool
        Whether half choices were added.
    """
    abilities, bounded = np.full(len(wins), np.nan), False
    groups, group_of = connected_components(_linked(wins), directed=False)
    for group in range(groups):
        own = np.flatnonzero(group_of == group)
        if len(own) > 1:
            abilities[own], added = _fit_group(
                wins[np.ix_(own, own)], np.zeros(len(own)) if start is None else start[own]
            )
            bounded = bounded or added
    return abilities, bounded


def _fit_group(wins: Array, start: Array) -> tuple[Array, bool]:
    """Fit methods each of which was compared, if by way of others, with each."""
    count = len(wins)
    bounded = connected_components(wins > 0, connection="strong")[0] > 1
    if bounded:
        wins = wins + 0.5 * _linked(wins)
    played = wins + wins.T

    # The likelihood knows differences alone: their sum, added here, is 0 where it is at its maximum, and fixed so.
    def loss(abilities: Array) -> tuple[float, Array]:
        apart = abilities[:, None] - abilities
        slope = (played * expit(apart)).sum(axis=1) - wins.sum(axis=1) + abilities.sum() / count
        return abilities.sum() ** 2 / (2 * count) - float((wins * log_expit(apart)).sum()), slope

    def curvature(abilities: Array) -> Array:
        chance = expit(abilities[:, None] - abilities)
        weight = played * chance * (1 - chance)
        return np.asarray(np.diag(weight.sum(axis=1)) - weight + 1 / count)

    found = minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-10})
    return np.asarray(found.x - found.x.mean(), np.float64), bounded


def preferences(
    choices: Array, methods: Sequence[str], resamplings: int = RESAMPLINGS, seed: int = 0
) -> tuple[list[Preference], bool]:
    """Say how much each method is preferred, and whether half choices had to be added; see `bradley_terry`.

    Parameters
    ----------
    choices : (R, P, M, M) float64
        From `count_choices`.
    methods : sequence of str, (M,)
    resamplings, seed : int
        Of the intervals; see `statistics.bootstrap_weights`.
    """
    wins = choices.sum(axis=(0, 1))
    abilities, bounded = bradley_terry(wins)
    low, high = _intervals(choices, abilities, resamplings, seed)
    return [
        Preference(method, *map(float, figures))
        for method, *figures in zip(
            methods, abilities, low, high, wins.sum(axis=1), (wins + wins.T).sum(axis=1), strict=True
        )
    ], bounded


def _intervals(choices: Array, abilities: Array, resamplings: int, seed: int) -> tuple[Array, Array]:
    """95 % percentile intervals; draws that lack what links two methods say nothing of these and are passed over."""
    raters, patches, count, _ = choices.shape
    nothing = np.full(count, np.nan)
    if raters * patches < 2:
        return nothing, nothing
    groups = connected_components(_linked(choices.sum(axis=(0, 1))), directed=False)[0]
    fits: list[Array] = []
    start = np.nan_to_num(abilities)
    for by_rater, by_patch in bootstrap_weights(raters, patches, resamplings, seed):
        of_raters = (by_rater @ choices.reshape(raters, -1)).reshape(len(by_rater), patches, count, count)
        fits += [
            bradley_terry(wins, start)[0]
            for wins in np.einsum("np,npij->nij", by_patch, of_raters)
            if connected_components(_linked(wins), directed=False)[0] == groups
        ]
    if not fits:
        return nothing, nothing
    low, high = np.percentile(fits, (2.5, 97.5), axis=0)
    return low, high


def _linked(wins: Array) -> npt.NDArray[np.bool_]:
    """Which methods were compared with which."""
    return (wins + wins.T) > 0
