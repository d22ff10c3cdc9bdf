"""Which pixels of a 4× scan show background and need no network.

The decision is local: it depends on the 16 pixels around a pixel and on two figures of the slide (`SlideBackground`),
so any tile finds the same. It errs towards foreground: a noisy scan costs time, never sharpness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.types import Pixels

REACH_PX = 16
"""How far a pixel's weight looks: 2 for the blur, 2 for the range, 3 to grow, 8 for the ramp, 1 for enlarging it."""
_GROW_PX, _RAMP_PX = 3, 4
_DARKEST_BACKGROUND = 140
_LEAST_BACKGROUND_PX = 32
_LUMINANCE_STEPS = 256
"""Per grey level: OpenCV blurs whole numbers to the same bits wherever a window begins, and floats not quite."""


@dataclass(frozen=True)
class SlideBackground:
    """What empty background looks like in one slide.

    Attributes
    ----------
    white : tuple of 3 float
        RGB of the background, grey levels; None where the slide shows none.
    noise : float
        Standard deviation of the blurred luminance on background, grey levels.
    """

    white: tuple[float, float, float] | None
    noise: float = 0.0

    @property
    def tint_tolerance(self) -> float:
        """How far from `white` a pixel still counts as background, grey levels (a density of about 0.01)."""
        return max(5.0, 4 * self.noise)

    @property
    def range_tolerance(self) -> float:
        """How much the 5 × 5 neighbourhood may vary on background, grey levels."""
        return max(3.0, 7 * self.noise)


def estimate_slide_background(slide: Slide, mpp: float) -> SlideBackground:
    """Find the background of a slide from its overview and a few places at full resolution.

    Parameters
    ----------
    slide : Slide
    mpp : float
        Pixel size at which `foreground_weight` will be asked, µm.

    Returns
    -------
    SlideBackground
        Without white where no bright, flat area is found.
    """
    overview = slide.thumbnail(768)
    luminance = np.asarray(cv2.GaussianBlur(cv2.cvtColor(overview, cv2.COLOR_RGB2GRAY), (0, 0), 1.0), dtype=np.uint8)
    spread = _local_range(luminance)
    flat = spread <= np.percentile(spread, 40)
    bright = luminance >= max(_DARKEST_BACKGROUND, float(np.percentile(luminance[flat], 60)) - 6)
    rows, cols = np.nonzero(flat & bright & (luminance < 255))
    if rows.size < _LEAST_BACKGROUND_PX:
        saturated = np.count_nonzero(flat & (luminance == 255)) >= _LEAST_BACKGROUND_PX
        return SlideBackground((255.0, 255.0, 255.0) if saturated else None)
    white = np.median(overview[rows, cols].astype(np.float64), axis=0)
    scale_row, scale_col = (extent / size for extent, size in zip(slide.extent_um, overview.shape[:2], strict=True))
    noises = []
    for pick in np.linspace(0, rows.size - 1, 5).astype(int):
        row, col = (int(position) for position in (rows[pick] * scale_row / mpp, cols[pick] * scale_col / mpp))
        noises.append(_noise(slide.read_grid(mpp, row - 24, col - 24, 48, 48)))
    return SlideBackground((float(white[0]), float(white[1]), float(white[2])), float(np.median(noises)))


def foreground_weight(image: Pixels, background: SlideBackground) -> npt.NDArray[np.float32]:
    """How much of the network's picture to take at each pixel: 1 on cells, 0 on background, a smooth ramp between.

    Parameters
    ----------
    image : (H, W, 3) uint8
        Slide pixels, with `REACH_PX` of context beyond the part of interest.
    background : SlideBackground
        From `estimate_slide_background`.

    Returns
    -------
    (H, W) float32
        0 to 1.
    """
    if background.white is None:
        return np.ones(image.shape[:2], np.float32)
    spread = _local_range(_blurred_luminance(image))
    blurred = cv2.blur(image.astype(np.float32), (3, 3), borderType=cv2.BORDER_REFLECT_101)
    tint = np.abs(blurred - np.asarray(background.white, np.float32)).max(axis=2)
    # A wholly constant area is a scanner's filling, whatever its colour.
    foreground = (spread > background.range_tolerance) | ((tint > background.tint_tolerance) & (spread > 0))
    grown = cv2.dilate(foreground.astype(np.float32), np.ones((2 * _GROW_PX + 1,) * 2, np.uint8))
    side = 2 * _RAMP_PX + 1
    wider = cv2.dilate(grown, np.ones((side, side), np.uint8))
    return np.asarray(cv2.blur(wider, (side, side), borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)


def _noise(image: Pixels) -> float:
    """Standard deviation in the flatter blocks of 8 × 8 px: cells between them must not pass for noise."""
    rows, cols = (size // 8 for size in image.shape[:2])
    blocks = _blurred_luminance(image)[: 8 * rows, : 8 * cols].reshape(rows, 8, cols, 8)
    return float(np.percentile(blocks.std(axis=(1, 3)), 25))


def _blurred_luminance(image: Pixels) -> npt.NDArray[np.float32]:
    finely = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint16) * _LUMINANCE_STEPS
    blurred = cv2.GaussianBlur(finely, (5, 5), 1.0, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred / np.float32(_LUMINANCE_STEPS), dtype=np.float32)


def _local_range(luminance: npt.NDArray[np.float32] | npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    kernel = np.ones((5, 5), np.uint8)
    return cv2.dilate(luminance, kernel).astype(np.float32) - cv2.erode(luminance, kernel).astype(np.float32)
