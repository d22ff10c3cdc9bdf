"""The empty background of a scan: its colour, and the noise on it.

JPEG sets most coefficients of a background's blocks to 0, and most of the noise with them. As the steps are known, how
many are not 0 still tells how strong the noise was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft, special

from napari_pathsrgan.imaging.jpeg import in_rows
from napari_pathsrgan.imaging.measured import Measured, NotMeasurable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pathsrgan.imaging.jpeg import JpegFacts
    from napari_pathsrgan.types import Pixels

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_LEAST_PIXELS = 1000
_MEAN_PX = 9
_OUTLIER_SD = 4.0
_NOISE_ERROR, _COUNTED_ERROR, _WHITE_ERROR = 0.1, 0.25, 0.5
"""Relative errors of noise that is seen and of noise counted from coefficients (a colour mosaic makes it seem larger by
30 %, measured); of the white, grey levels."""
_VISIBLE_STEPS = 2.0
"""Steps over noise up to which JPEG leaves noise as it is."""
_LEAST_NONZERO = 12
_LUMA = np.array([0.299, 0.587, 0.114])
_SIGMAS = np.geomspace(0.05, 20, 240)
_LOW_COEFFICIENTS = ((0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1))
"""Those with small steps, but not the two that a gradient of the illumination reaches."""


@dataclass(frozen=True, slots=True)
class Background:
    """The empty background of a scan.

    Attributes
    ----------
    white : tuple of Measured
        RGB, grey levels.
    noise : Measured or NotMeasurable
        Standard deviation of a pixel in green, grey levels, before compression.
    """

    white: tuple[Measured, Measured, Measured]
    noise: Measured | NotMeasurable


def estimate_background(
    images: Sequence[Pixels], empty: Sequence[Mask], jpeg: JpegFacts | None = None, phase_px: tuple[int, int] = (0, 0)
) -> Background | NotMeasurable:
    """Measure the background's colour and noise.

    Parameters
    ----------
    images : sequence of (H, W, 3) uint8
        Parts of a scan at its own pixels, not interpolated.
    empty : sequence of (H, W) bool
        Where nothing but background is.
    jpeg : JpegFacts, optional
        How the scan was compressed.
    phase_px : (int, int)
        How many rows and columns of the first block lie above and left of every part.

    Returns
    -------
    Background or NotMeasurable
    """
    inside = [cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0 for mask in empty]
    if sum(int(mask.sum()) for mask in inside) < _LEAST_PIXELS:
        return NotMeasurable("too little background")
    values = np.concatenate([image[mask] for image, mask in zip(images, inside, strict=True)])
    red, green, blue = (Measured(float(level), _white_error(jpeg)) for level in np.median(values, axis=0))
    return Background((red, green, blue), _noise(images, inside, jpeg, phase_px))


def _white_error(jpeg: JpegFacts | None) -> float:
    """Flat blocks are multiples of an eighth of the first step; red and blue take 1.6 times the chrominance."""
    steps = [table[0] for table in (jpeg.luminance, jpeg.chrominance) if table] if jpeg else []
    return float(np.hypot(_WHITE_ERROR, 1.6 * max(steps, default=0) / 8 / np.sqrt(12)))


def _noise(
    images: Sequence[Pixels], inside: Sequence[Mask], jpeg: JpegFacts | None, phase_px: tuple[int, int]
) -> Measured | NotMeasurable:
    seen = _pixel_noise(images, inside)
    if jpeg is None or jpeg.luminance is None:
        return Measured(seen, _NOISE_ERROR * seen)
    steps = in_rows(jpeg.luminance)
    if np.median(steps) < _VISIBLE_STEPS * seen:
        return Measured(seen, _NOISE_ERROR * seen)
    return _quantised_noise(_blocks(images, inside, phase_px), steps)


def _pixel_noise(images: Sequence[Pixels], inside: Sequence[Mask]) -> float:
    """Standard deviation of green around the mean of its neighbourhood, so that slow changes do not count."""
    kernel = np.ones((_MEAN_PX, _MEAN_PX), np.uint8)
    left = []
    for image, mask in zip(images, inside, strict=True):
        green = image[..., 1].astype(np.float32)
        away = green - cv2.blur(green, (_MEAN_PX, _MEAN_PX))
        left.append(away[cv2.erode(mask.astype(np.uint8), kernel, borderValue=0) > 0])
    values = np.concatenate(left)
    if len(values) < _LEAST_PIXELS // 4:
        values = np.concatenate([image[mask][:, 1] - np.median(image[mask][:, 1])
                                 for image, mask in zip(images, inside, strict=True) if mask.any()])  # fmt: skip
    spread = max(1.4826 * float(np.median(np.abs(values))), 0.5)
    kept = values[np.abs(values) <= _OUTLIER_SD * spread].astype(np.float64)
    return float(np.sqrt((kept**2).mean() / (1 - 1 / _MEAN_PX**2)))


def _blocks(images: Sequence[Pixels], inside: Sequence[Mask], phase_px: tuple[int, int]) -> Floats:
    """Transform luminance of blocks that are wholly empty: (N, 8, 8)."""
    found = []
    for image, mask in zip(images, inside, strict=True):
        first = [-phase % 8 for phase in phase_px]
        light, empty = (plane[first[0] :, first[1] :] for plane in (image @ _LUMA, mask))
        rows, cols = (size // 8 for size in empty.shape)
        cut = (plane[: 8 * rows, : 8 * cols].reshape(rows, 8, cols, 8).swapaxes(1, 2) for plane in (light, empty))
        blocks, whole = (part.reshape(-1, 8, 8) for part in cut)
        found.append(blocks[whole.all(axis=(1, 2))])
    return np.asarray(fft.dctn(np.concatenate(found), axes=(1, 2), norm="ortho"))


def _quantised_noise(blocks: Floats, steps: npt.NDArray[np.int64]) -> Measured | NotMeasurable:
    """Find the noise that leaves as many coefficients beside 0 as there are (maximum likelihood)."""
    at = tuple(np.transpose(_LOW_COEFFICIENTS))
    half = steps[at] / 2
    beside = (np.abs(blocks[:, at[0], at[1]]) > half).sum(axis=0)
    if beside.sum() < _LEAST_NONZERO:
        return NotMeasurable("compression hides it")
    zero = np.clip(special.erf(half / (np.sqrt(2) * _SIGMAS[:, None])), 1e-12, 1 - 1e-12)
    likelihood = (beside * np.log1p(-zero) + (len(blocks) - beside) * np.log(zero)).sum(axis=1)
    best = _SIGMAS[likelihood.argmax()] / float(np.linalg.norm(_LUMA))
    return Measured(float(best), _COUNTED_ERROR * float(best))
