"""How the offset between two scans drifts over the slide: smooth, and unmoved by a bad patch.

Around every place a quadratic is fitted to the nearest measurements, the nearer the heavier, and those that contradict
their neighbours count for nothing (locally weighted robust regression, Cleveland 1979). How steep drifts are and how
much they bend is known beforehand, as a prior: so a few measurements, or some on a line, give a constant or a plane.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Points = npt.NDArray[np.float64]

_NEIGHBOURS = 20
"""Ours, measured on phantoms of 61 to 83 patches: 16 to 36 give errors within 4 % of each other."""
_SLOPE, _CURVATURE = 0.01, 2e-5
"""What a drift is thought to be like, s.d.: µm per µm, and that per µm. Ours, measured: a plane instead, with 10
neighbours, errs by a fifth more for one patch in twenty; half or twice the curvature changes nothing."""
_STEEPEST = 0.02
"""Steeper drifts than 2 % are not believed: stages and slides do not stretch, pixel sizes are known."""


class OffsetField:
    """A smooth field of offsets.

    Parameters
    ----------
    places_um : (N, 2) float64
        Where offsets were measured, N ≥ 1, µm.
    offsets_um : (N, 2) float64
        What was measured, µm.
    least_scatter_um : float
        Differences below this are never called outliers; twice the error of a measurement.

    Attributes
    ----------
    places_um, offsets_um : (N, 2) float64
        As given.
    expected_um : (N, 2) float64
        What the other measurements make of each one's place.
    deviations_um : (N,) float64
        Distance of each measurement from that.
    weights : (N,) float64
        How far each is believed, 0 to 1.
    """

    def __init__(self, places_um: Points, offsets_um: Points, least_scatter_um: float = 0.06) -> None:
        self.places_um = np.asarray(places_um, np.float64)
        self.offsets_um = np.asarray(offsets_um, np.float64)
        self._tree = cKDTree(self.places_um)
        noise = least_scatter_um / 2
        self._stiffness = np.array([1e-9, *2 * [(noise / _SLOPE) ** 2], *3 * [(noise / _CURVATURE) ** 2]])
        count = len(self.places_um)
        self.weights = np.ones(count)
        self.expected_um = self.offsets_um
        self.deviations_um = np.zeros(count)
        if count < 3:
            return
        # The first look is a median: half of the neighbours may be wrong.
        indices = self._neighbours(self.places_um, skip_self=True)
        about = np.median(self.offsets_um[indices], axis=1)
        wide = self._scatter(np.linalg.norm(self.offsets_um - about, axis=1), least_scatter_um)
        self.weights = _bisquare(np.linalg.norm(self.offsets_um - about, axis=1) / (6 * wide))
        for _ in range(3):
            self.expected_um = self._fit(self.places_um, skip_self=True)[0]
            self.deviations_um = np.linalg.norm(self.offsets_um - self.expected_um, axis=1)
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
        weight[weight.sum(axis=1) < 1e-9] = 1.0
        row, col = away[..., 0], away[..., 1]
        terms = np.stack([np.ones_like(row), row, col, row**2 / 2, row * col, col**2 / 2], axis=-1)
        values = self.offsets_um[indices]
        mean = (weight[..., None] * values).sum(axis=1, keepdims=True) / weight.sum(axis=1)[:, None, None]
        left = np.einsum("mk,mki,mkj->mij", weight, terms, terms) + np.diag(self._stiffness)
        right = np.einsum("mk,mki,mkj->mij", weight, terms, values - mean)
        fitted = np.linalg.solve(left, right)
        slopes = np.clip(fitted[:, 1:3].transpose(0, 2, 1), -_STEEPEST, _STEEPEST)
        return mean[:, 0] + fitted[:, 0], slopes


def _bisquare(ratio: Points) -> Points:
    return np.where(ratio < 1, (1 - np.minimum(ratio, 1) ** 2) ** 2, 0.0)
