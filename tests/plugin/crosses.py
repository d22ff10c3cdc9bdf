"""A picture of crosses at known places, as scanners of any pixel size would see it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from napari.layers import Image

SIDE_UM = 820.4
"""560 pixels of 1.465 µm, 1400 of 0.586, 2800 of 0.293."""
PLACES_UM = np.array(
    [(row, col) for row in (330.3, 380.8, 431.1, 482.7) for col in (311.9, 361.4, 412.2, 462.6, 509.3)]
)
_BACKGROUND, _DARK = 235.0, 190.0
_ARM_UM = 9.0
_HALVES = _ARM_UM, 2.5
"""Half the length and half the width of a cross's arms."""


@lru_cache
def draw_crosses(mpp: float) -> np.ndarray:
    """(n, n, 3) uint8: each pixel the mean over its area, so that a cross's centre of mass is its place, exactly."""
    count = round(SIDE_UM / mpp)
    edges = np.arange(count + 1) * mpp

    def covered(part: slice, centre: float, half: float) -> np.ndarray:
        return np.diff(np.clip(edges[part.start : part.stop + 1], centre - half, centre + half)) / mpp

    dark = np.zeros((count, count), np.float32)
    for place in PLACES_UM:
        parts = tuple(slice(int((at - _ARM_UM) / mpp) - 1, int((at + _ARM_UM) / mpp) + 2) for at in place)
        along, across = ([covered(part, at, half) for part, at in zip(parts, place, strict=True)] for half in _HALVES)
        both = np.outer(across[0], across[1])
        dark[parts] += np.outer(along[0], across[1]) + np.outer(across[0], along[1]) - both
    return np.repeat((_BACKGROUND - _DARK * dark).round().astype(np.uint8)[..., None], 3, axis=2)


@lru_cache
def pyramid(mpp: float, blank: bool) -> tuple[np.ndarray, ...]:
    """Of crosses or of empty background, finest level first."""
    pixels = draw_crosses(mpp)
    levels = [np.full_like(pixels, round(_BACKGROUND)) if blank else pixels]
    while levels[-1].shape[0] % 2 == 0 and levels[-1].shape[0] > 150:
        rows, cols = (size // 2 for size in levels[-1].shape[:2])
        halved = levels[-1].reshape(rows, 2, cols, 2, 3).mean(axis=(1, 3))
        levels.append(halved.round().astype(np.uint8))
    return tuple(levels)


def scan_layer(mpp: float, blank: bool = False) -> Image:
    """A layer as our reader would make it."""
    return Image(
        list(pyramid(mpp, blank)),
        multiscale=True,
        rgb=True,
        name=f"{'blank' if blank else 'crosses'} · {1000 * mpp:.0f} nm per px",
        scale=(mpp, mpp),
        translate=(mpp / 2, mpp / 2),
        units=("um", "um"),
        interpolation2d="linear",
    )


def find_crosses(
    darkness: np.ndarray, corner_um: Any, um_per_px: float, radius_um: float = 14.0
) -> dict[int, np.ndarray]:
    """Centres of the crosses that lie wholly in a part of a screenshot.

    Parameters
    ----------
    darkness : (H, W) float
        0 where there is no cross.
    corner_um : (row, col)
        Of the part, µm.
    um_per_px : float

    Returns
    -------
    dict
        Number of each cross found, and its row and column, µm.
    """
    found = {}
    rows = corner_um[0] + (np.arange(darkness.shape[0]) + 0.5) * um_per_px
    cols = corner_um[1] + (np.arange(darkness.shape[1]) + 0.5) * um_per_px
    for number, (row, col) in enumerate(PLACES_UM):
        if not (rows[0] < row - radius_um and row + radius_um < rows[-1]):
            continue
        if not (cols[0] < col - radius_um and col + radius_um < cols[-1]):
            continue
        down, across = np.abs(rows - row) < radius_um, np.abs(cols - col) < radius_um
        part = darkness[np.ix_(down, across)]
        part = np.where(part > 12, part, 0.0)
        if part.sum() > 0:
            found[number] = np.array([part.sum(1) @ rows[down], part.sum(0) @ cols[across]]) / part.sum()
    return found
