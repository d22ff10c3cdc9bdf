"""How the offset between two scans drifts over the slide: smooth, and unmoved by a bad patch.

At every place a plane is fitted to the nearest measurements, the nearer the heavier, and those that contradict their
neighbours count for nothing (locally weighted robust regression, Cleveland 1979).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Points = npt.NDArray[np.float64]

_NEIGHBOURS = 10
"""Ours, measured on phantoms of 75 to 85 patches: 8 to 12 give the same error, 20 a tenth more."""
_FEWEST_FOR_PLANE = 6
_STEEPEST = 0.02
"""Steeper drifts than 2 % are not believed: stages and glass don't stretch, pixel sizes are known."""


class OffsetField:
    """A smooth field of offsets.

    Parameters
    ----------
    places_um : (N, 2) float64
        Where offsets were measured, N ≥ 1, µm.
    offsets_um : (N, 2) float64
        What was measured, µm.
    least_scatter_um : float
        Differences below this are never called outliers.

    Attributes
    ----------
    places_um : (N, 2) float64
    expected_um : (N, 2) float64
        What the other measurements make of each one's place.
    deviations_um : (N,) float64
        Distance of each measurement from that.
    weights : (N,) float64
        How far each is believed, 0 to 1.
    """

    def __init__(self, places_um: Points, offsets_um: Points, least_scatter_um: float = 0.06) -> None:
        self.places_um = np.asarray(places_um, np.float64)
        self._offsets = np.asarray(offsets_um, np.float64)
        self._tree = cKDTree(self.places_um)
        count = len(self.places_um)
        self.weights = np.ones(count)
        self.expected_um = self._offsets
        self.deviations_um = np.zeros(count)
        if count < 3:
            return
        # The first look is a median: half of the neighbours may be wrong.
        indices = self._neighbours(self.places_um, skip_self=True)
        about = np.median(self._offsets[indices], axis=1)
        wide = self._scatter(np.linalg.norm(self._offsets - about, axis=1), least_scatter_um)
        self.weights = _bisquare(np.linalg.norm(self._offsets - about, axis=1) / (6 * wide))
        for _ in range(3):
            self.expected_um = self._fit(self.places_um, skip_self=True)[0]
            self.deviations_um = np.linalg.norm(self._offsets - self.expected_um, axis=1)
            scatter = self._scatter(self.deviations_um, least_scatter_um)
            self.weights = _bisquare(self.deviations_um / (5 * scatter))

    def _scatter(self, deviations: Points, least: float) -> float:
        return max(least, 1.4826 * float(np.median(deviations)))

    @property
    def scatter_um(self) -> float:
        """Robust s.d. of the deviations, µm."""
        return 1.4826 * float(np.median(self.deviations_um))

    def at(self, places_um: Points) -> Points:
        """Offsets at places, (M, 2) to (M, 2), µm."""
        return self._fit(np.asarray(places_um, np.float64))[0]

    def slopes(self, places_um: Points) -> Points:
        """How offsets change around places.

        Returns
        -------
        (M, 2, 2) float64
            ``[m, i, j]``: change of offset i per µm along axis j.
        """
        return self._fit(np.asarray(places_um, np.float64))[1]

    def _neighbours(self, places: Points, skip_self: bool) -> npt.NDArray[np.intp]:
        count = min(len(self.places_um), _NEIGHBOURS + skip_self)
        _, indices = self._tree.query(places, k=np.arange(1, count + 1))
        return np.asarray(indices[:, 1:] if skip_self and count > 1 else indices, np.intp)

    def _fit(self, places: Points, skip_self: bool = False) -> tuple[Points, Points]:
        indices = self._neighbours(places, skip_self)
        away = self.places_um[indices] - places[:, None]
        distance = np.linalg.norm(away, axis=2)
        reach = 1.001 * distance.max(axis=1, keepdims=True) + 1e-9
        weight = (1 - (distance / reach) ** 3) ** 3 * self.weights[indices]
        nothing = weight.sum(axis=1) < 1e-9
        weight[nothing] = 1.0
        values = self._offsets[indices]
        total = weight.sum(axis=1)
        centre = (weight[..., None] * away).sum(axis=1) / total[:, None]
        mean = (weight[..., None] * values).sum(axis=1) / total[:, None]
        slopes = np.zeros((len(places), 2, 2))
        if indices.shape[1] >= _FEWEST_FOR_PLANE:
            lever, change = away - centre[:, None], values - mean[:, None]
            spread = np.einsum("mk,mki,mkj->mij", weight, lever, lever)
            # Points on a line say nothing about the direction across it: a little ridge leaves that slope at 0.
            ridge = (1e-3 * np.trace(spread, axis1=1, axis2=2) + 1e-9)[:, None, None] * np.eye(2)
            joint = np.einsum("mk,mki,mkj->mij", weight, change, lever)
            slopes = np.clip(joint @ np.linalg.inv(spread + ridge), -_STEEPEST, _STEEPEST)
            slopes[nothing] = 0.0
        return mean - np.einsum("mij,mj->mi", slopes, centre), slopes


def _bisquare(ratio: Points) -> Points:
    return np.where(ratio < 1, (1 - np.minimum(ratio, 1) ** 2) ** 2, 0.0)
