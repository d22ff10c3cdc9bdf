"""How far a computed picture is from the real one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from napari_pathsrgan.imaging.forward import scan_back

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

MPP_LR, MPP_HR = 1.172, 0.293
_LEAST_SQUARED_ERROR = 1e-5
"""Identical pictures count as this far apart, so that a mean over fields stays finite: 98 dB."""
_RADIAL_BINS = 32
_BORDER_LR_PX = 8
"""Left out where a picture is scanned again: what lies beyond its border is not known."""


class PatchModel(Protocol):
    """Something that super-resolves a patch: an `Engine`, say."""

    def apply(self, patch: Pixels) -> tuple[Pixels, Pixels]:
        """Give (2H, 2W, 3) and (4H, 4W, 3) uint8 for (H, W, 3) uint8."""


def psnr(computed: Pixels, real: Pixels) -> float:
    """Peak signal-to-noise ratio over all pixels and colours.

    Parameters
    ----------
    computed, real : (H, W, 3) uint8
        RGB.

    Returns
    -------
    float
        dB relative to 255; at most 98.
    """
    difference = computed.astype(np.float32) - real.astype(np.float32)
    error = max(float(np.mean(difference**2, dtype=np.float64)), _LEAST_SQUARED_ERROR)
    return 10 * math.log10(255**2 / error)


def ssim(computed: Pixels, real: Pixels) -> float:
    """Structural similarity, the mean over R, G and B (Wang et al. 2004: Gaussian window of s.d. 1.5 px).

    Parameters
    ----------
    computed, real : (H, W, 3) uint8
        RGB, at least 11 px a side.

    Returns
    -------
    float
        1 for identical pictures.
    """
    return float(
        structural_similarity(
            computed,
            real,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def ssim_paper(computed: Pixels, real: Pixels) -> float:
    """Structural similarity with scikit-image's defaults, as the authors' code has it: 7 × 7 px, all alike.

    Parameters
    ----------
    computed, real : (H, W, 3) uint8
        RGB, at least 7 px a side.

    Returns
    -------
    float
        1 for identical pictures.
    """
    return float(structural_similarity(computed, real, channel_axis=2, data_range=255))


def psnr_shifted(computed: Pixels, real: Pixels, most_px: int = 1) -> float:
    """The best PSNR of all shifts by whole pixels: a picture that is only a little displaced is not called wrong.

    Parameters
    ----------
    computed, real : (H, W, 3) uint8
    most_px : int
        Largest shift along each axis; as many pixels at the border are left out of every comparison.

    Returns
    -------
    float
        dB.
    """
    height, width = real.shape[:2]
    core = real[most_px : height - most_px, most_px : width - most_px]
    return max(
        psnr(computed[row : row + core.shape[0], col : col + core.shape[1]], core)
        for row in range(2 * most_px + 1)
        for col in range(2 * most_px + 1)
    )


def spectrum_error(computed: Pixels, real: Pixels) -> float:
    """How far the radial power spectrum of the luminance is off: blur and invented grain both show.

    Parameters
    ----------
    computed, real : (H, W, 3) uint8

    Returns
    -------
    float
        Mean over 32 rings of spatial frequency, up to half a cycle per pixel, of the absolute difference in dB.
    """
    ours, theirs = _radial_power(computed), _radial_power(real)
    return float(np.abs(10 * np.log10(ours / theirs)).mean())


def _radial_power(image: Pixels) -> npt.NDArray[np.float64]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    window = np.hanning(grey.shape[0])[:, None] * np.hanning(grey.shape[1])[None, :]
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(grey.shape[0])[:, None], np.fft.rfftfreq(grey.shape[1])[None, :])
    ring = np.minimum((frequency * 2 * _RADIAL_BINS).astype(int), _RADIAL_BINS)
    total = np.bincount(ring.ravel(), power.ravel(), _RADIAL_BINS + 1)[:_RADIAL_BINS]
    count = np.bincount(ring.ravel(), minlength=_RADIAL_BINS + 1)[:_RADIAL_BINS]
    # An eight-bit picture is rounded: noise of a variance of 1/12 is in every one.
    return np.asarray(total / np.maximum(count, 1) + (window**2).sum() / 12)


def consistency(hr: Pixels, lr: Pixels) -> float:
    """Whether a 20× image, scanned at 4× again, gives what the 4× scanner saw.

    Through the nominal optics and a tone curve of γ = 1.8, without noise. What a real 20× image reaches is the measure
    of the optics and the colours, which differ between scanners; less than that means invented or lost matter.

    Parameters
    ----------
    hr : (4H, 4W, 3) uint8
        At 0.293 µm/px.
    lr : (H, W, 3) uint8
        At 1.172 µm/px.

    Returns
    -------
    float
        PSNR, dB, without the outermost 8 px of `lr`.
    """
    again = np.clip(np.rint(scan_back(hr, MPP_HR, MPP_LR)), 0, 255).astype(np.uint8)
    height, width = lr.shape[:2]
    core = slice(_BORDER_LR_PX, height - _BORDER_LR_PX), slice(_BORDER_LR_PX, width - _BORDER_LR_PX)
    return psnr(again[core], lr[core])
