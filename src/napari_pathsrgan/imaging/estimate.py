"""What a scanner is like, from its pixels alone: the colour of the background and the noise on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class Background:
    """The empty background of a scan.

    Attributes
    ----------
    white : tuple of float
        Median RGB, grey levels.
    noise : tuple of float
        Standard deviation of the noise in R, G and B, grey levels.
    """

    white: tuple[float, float, float]
    noise: tuple[float, float, float]


def estimate_background(image: Pixels, empty: npt.NDArray[np.bool_]) -> Background | None:
    """Measure the background's colour and noise.

    The noise is that of differences between a pixel and its neighbours, so slow changes of the illumination and cells
    at the edge of the mask count little.

    Parameters
    ----------
    image : (H, W, 3) uint8
        A scan at its own pixels, not interpolated.
    empty : (H, W) bool
        Where nothing but background is.

    Returns
    -------
    Background or None
        None where fewer than 1,000 pixels are empty.
    """
    inside = cv2.erode(empty.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    if inside.sum() < 1000:
        return None
    values = image[inside].astype(np.float64)
    # Immerkær's mask: a second difference along both axes, whose response to white noise has a s.d. of 6 σ.
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    noise = []
    for channel in range(3):
        response = cv2.filter2D(image[..., channel].astype(np.float32), -1, mask)[inside]
        noise.append(float(np.sqrt(np.mean(np.clip(response, *_inliers(response)) ** 2)) / 6))
    red, green, blue = np.median(values, axis=0)
    return Background((float(red), float(green), float(blue)), (noise[0], noise[1], noise[2]))


def _inliers(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Bounds of four standard deviations, of at least one level: rounded values may have a median deviation of 0."""
    centre = float(np.median(values))
    spread = max(_TO_SIGMA * float(np.median(np.abs(values - centre))), 6.0)
    return centre - 4 * spread, centre + 4 * spread
