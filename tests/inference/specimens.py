"""Pictures and slides to compute."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

from napari_pathsrgan.slides.foreground import SlideBackground

BACKGROUND = SlideBackground((238.0, 236.0, 240.0), 0.0)


def texture(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """(rows, cols, 3) uint8, structure of a few pixels over the whole range."""
    noise = np.random.default_rng(seed).normal(size=(rows, cols, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.clip(127 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def specimen(rows: int, cols: int, seed: int = 0, cells_end: float = 0.5) -> np.ndarray:
    """(rows, cols, 3) uint8: cells on the left, slightly noisy background on the right."""
    rng = np.random.default_rng(seed)
    image = np.asarray(BACKGROUND.white) + rng.integers(-1, 2, (rows, cols, 3))
    end = round(cols * cells_end)
    image[:, :end] = texture(rows, end, seed)
    return image.astype(np.uint8)


def write_slide(path: Path, image: np.ndarray, mpp: float = 1.465, power: int = 4) -> Path:
    """Write a picture as a slide of one level that OpenSlide takes for an Aperio one."""
    rows, cols = image.shape[:2]
    text = (
        f"Aperio Image Library\n{cols}x{rows} [0,0 {cols}x{rows}] (256x256) JPEG/RGB Q=90|AppMag = {power}|MPP = {mpp}"
    )
    tifffile.imwrite(
        path, image, tile=(256, 256), compression="deflate", photometric="rgb", description=text, metadata=None
    )
    return path
