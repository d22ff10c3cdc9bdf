"""What pixels alone say of a JPEG compression that they went through: where its blocks lie, and its quality.

Coefficients of a decoded block are multiples of their quantisation step, but for rounding to 8 bits. A quality is
believed where the coefficients that are not 0 lie on its multiples; the standard's tables are tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_pathsrgan.imaging.jpeg import in_rows, standard_luminance

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

Floats = npt.NDArray[np.float64]

_ROUNDING_SD = 0.35
"""Error of a coefficient, as colours are rounded to 8 bits: 0.2 by itself, and more where chrominance is rounded."""
_STRAY = 0.02
"""Share of coefficients that anything else has changed."""
_LEAST_COEFFICIENTS = 200
_LEAST_GAIN = 0.1
"""Mean logarithm of the likelihood per coefficient, over none, from which a quality is believed."""
_MOST_BLOCKS, _MOST_COEFFICIENTS, _LOW = 1500, 4000, 5
"""Blocks and coefficients that are looked at, and the rows and columns of a block that hold most that are not 0."""
_LIKELY_PHASES = 6
_HIGHEST_QUALITY = 96
"""Beyond, most steps are 1 or 2: rounding hides them."""


@dataclass(frozen=True, slots=True)
class JpegGrid:
    """A JPEG compression found in pixels.

    Attributes
    ----------
    quality : int
        1 to 96.
    phase_px : (int, int)
        How many rows and columns of the first block lie above and left of the image.
    """

    quality: int
    phase_px: tuple[int, int]


def find_jpeg_grid(images: list[Pixels]) -> JpegGrid | None:
    """Find the blocks and the quality of a JPEG compression from decoded pixels.

    Parameters
    ----------
    images : list of (H, W, 3) uint8
        Parts of a scan at its own pixels, each beginning at a multiple of 8 rows and columns.

    Returns
    -------
    JpegGrid or None
        None where the pixels show no compression by the standard's tables up to quality 96.
    """
    planes = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) for image in images]
    lights = [_luminance(image) for image in images]
    scores = [(_score(lights, phase), phase) for phase in _likely_phases(planes)]
    (gain, quality), (row, col) = max(scores, default=((0.0, 0), (0, 0)))
    return JpegGrid(quality, ((8 - row) % 8, (8 - col) % 8)) if gain > _LEAST_GAIN else None


def _luminance(image: Pixels) -> Floats:
    """Return unrounded luminance, NaN where a channel was clipped: its colour is not what the file says."""
    light = image @ np.array([0.299, 0.587, 0.114])
    light[((image == 0) | (image == 255)).any(axis=-1)] = np.nan
    return np.asarray(light)


def _likely_phases(planes: list[Floats]) -> list[tuple[int, int]]:
    """Order places of a block's corner by how much steps across the edges of blocks exceed those beside, best first."""
    rows, cols = (sum(_steps(plane if axis else plane.T) for plane in planes) for axis in (0, 1))
    both = np.add.outer(np.asarray(rows), np.asarray(cols))
    best = np.argsort(-both, axis=None)[:_LIKELY_PHASES]
    return list(dict.fromkeys([(0, 0), *((int(at) // 8, int(at) % 8) for at in best)]))


def _steps(plane: Floats) -> Floats:
    """Sum, by column modulo 8, of how far the step into a column exceeds the mean of the steps before and after."""
    step = np.abs(np.diff(plane, axis=1))
    excess = (step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2).mean(axis=0)
    return np.asarray(np.bincount((np.arange(len(excess)) + 2) % 8, excess, 8), np.float64)


def _score(lights: list[Floats], corner: tuple[int, int]) -> tuple[float, int]:
    """Return the gain per coefficient of the quality that explains the blocks best, and that quality."""
    low = _coefficients(lights, corner)[:, :_LOW, :_LOW]
    counted = np.abs(low) > 3 * _ROUNDING_SD
    counted[:, 0, 0] = False  # the mean of a block tells least, and its step is the same as its neighbours'
    block, row, col = np.nonzero(counted)
    if len(block) < _LEAST_COEFFICIENTS:
        return 0.0, 0
    kept = slice(None, None, -(-len(block) // _MOST_COEFFICIENTS))
    values, places = low[counted][kept], (row[kept], col[kept])
    return max((_gain(values, places, quality), quality) for quality in range(1, _HIGHEST_QUALITY + 1))


def _coefficients(lights: list[Floats], corner: tuple[int, int]) -> Floats:
    """Transform whole blocks: (N, 8, 8); those with a clipped pixel are left out."""
    row, col = corner
    blocks = []
    for light in lights:
        rows, cols = ((size - start) // 8 for size, start in zip(light.shape, corner, strict=True))
        part = light[row : row + 8 * rows, col : col + 8 * cols].reshape(rows, 8, cols, 8)
        blocks.append(part.swapaxes(1, 2).reshape(-1, 8, 8))
    every = np.concatenate(blocks) if blocks else np.empty((0, 8, 8))
    whole = every[~np.isnan(every).any(axis=(1, 2))]
    return np.asarray(fft.dctn(whole[:: max(1, len(whole) // _MOST_BLOCKS)], axes=(1, 2), norm="ortho"))


def _gain(values: Floats, places: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], quality: int) -> float:
    """Mean logarithm of how much likelier coefficients are as rounded multiples of their steps than anywhere."""
    step = in_rows(standard_luminance(quality))[places]
    beside = values - step * np.rint(values / step)
    near = step / (_ROUNDING_SD * np.sqrt(2 * np.pi)) * np.exp(-((beside / _ROUNDING_SD) ** 2) / 2)
    zero = np.abs(values) < step / 2  # a multiple of 0, but not 0: no quantised coefficient is that
    return float(np.log((1 - _STRAY) * np.where(zero, 0.0, near) + _STRAY).mean())
