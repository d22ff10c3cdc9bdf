"""How sharp a scan is: the effective aperture of its objective and the unsharp mask of its firmware.

Spectra of cells are alike: in 60 conventional Pap fields, before any 4× objective, power falls as frequency to the
power of −2.7 ± 0.2, and deviates by about 10 % beyond that. The objective cuts this spectrum off and an unsharp mask
lifts it. Every aperture, amount and radius on a grid gets the probability with which it explains the spectrum of a
scan; slope and curvature of the specimen's own spectrum are free within what fields show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from napari_pathsrgan.imaging.forward import NOMINAL
from napari_pathsrgan.imaging.jpeg import Table, in_rows
from napari_pathsrgan.imaging.measured import Measured, NotMeasurable
from napari_pathsrgan.imaging.objective import WAVELENGTHS_UM, transfer_function
from napari_pathsrgan.imaging.spectrum import (
    COL_FREQUENCY,
    FREQUENCIES,
    ROW_FREQUENCY,
    WINDOW_PX,
    power_spectrum,
    radial,
)

Floats = npt.NDArray[np.float64]

MPP_RANGE = (0.5, 2.0)
"""Pixel sizes, µm, at which the spectrum of cells is known: those of 10× and 4× scans."""
LEAST_WINDOWS = 24

_CURVES = (-2.753, -0.502, 0.138, 0.194)
"""Logarithm of the power of cells: polynomial in ln(f / 0.1 per µm), without its constant."""
_CURVED = (-1.6, 1.25)
"""Where its higher terms are known; beyond, the power law goes on."""
_SLOPE_SD, _CURVATURE_SD, _RESIDUAL_SD = 0.25, 0.1, 0.1
_LOWEST = 0.03
"""Frequencies below, cycles per pixel, show the shape of the window."""
_LEAST_SIGNAL = 0.7
"""Power over that of noise and compression from which a frequency counts."""
_LEAST_FREQUENCIES = 6
_APERTURE_ERRORS = 2.0
"""True errors of the aperture over those of the fit, from `benchmarks/scanner_estimates.py`."""

_CUTOFFS = np.geomspace(0.2, 0.78, 45)
"""Cut-off frequencies that are tried, cycles per pixel."""
_AMOUNTS = np.concatenate([[0.0], np.arange(0.1, 2.05, 0.1)])
_RADII = np.array([0.6, 0.9, 1.2, 1.6])
_CONTRAST_FLOOR = 1e-3
_TYPICAL_VALUE = 0.8
_READOUT_NOISE = 3e-8
"""Power of rounding to 8 bits, at least."""


@dataclass(frozen=True, slots=True)
class Sharpening:
    """An unsharp mask.

    Attributes
    ----------
    amount : Measured
        Share of the difference from the blurred image that is added.
    radius_px : Measured
        Standard deviation of the blur.
    """

    amount: Measured
    radius_px: Measured


@dataclass(frozen=True, slots=True)
class Optics:
    """How sharp a scan is.

    Attributes
    ----------
    aperture : Measured
        Effective numerical aperture: what defocus and a colour mosaic cost is part of it.
    sharpening : Sharpening, optional
        None where none was detected.
    amount_below : float
        Of an unsharp mask: 95 % certain to be less.
    """

    aperture: Measured
    sharpening: Sharpening | None
    amount_below: float


def estimate_optics(
    cells: Floats, background: Floats, mpp: float, luminance_steps: Table | None = None
) -> Optics | NotMeasurable:
    """Estimate aperture and sharpening from the spectrum of cells.

    Parameters
    ----------
    cells : (N, 64, 64) float64
        Green values of windows with cells, 0 to 1, at the scan's own pixels. The third of most contrast is used.
    background : (M, 64, 64) float64
        The same without cells, for the noise.
    mpp : float
        Pixel size, µm.
    luminance_steps : tuple of 64 int, optional
        Quantisation steps of a JPEG in zigzag order.

    Returns
    -------
    Optics or NotMeasurable
    """
    if not MPP_RANGE[0] <= mpp <= MPP_RANGE[1]:
        return NotMeasurable(f"pixels of {mpp:.3g} µm")
    chosen = _most_contrast(cells)
    if len(chosen) < LEAST_WINDOWS:
        return NotMeasurable("too few cells")
    if not len(background):
        return NotMeasurable("too little background, so that noise is not known")
    noise = power_spectrum(_linear(background))
    integration = (np.sinc(ROW_FREQUENCY) * np.sinc(COL_FREQUENCY)) ** 2
    power = radial((power_spectrum(_linear(chosen)) - noise) / integration)
    floor = radial((noise + _compression_noise(luminance_steps)) / integration) + _READOUT_NOISE
    used = _usable(power, floor)
    if used.sum() < _LEAST_FREQUENCIES:
        return NotMeasurable("noise or compression covers the cells")
    error = np.hypot(_RESIDUAL_SD, floor[used] / power[used])
    return _summary(_likelihood(FREQUENCIES[used], np.log(power[used]), error, mpp), mpp)


def _most_contrast(windows: Floats) -> Floats:
    contrast = windows.var(axis=(1, 2))
    return windows[contrast >= np.quantile(contrast, 2 / 3)] if len(windows) else windows


def _linear(values: Floats) -> Floats:
    return np.asarray(values**NOMINAL.camera.camera_gamma)


def _compression_noise(steps: Table | None) -> Floats:
    """Power of the errors of quantised coefficients, in linear intensity: a step s errs by s²/12 while it matters."""
    if steps is None:
        return np.zeros((WINDOW_PX, WINDOW_PX // 2 + 1))
    variance = in_rows(steps).astype(np.float64) ** 2 / 12
    places = np.broadcast_arrays(np.abs(ROW_FREQUENCY) * 16, COL_FREQUENCY * 16)
    gamma = NOMINAL.camera.camera_gamma
    slope = gamma * _TYPICAL_VALUE ** (gamma - 1) / 255
    return np.asarray(map_coordinates(variance, np.minimum(places, 7.0), order=1, mode="nearest") * slope**2)


def _usable(power: Floats, floor: Floats) -> npt.NDArray[np.bool_]:
    """Frequencies from the lowest up to the first that noise covers."""
    good = power > _LEAST_SIGNAL * floor
    good |= FREQUENCIES <= _LOWEST
    return np.asarray(np.logical_and.accumulate(good) & (FREQUENCIES > _LOWEST))


def _likelihood(frequency: Floats, log_power: Floats, error: Floats, mpp: float) -> Floats:
    """Return the probability of every cut-off, amount and radius (Bayes; the specimen's terms are integrated out)."""
    height = np.log(frequency / mpp / 0.1)
    curved = np.clip(height, *_CURVED)
    specimen = _CURVES[0] * height + sum(part * curved**power for power, part in enumerate(_CURVES[1:], 2))
    left = (log_power - specimen) - _shapes(tuple(frequency))
    terms = np.stack([np.ones_like(height), height, height**2], axis=1)
    weight = 1 / error**2
    precision = (terms.T * weight) @ terms + np.diag([0, _SLOPE_SD**-2, _CURVATURE_SD**-2])
    moment = (left * weight) @ terms
    cost = left**2 @ weight - np.einsum("...i,ij,...j->...", moment, np.linalg.inv(precision), moment)
    prior = np.full(len(_AMOUNTS), 0.5 / (len(_AMOUNTS) - 1))
    prior[0] = 0.5  # half of the scanners do not sharpen
    chance = np.exp((cost.min() - cost) / 2) * prior[None, :, None]
    return np.asarray(chance / chance.sum())


@lru_cache(maxsize=8)
def _shapes(frequency: tuple[float, ...]) -> Floats:
    """Logarithm of the power that every cut-off, amount and radius leaves: (cut-offs, amounts, radii, frequencies)."""
    at = np.array(frequency)
    relative = at[None, :] / _CUTOFFS[:, None]
    passed = np.maximum(transfer_function(relative, 0.5, 1.0, 0.0).astype(np.float64), _CONTRAST_FLOOR)
    smoothed = np.exp(-2 * (np.pi * _RADII[:, None] * at) ** 2)
    lifted = 1 + _AMOUNTS[:, None, None] * (1 - smoothed)
    return np.asarray(2 * (np.log(passed)[:, None, None] + np.log(lifted)))


def _summary(chance: Floats, mpp: float) -> Optics | NotMeasurable:
    by_cutoff, by_amount = chance.sum(axis=(1, 2)), chance.sum(axis=(0, 2))
    if by_cutoff[-3:].sum() > 0.2:
        return NotMeasurable("the objective resolves more than the pixels")
    logarithm = _moments(np.log(_CUTOFFS * WAVELENGTHS_UM[1] / (2 * mpp)), by_cutoff)
    aperture = float(np.exp(logarithm.value))
    below = float(_AMOUNTS[np.searchsorted(by_amount.cumsum(), 0.95)])
    return Optics(Measured(aperture, _APERTURE_ERRORS * aperture * logarithm.error), _sharpening(chance), below)


def _sharpening(chance: Floats) -> Sharpening | None:
    sharpened = chance[:, 1:]
    if sharpened.sum() < 0.5:
        return None
    given = sharpened / sharpened.sum()
    return Sharpening(_moments(_AMOUNTS[1:], given.sum(axis=(0, 2))), _moments(_RADII, given.sum(axis=(0, 1))))


def _moments(values: Floats, chance: Floats) -> Measured:
    mean = float(values @ chance)
    return Measured(mean, float(np.sqrt((values - mean) ** 2 @ chance)))
