"""Pictures and slide files whose content is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile


def noise(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """(rows, cols, 3) uint8 in which every pixel differs from its neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (rows, cols, 3), dtype=np.uint8)


def write_pyramid(path: Path, levels: Sequence[np.ndarray], description: str | None = None, **options: Any) -> Path:
    """Write levels as the pages of a tiled TIFF; on each page the description, with `{h}` and `{w}` filled in."""
    settings: dict[str, Any] = {"tile": (256, 256), "compression": "deflate", "photometric": "rgb", **options}
    with tifffile.TiffWriter(path) as file:
        for level, image in enumerate(levels):
            text = None if description is None else description.format(h=image.shape[0], w=image.shape[1])
            file.write(image, subfiletype=min(level, 1), description=text, metadata=None, **settings)
    return path


def write_aperio(
    path: Path, levels: Sequence[np.ndarray], mpp: float | None = 1.465, power: int = 4, **options: Any
) -> Path:
    """Write a TIFF that OpenSlide takes for an Aperio slide."""
    rows, cols = levels[0].shape[:2]
    mpp_part = "" if mpp is None else f"|MPP = {mpp}"
    text = f"Aperio Image Library\n{cols}x{rows} [0,0 {{w}}x{{h}}] (256x256) JPEG/RGB Q=90|AppMag = {power}{mpp_part}"
    return write_pyramid(path, levels, text, **options)


def blob(mpp: float, rows: int, cols: int, centre_um: tuple[float, float], sigma_um: float) -> np.ndarray:
    """A dark Gaussian dot on white, sampled on the grid of pixel size mpp."""
    row = (np.arange(rows) + 0.5) * mpp - centre_um[0]
    col = (np.arange(cols) + 0.5) * mpp - centre_um[1]
    dot = np.exp(-(row[:, None] ** 2 + col[None, :] ** 2) / (2 * sigma_um**2))
    return np.repeat(np.rint(255 - 250 * dot).astype(np.uint8)[..., None], 3, axis=2)


def centre_px(image: np.ndarray) -> np.ndarray:
    """Centre of mass of what is dark, in pixel coordinates where pixel i's centre is i + 0.5."""
    dark = 255.0 - image[..., 0]
    row = (dark.sum(1) * (np.arange(dark.shape[0]) + 0.5)).sum()
    col = (dark.sum(0) * (np.arange(dark.shape[1]) + 0.5)).sum()
    return np.array([row, col]) / dark.sum()
