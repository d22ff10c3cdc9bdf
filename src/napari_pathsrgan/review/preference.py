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

if TYPE_CHECKING:
    from napari_pathsrgan.review.scores import Rating

Array = npt.NDArray[np.float64]

LEFT, SAME, RIGHT = 1, 2, 3


@dataclass(frozen=True)
class Preference:
    """How much a method is preferred.

    Attributes
    ----------
    method : str
    ability : float
        Log odds against an average method: the methods' abilities add up to 0. NaN if it was never compared.
    low, high : float
        95 % interval by the curvature of the likelihood (Wald), as if choices were independent.
    won, compared : float
        Choices for it, and choices it was part of; “no difference” is half a choice for each.
    """

    method: str
    ability: float
    low: float
    high: float
    won: float
    compared: float


def count_wins(ratings: Sequence[Rating], methods: Sequence[str]) -> Array:
    """Count choices; repeats are left out.

    Returns
    -------
    (M, M) float64
        How often the row's method was preferred to the column's.
    """
    wins = np.zeros((len(methods), len(methods)))
    index = {method: place for place, method in enumerate(methods)}
    for one in ratings:
        if one.score is None or one.repeat:
            continue
        left, right = (index[method] for method in one.methods)
        wins[left, right] += {LEFT: 1.0, SAME: 0.5, RIGHT: 0.0}[one.score]
        wins[right, left] += {LEFT: 0.0, SAME: 0.5, RIGHT: 1.0}[one.score]
    return wins


def bradley_terry(wins: Array) -> tuple[Array, Array, bool]:
    """Fit abilities by maximum likelihood.

    Where some methods never lost to others there is no maximum (Ford 1957, *American Mathematical Monthly* 64: 28–33):
    then half a choice each way is added to every pair that was compared.

    Parameters
    ----------
    wins : (M, M) float64
        From `count_wins`.

    Returns
    -------
    abilities : (M,) float64
        Adding up to 0.
    errors : (M,) float64
        Standard errors.
    bounded : bool
        Whether half choices were added.
    """
    count = len(wins)
    bounded = connected_components(wins > 0, connection="strong")[0] > 1
    if bounded:
        wins = wins + 0.5 * ((wins + wins.T) > 0)
    played = wins + wins.T

    def loss(abilities: Array) -> tuple[float, Array]:
        apart = abilities[:, None] - abilities[None, :]
        slope = wins.sum(axis=1) - (played * expit(apart)).sum(axis=1)
        return -float((wins * log_expit(apart)).sum()), -slope

    def curvature(abilities: Array) -> Array:
        apart = abilities[:, None] - abilities[None, :]
        weight = played * expit(apart) * expit(-apart)
        return np.asarray(np.diag(weight.sum(axis=1)) - weight)

    # The likelihood knows differences alone; what is added here fixes their sum and moves none of them.
    level = np.ones((count, count)) / count

    def fixed(abilities: Array) -> tuple[float, Array]:
        value, slope = loss(abilities)
        return value + abilities.sum() ** 2 / (2 * count), slope + abilities.sum() / count

    found = minimize(
        fixed, np.zeros(count), jac=True, hess=lambda at: curvature(at) + level, method="trust-exact",
        options={"gtol": 1e-10},
    )  # fmt: skip
    abilities = np.asarray(found.x - found.x.mean(), np.float64)
    covariance = np.linalg.pinv(curvature(abilities))
    return abilities, np.sqrt(np.diag(covariance)), bounded


def preferences(wins: Array, methods: Sequence[str]) -> tuple[list[Preference], bool]:
    """Say how much each method is preferred, and whether half choices had to be added; see `bradley_terry`.

    Methods of which there is no choice between any two that link them to the others are compared within their group.
    """
    abilities, errors, bounded = np.full(len(methods), np.nan), np.full(len(methods), np.nan), False
    groups, group_of = connected_components((wins + wins.T) > 0, directed=False)
    for group in range(groups):
        own = np.flatnonzero(group_of == group)
        if len(own) > 1:
            abilities[own], errors[own], added = bradley_terry(wins[np.ix_(own, own)])
            bounded = bounded or added
    return [
        Preference(
            method, float(ability), float(ability - 1.96 * error), float(ability + 1.96 * error), float(own_wins.sum()),
            float(played),
        )
        for method, ability, error, own_wins, played in zip(
            methods, abilities, errors, wins, (wins + wins.T).sum(axis=1), strict=True
        )
    ], bounded  # fmt: skip
