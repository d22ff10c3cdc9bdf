"""Where a computed picture disagrees with the scan it was computed from.

The computed 20× picture is scanned back to 4× by the nominal optics (METHOD § 13.5 b) and compared with what was
scanned. Some of the difference says nothing about the picture: the scanner's own focus, sharpening, colour shift and
noise. That part is learnt from the slide itself (`Calibration`): a linear filter of few taps that makes the one like
the other, and how large the rest usually is where the picture is smooth and where it has edges. What exceeds it is
matter that was invented or lost.

A second map shows where two models' pictures differ, say one trained with a discriminator and one without: what only
one of them draws was not in the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from napari_pathsrgan.imaging import forward

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

Floats = npt.NDArray[np.float32]

SCALE = 4
"""20× pixels along a side of an input pixel."""
MARGIN_PX = 32
"""Context that an input pixel's disagreement depends on: 16 for the optics, the rest for filter and smoothing."""
LEVELS_PER_SIGMA = 10.0
"""A map's grey levels per expected deviation, so that 8 bits hold up to 25 of them."""

_BLURS_PX = (1.0, 2.0)
_SMOOTHING_PX = 1.0
_LEAST_FLOOR = 0.5
_GRADIENT_BINS = 24
_FITS = 3
_OUTLIER = 4.0
_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Calibration:
    """What of the difference between a slide's scan and its computed picture scanned back is to be expected.

    Attributes
    ----------
    filters : tuple of 3 tuple of float
        For R, G and B: weights of the picture scanned back, its two blurred versions, its two derivatives, and 1.
    floors, slopes : tuple of 3 float
        Expected deviation, grey levels: the root of floor² + (slope · gradient)².
    """

    filters: tuple[tuple[float, ...], ...] = ((1.0, 0.0, 0.0, 0.0, 0.0, 0.0),) * 3
    floors: tuple[float, ...] = (2.0,) * 3
    slopes: tuple[float, ...] = (0.5,) * 3


def scan_back(hr: Pixels, mpp_in: float = 1.172) -> Floats:
    """Scan a 20× picture at 4×, without noise, on the network's input grid.

    Parameters
    ----------
    hr : (4H, 4W, 3) uint8
    mpp_in : float
        Pixel size of the input grid, µm.

    Returns
    -------
    (H, W, 3) float32
        Grey levels. The outer 16 px lack context.
    """
    # The 4× objective passes nothing finer than 1.3 µm: half of the pixels are enough, at a quarter of the time.
    halved = cv2.resize(hr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return forward.scan_back(np.asarray(halved, np.uint8), mpp_in / 2, mpp_in)


def calibrate(scans: Sequence[Pixels], pictures: Sequence[Pixels], mpp_in: float = 1.172) -> Calibration:
    """Learn what is to be expected of one slide, from some places with cells.

    Parameters
    ----------
    scans : sequence of (H, W, 3) uint8
        On the input grid, with `MARGIN_PX` around what counts.
    pictures : sequence of (4H, 4W, 3) uint8
        Computed from them.
    mpp_in : float
        Pixel size of the input grid, µm.

    Returns
    -------
    Calibration
        The usual one where no place is given.
    """
    if not scans:
        return Calibration()
    core = slice(MARGIN_PX, -MARGIN_PX)
    backs = [scan_back(picture, mpp_in) for picture in pictures]
    filters, floors, slopes = [], [], []
    for channel in range(3):
        terms = [_terms(back[..., channel]) for back in backs]
        inputs = np.concatenate([np.stack([term[core, core].ravel() for term in each], axis=1) for each in terms])
        wanted = np.concatenate([scan[core, core, channel].ravel() for scan in scans]).astype(np.float32)
        weights = _fit(inputs, wanted)
        rest, steepness = [], []
        for scan, each in zip(scans, terms, strict=True):
            left, gradient = _rest(scan[..., channel], each, weights)
            rest.append(left[core, core].ravel())
            steepness.append(gradient[core, core].ravel())
        floor, slope = _spread(np.concatenate(rest), np.concatenate(steepness))
        filters.append(weights)
        floors.append(floor)
        slopes.append(slope)
    return Calibration(tuple(filters), tuple(floors), tuple(slopes))


def disagreement(scan: Pixels, picture: Pixels, calibration: Calibration, mpp_in: float = 1.172) -> Floats:
    """How many expected deviations the scan and the picture scanned back lie apart.

    Parameters
    ----------
    scan : (H, W, 3) uint8
        On the input grid, with `MARGIN_PX` around what counts.
    picture : (4H, 4W, 3) uint8
        Computed from it.
    calibration : Calibration
    mpp_in : float
        Pixel size of the input grid, µm.

    Returns
    -------
    (H − 2·32, W − 2·32) float32
        Root of the mean square over R, G and B; about 1 where nothing is wrong.
    """
    back = scan_back(picture, mpp_in)
    core = slice(MARGIN_PX, -MARGIN_PX)
    total = np.zeros(scan[core, core, 0].shape, np.float32)
    settings = zip(calibration.filters, calibration.floors, calibration.slopes, strict=True)
    for channel, (weights, floor, slope) in enumerate(settings):
        rest, gradient = _rest(scan[..., channel], _terms(back[..., channel]), weights)
        total += (rest[core, core] ** 2 / (floor**2 + (slope * gradient[core, core]) ** 2)).astype(np.float32)
    return np.sqrt(total / 3)


def model_difference(picture: Pixels, other: Pixels) -> Floats:
    """How far two models' pictures of one place lie apart, on the input grid.

    Parameters
    ----------
    picture, other : (4H, 4W, 3) uint8

    Returns
    -------
    (H, W) float32
        Mean absolute difference over the 16 pixels and three colours of an input pixel, grey levels.
    """
    apart = np.abs(picture.astype(np.int16) - other).sum(axis=2, dtype=np.int32)
    rows, cols = (size // SCALE for size in apart.shape)
    return np.asarray(apart.reshape(rows, SCALE, cols, SCALE).mean(axis=(1, 3)) / 3, np.float32)


def as_levels(deviations: Floats) -> Pixels:
    """Turn deviations into a map's 8 bits."""
    return np.asarray(np.clip(np.rint(deviations * LEVELS_PER_SIGMA), 0, 255), np.uint8)


def _terms(back: Floats) -> list[Floats]:
    """What the scan is made from: the picture scanned back, softer, displaced, and brighter or darker."""
    blurred = [_soft(back, sigma) for sigma in _BLURS_PX]
    down, right = (np.asarray(part, np.float32) for part in np.gradient(back))
    return [back, *blurred, down, right, np.ones_like(back)]


def _rest(scan: npt.NDArray[Any], terms: Sequence[Floats], weights: Sequence[float]) -> tuple[Floats, Floats]:
    """What a scan's channel has that the picture scanned back does not explain, and how steep the picture is."""
    explained = np.asarray(sum(weight * term for weight, term in zip(weights, terms, strict=True)), np.float32)
    gradient = np.hypot(*np.gradient(_soft(explained, _SMOOTHING_PX)))
    return _soft(scan.astype(np.float32) - explained, _SMOOTHING_PX), np.asarray(gradient, np.float32)


def _soft(plane: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.float32)


def _fit(inputs: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> tuple[float, ...]:
    """Least squares again and again without the pixels that lie far off: what a model invented must not be learnt."""
    keep = np.ones(len(wanted), bool)
    for _ in range(_FITS):
        weights, *_rest_of_it = np.linalg.lstsq(inputs[keep].astype(np.float64), wanted[keep].astype(np.float64))
        off = np.abs(wanted - inputs @ weights)
        keep = off <= _OUTLIER * _TO_SIGMA * max(float(np.median(off)), 1e-3)
    return tuple(float(weight) for weight in weights)


def _spread(rest: Floats, gradient: Floats) -> tuple[float, float]:
    """Expected deviation as floor and slope, from the median deviation among pixels of like gradient."""
    edges = np.quantile(gradient, np.linspace(0, 1, _GRADIENT_BINS + 1))
    which = np.clip(np.searchsorted(edges, gradient, side="right") - 1, 0, _GRADIENT_BINS - 1)
    bins = [np.flatnonzero(which == number) for number in range(_GRADIENT_BINS)]
    found = [
        (float(np.mean(gradient[members] ** 2)), (_TO_SIGMA * float(np.median(np.abs(rest[members])))) ** 2)
        for members in bins
        if members.size
    ]
    steep, variance = np.asarray(found).T
    (floor2, slope2), _ = nnls(np.stack([np.ones_like(steep), steep], axis=1), variance)
    return max(float(np.sqrt(floor2)), _LEAST_FLOOR), float(np.sqrt(slope2))
