"""Specimens to be imaged: dots on an empty background, and fields with the spectrum of cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def blob(size: int, centre: tuple[float, float], sigma: float = 4.0) -> np.ndarray:
    """(size, size, 3) float32: a Gaussian dot of height 1 with its centre at pixel coordinates `centre`."""
    rows, cols = np.mgrid[:size, :size]
    dot = np.exp(-((rows - centre[0]) ** 2 + (cols - centre[1]) ** 2) / (2 * sigma**2))
    return np.repeat(dot[..., None], 3, axis=2).astype(np.float32)


def dark_dot(size: int, centre: tuple[float, float], sigma: float = 4.0) -> np.ndarray:
    """Values of an empty background with a dot of half its intensity."""
    return 1 - 0.5 * blob(size, centre, sigma)


def centroid(absorbed: np.ndarray, expected: tuple[float, float], reach: float = 30.0) -> tuple[float, float]:
    """Centre of mass under a wide window around the expected place, since the tails reach past the array."""
    rows, cols = np.mgrid[: absorbed.shape[0], : absorbed.shape[1]]
    near = absorbed * np.exp(-((rows - expected[0]) ** 2 + (cols - expected[1]) ** 2) / (2 * reach**2))
    return float((rows * near).sum() / near.sum()), float((cols * near).sum() / near.sum())


def cell_like_field(seed: int, side: int, pitch_um: float) -> npt.NDArray[np.uint8]:
    """Draw a random field whose power falls as that of cells does: frequency to the power of −2.7; (side, side, 3)."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side, pitch_um)[:, None], np.fft.rfftfreq(side, pitch_um)[None])
    falling = np.maximum(frequency, 1e-3) ** -1.35 / (1 + (0.025 / np.maximum(frequency, 1e-3)) ** 2)
    plane = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * falling, (side, side))
    values = np.clip(0.7 + 0.12 * plane / plane.std(), 0.05, 1)
    return np.rint(255 * values[..., None] * np.ones(3)).astype(np.uint8)
