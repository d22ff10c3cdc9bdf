"""Find where the low scan shows what one patch of a finer scan shows, to a few hundredths of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.registration.coarse import CELL_ABSORPTION
from napari_pathsrgan.registration.correlation import Plane, absorption, match, sample_plane
from napari_pathsrgan.registration.turned import Scan, TurnedSlide, slide_of

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide

Points = npt.NDArray[np.float64]

_NARROW_PX = 2
"""Reach of the second, finer look; the first is right to a fraction of a pixel."""

_COARSE_SIDE, _FINE_SIDE = 128, 256
_READ_MARGIN_PX = 6


@dataclass(frozen=True)
class Found:
    """Where the low scan shows a patch.

    Attributes
    ----------
    corner_um : (2,) float64
        Upper-left corner in the low scan, µm, as if the patch were only moved, not stretched.
    correlation : float
        Of the patch at 0.586 µm/px.
    second_ratio : float
        Second peak over the first within the wide search.
    foreground : float
        Share of cells.
    lever_um : (2, 2, 2) float64
        What a drift makes of a measurement: where offsets change by ``slopes[j, k]`` per µm, the displacement found
        differs from the one at the patch's centre by ``sum(lever[i, j, k] * slopes[j, k])``. Only a patch whose
        structure lies evenly around its centre has no lever.
    """

    corner_um: Points
    correlation: float
    second_ratio: float
    foreground: float
    lever_um: Points


class LowWindow(Protocol):
    """A part of the low scan, to be sampled anywhere."""

    def sample(self, corner_um: Points, mpp: float, side_px: int) -> Plane:
        """Sample absorption in a square of any pixel size from any corner."""


class OwnWindow:
    """A part of a slide, read once.

    Parameters
    ----------
    low : Slide
    corner_um : (2,) float64
        About where the patch begins.
    side_um, reach_um : float
        Size of the patch and how far around it is searched.
    """

    def __init__(self, low: Slide, corner_um: Points, side_um: float, reach_um: float) -> None:
        self._pixel = np.asarray(low.pixel_size_um)
        first = np.floor((corner_um - reach_um) / self._pixel).astype(int) - _READ_MARGIN_PX
        last = np.ceil((corner_um + side_um + reach_um) / self._pixel).astype(int) + _READ_MARGIN_PX
        height, width = last - first
        self._first = first
        self._plane = absorption(low.read_level(0, int(first[0]), int(first[1]), int(height), int(width)))

    def sample(self, corner_um: Points, mpp: float, side_px: int) -> Plane:
        """Sample absorption in a square of any pixel size from any corner."""
        start = corner_um / self._pixel - self._first
        # Pixels of the low scan are square to a thousandth; the patch is too small for more to matter.
        ratio = mpp / float(self._pixel.mean())
        return sample_plane(self._plane, ratio, (float(start[0]), float(start[1])), (side_px, side_px))


class TurnedWindow:
    """A turned slide.

    Parameters
    ----------
    low : TurnedSlide
    """

    def __init__(self, low: TurnedSlide) -> None:
        self._low = low

    def sample(self, corner_um: Points, mpp: float, side_px: int) -> Plane:
        """Sample absorption in a square of any pixel size from any corner."""
        return np.asarray(1 - self._low.sample_green(corner_um, mpp, side_px) / np.float32(255), np.float32)


def window_of(low: Scan, corner_um: Points, side_um: float, reach_um: float) -> LowWindow:
    """Prepare a part of the low scan for a patch; see `OwnWindow`."""
    if isinstance(low, TurnedSlide):
        return TurnedWindow(low)
    return OwnWindow(slide_of(low), corner_um, side_um, reach_um)


def locate(patch: Plane, mpp: float, window: LowWindow, corner_um: Points, reach_um: float, background: float) -> Found:
    """Look for a patch around a place: first with pixels of 1.172 µm and far, then of 0.586 µm and near.

    Parameters
    ----------
    patch : (256, 256) float32
        Absorption.
    mpp : float
        Its pixel size, µm.
    window : LowWindow
        Around `corner_um`.
    corner_um : (2,) float64
        Where the patch's upper-left corner is thought to be.
    reach_um : float
        How far around is looked.
    background : float
        Absorption of the low scan's background.

    Returns
    -------
    Found
        With correlation 0 where the best place was on the border of the search.
    """
    small = _shrunk(patch)
    step = mpp * _FINE_SIDE / _COARSE_SIDE
    reach = int(np.ceil(reach_um / step))
    wide = match(small, window.sample(corner_um - reach * step, step, _COARSE_SIDE + 2 * reach))
    corner = corner_um + (np.array([wide.row, wide.col]) - reach) * step
    near = window.sample(corner - _NARROW_PX * mpp, mpp, _FINE_SIDE + 2 * _NARROW_PX)
    peak = match(patch, near)
    corner = corner + (np.array([peak.row, peak.col]) - _NARROW_PX) * mpp
    seen = _shrunk(near[_NARROW_PX:-_NARROW_PX, _NARROW_PX:-_NARROW_PX])
    correlation = peak.correlation if wide.inside and peak.inside else 0.0
    ratio = max(wide.second, 0.0) / max(wide.correlation, 1e-6)
    return Found(corner, correlation, ratio, float((seen > background + CELL_ABSORPTION).mean()), _lever(seen, step))


def _shrunk(plane: Plane) -> Plane:
    return np.asarray(cv2.resize(plane, (_COARSE_SIDE, _COARSE_SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _lever(seen: Plane, mpp: float) -> Points:
    """Least squares: the d that makes Σ (g·(d − S·x))² least, g the gradient, is (Σ g gᵀ)⁻¹ Σ g gᵀ S x."""
    down = cv2.Sobel(seen, cv2.CV_32F, 0, 1).astype(np.float64)
    right = cv2.Sobel(seen, cv2.CV_32F, 1, 0).astype(np.float64)
    at = (np.arange(seen.shape[0]) + 0.5 - seen.shape[0] / 2) * mpp
    energy = np.zeros((2, 2))
    moment = np.zeros((2, 2, 2))
    for i, j, product in ((0, 0, down * down), (0, 1, down * right), (1, 1, right * right)):
        by_row, by_col = product.sum(axis=1), product.sum(axis=0)
        energy[i, j] = energy[j, i] = by_row.sum()
        moment[i, j] = moment[j, i] = (by_row @ at, by_col @ at)
    energy += 1e-9 * np.eye(2)
    return np.asarray(np.einsum("il,ljk->ijk", np.linalg.inv(energy), moment))
