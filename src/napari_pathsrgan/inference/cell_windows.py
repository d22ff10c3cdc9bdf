"""Made-up windows full of cells: discs of all sizes and colours, over and through each other, as a scan shows them."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import numpy.typing as npt

_SIDE_PX = 128
_CONTRASTS, _BLURS_PX = (1.0, 1.7, 2.5), (0.4, 0.6, 0.8)
_DISCS_PER_PX2 = 160 / 128**2
_NOISE_LEVELS = 1.0


def calibration_windows() -> list[npt.NDArray[np.float32]]:
    """Draw windows of several contrasts and blurs: each (1, 3, H, W) float32, 0 to 1."""
    return [cell_window(seed, contrast, blur) for seed, (contrast, blur) in enumerate(product(_CONTRASTS, _BLURS_PX))]


def cell_window(seed: int, contrast: float, blur_px: float, side_px: int = _SIDE_PX) -> npt.NDArray[np.float32]:
    """Draw a window full of cells.

    Parameters
    ----------
    seed : int
    contrast : float
        Factor on the optical densities: 1 for those of scans.
    blur_px : float
        Standard deviation of the blur, pixels.
    side_px : int

    Returns
    -------
    (1, 3, side_px, side_px) float32
        RGB, 0 to 1.
    """
    rng = np.random.default_rng(seed)
    density = np.zeros((side_px, side_px, 3), np.float32)
    for _ in range(round(_DISCS_PER_PX2 * side_px**2)):
        radius = min(2.0 * (1 - rng.random()) ** -0.7, 60.0)
        place = rng.uniform(-10, side_px + 10, 2)
        axes = radius, radius * rng.uniform(0.4, 1.0)
        mask = np.zeros((side_px, side_px), np.uint8)
        centre, size = ([round(16 * part) for part in pair] for pair in (place, axes))  # sixteenths of a pixel
        cv2.ellipse(mask, centre, size, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA, shift=4)
        inside = mask[..., None].astype(np.float32) / 255
        colour = (rng.dirichlet((1.5, 1.5, 1.0)) * rng.gamma(1.5, 0.35) * contrast).astype(np.float32)
        if rng.random() < 0.5:  # opaque
            density *= 1 - inside
        density += inside * colour
    blurred = cv2.GaussianBlur(density, (0, 0), blur_px)
    image = 255 * rng.uniform(0.85, 1.0) * 10.0**-blurred + rng.normal(0, _NOISE_LEVELS, blurred.shape)
    levels = np.clip(np.rint(image), 0, 255).astype(np.float32) / 255
    return np.ascontiguousarray(levels.transpose(2, 0, 1)[None])
