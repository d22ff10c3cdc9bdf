"""How alike two images are at every displacement: normalised cross-correlation, and its peak between pixels.

A displacement is (row, col): the template's pixel ``i`` shows what the window's pixel ``i + displacement`` shows. With
pixel centres at ``(i + 0.5) * mpp`` on both grids it means the same in µm at any pixel size (METHOD § 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_pathsrgan.slides.resample import cubic_taps, weighted_sum

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

Plane = npt.NDArray[np.float32]
_FEW_PLACES = 36
"""Up to so many displacements are tried one by one (ours, measured on 256 px: 0.3 ms for 25, against 2 by FFT)."""

_EMPTY_VARIANCE = 1e-9
"""Variance of absorption below which an image is background and correlates with nothing."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The best displacement of a template within a window.

    Attributes
    ----------
    row, col : float
        Displacement from the window's first pixel, px, between pixels by a parabola through the peak along each axis.
    correlation : float
        Zero-mean normalised cross-correlation there, -1 to 1.
    second : float
        The highest correlation further than 8 px (or a quarter of the search, if that is less) away; 0 where no
        displacement is that far away.
    inside : bool
        Whether the peak is a true maximum, not the border of the search.
    """

    row: float
    col: float
    correlation: float
    second: float
    inside: bool


def absorption(image: Pixels) -> Plane:
    """Absorbed share of the light in green, as the image shows it: what registration compares.

    An objective blurs intensity, not density, so scans of unlike sharpness are alike but for a blur in this and not in
    the logarithm: on phantoms errors are half of those by density (`python benchmarks/registration_accuracy.py`). Green
    is the channel that scanners focus by and that lateral colour is measured from; a mean of all channels would carry
    the objective's colour error into the displacement.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.

    Returns
    -------
    (H, W) float32
        0 for white to 1 for black.
    """
    return np.asarray(1 - image[..., 1] / np.float32(255), np.float32)


def sample_plane(plane: Plane, ratio: float, start: tuple[float, float], shape: tuple[int, int]) -> Plane:
    """Put a plane on another grid at any position, by the same cubic kernel that cuts the pairs.

    Parameters
    ----------
    plane : (H, W) float32
    ratio : float
        New pixel size over the plane's.
    start : (row, col)
        Where the new grid's first pixel has its upper-left corner, from the plane's upper-left corner, in the plane's
        pixels.
    shape : (rows, cols)
        Size of the result.

    Returns
    -------
    (rows, cols) float32
        Mirrored beyond the plane.
    """
    rows, cols = (
        cubic_taps(0, count, ratio, size, first) for first, count, size in zip(start, shape, plane.shape, strict=True)
    )
    # Four multiples of whole rows, twice: threads that share cores with others made a matrix product 40 times slower.
    tall = weighted_sum(plane, rows.index, rows.weight)
    return weighted_sum(np.ascontiguousarray(tall.T), cols.index, cols.weight).T.copy()


def correlate(template: Plane, window: Plane) -> Plane:
    """Zero-mean normalised cross-correlation of a template with every place of a window.

    Parameters
    ----------
    template : (h, w) float32
    window : (H, W) float32
        At least as large.

    Returns
    -------
    (H - h + 1, W - w + 1) float32
        -1 to 1; 0 where template or window are empty.
    """
    shape = (window.shape[0] - template.shape[0] + 1, window.shape[1] - template.shape[1] + 1)
    if float(template.var()) < _EMPTY_VARIANCE:
        return np.zeros(shape, np.float32)
    level = float(window.mean())  # float32 sums stay small, which keeps the variance exact enough
    window, template = window - level, template - level
    if shape[0] * shape[1] <= _FEW_PLACES:
        return _correlate_few(template, window, shape)
    surface = cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED)
    return np.nan_to_num(np.clip(np.asarray(surface, np.float32), -1, 1), copy=False, posinf=0, neginf=0)


def _correlate_few(template: Plane, window: Plane, shape: tuple[int, int]) -> Plane:
    """Multiply and add at every place; where there are few, that is quicker than by Fourier's way."""
    height, width = template.shape
    centred = template - template.mean()
    sums, squares = cv2.integral2(window, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)[:2]
    surface = np.zeros(shape, np.float32)
    energy = float(np.vdot(centred, centred))
    for row, col in np.ndindex(shape):
        part = window[row : row + height, col : col + width]
        total, square = (
            float(
                table[row + height, col + width] - table[row, col + width] - table[row + height, col] + table[row, col]
            )
            for table in (sums, squares)
        )
        spread = square - total**2 / part.size
        if spread > _EMPTY_VARIANCE * part.size:
            surface[row, col] = float(np.vdot(centred, part)) / np.sqrt(spread * energy)
    return np.clip(surface, -1, 1)


def match(template: Plane, window: Plane) -> Peak:
    """Find a template in a window (Ma et al. 2020, § III-B; METHOD § 10).

    Parameters
    ----------
    template : (h, w) float32
    window : (H, W) float32
        At least as large.

    Returns
    -------
    Peak
    """
    return find_peak(correlate(template, window))


def find_peak(surface: Plane) -> Peak:
    """Find a correlation's maximum, between pixels, and how far it stands out.

    Parameters
    ----------
    surface : (H, W) float32
        Correlations.

    Returns
    -------
    Peak
    """
    flat = int(surface.argmax())
    row, col = divmod(flat, surface.shape[1])
    height, width = surface.shape
    inside = 0 < row < height - 1 and 0 < col < width - 1
    top = float(surface[row, col])
    row_part = _vertex(surface[row - 1 : row + 2, col]) if 0 < row < height - 1 else 0.0
    col_part = _vertex(surface[row, col - 1 : col + 2]) if 0 < col < width - 1 else 0.0
    reach = max(1, min(8, max(surface.shape) // 4))
    far = np.ones(surface.shape, bool)
    far[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1] = False
    second = float(surface[far].max()) if far.any() else 0.0
    return Peak(row + row_part, col + col_part, top, second, inside)


def _vertex(three: npt.NDArray[np.floating]) -> float:
    """Where the parabola through three values at -1, 0, 1 has its vertex."""
    before, at, after = (float(value) for value in three)
    curvature = before - 2 * at + after
    return 0.0 if curvature >= 0 else float(np.clip(0.5 * (before - after) / curvature, -0.5, 0.5))


def masked_correlation(
    fixed: Plane,
    moving: Plane,
    fixed_mask: npt.NDArray[np.bool_] | None = None,
    moving_mask: npt.NDArray[np.bool_] | None = None,
    least_overlap: float = 0.1,
) -> tuple[Plane, tuple[int, int]]:
    """Correlate two whole images at every displacement, each time over the part both show.

    Padfield (2012), "Masked object registration in the Fourier domain", eq. 10: the sums that a normalised
    correlation consists of are themselves correlations with the masks, six FFT products in all.

    Parameters
    ----------
    fixed : (H, W) float32
    moving : (h, w) float32
    fixed_mask, moving_mask : bool arrays of the same shapes, optional
        What counts; by default all.
    least_overlap : float
        Displacements where less than this share of the largest overlap remains get 0.

    Returns
    -------
    surface : (H + h - 1, W + w - 1) float32
        -1 to 1.
    origin : (int, int)
        Index of displacement (0, 0). At ``surface[origin + d]`` moving's pixel ``i`` lies on fixed's pixel ``i + d``.
    """
    weights = [
        np.ones(plane.shape, np.float64) if mask is None else mask.astype(np.float64)
        for plane, mask in ((fixed, fixed_mask), (moving, moving_mask))
    ]
    # Around zero the sums of squares lose no digits.
    level = float((fixed * weights[0]).sum() / max(weights[0].sum(), 1))
    planes = [(plane - level) * weight for plane, weight in zip((fixed, moving), weights, strict=True)]
    full = (fixed.shape[0] + moving.shape[0] - 1, fixed.shape[1] + moving.shape[1] - 1)
    size = (fft.next_fast_len(full[0], real=True), fft.next_fast_len(full[1], real=True))
    ours = [fft.rfft2(part, size) for part in (weights[0], planes[0], planes[0] ** 2)]
    theirs = [fft.rfft2(part[::-1, ::-1], size) for part in (weights[1], planes[1], planes[1] ** 2)]

    def sums(one: int, other: int) -> npt.NDArray[np.float64]:
        return np.asarray(fft.irfft2(ours[one] * theirs[other], size)[: full[0], : full[1]])

    overlap = np.maximum(np.rint(sums(0, 0)), 0)
    counted = np.maximum(overlap, 1)
    fixed_sum, moving_sum = sums(1, 0), sums(0, 1)
    common = sums(1, 1) - fixed_sum * moving_sum / counted
    fixed_spread = sums(2, 0) - fixed_sum**2 / counted
    moving_spread = sums(0, 2) - moving_sum**2 / counted
    floor = _EMPTY_VARIANCE * counted
    usable = (overlap >= max(2, least_overlap * overlap.max())) & (fixed_spread > floor) & (moving_spread > floor)
    surface = np.zeros(full, np.float32)
    surface[usable] = common[usable] / np.sqrt(fixed_spread[usable] * moving_spread[usable])
    np.clip(surface, -1, 1, out=surface)
    return surface, (moving.shape[0] - 1, moving.shape[1] - 1)


def strongest(surface: Plane, count: int, apart_px: int = 8) -> list[tuple[int, int, float]]:
    """List the highest peaks that lie further than `apart_px` from each other.

    Returns
    -------
    list of (row, col, correlation)
        Highest first.
    """
    left = surface.copy()
    peaks = []
    for _ in range(count):
        row, col = divmod(int(left.argmax()), left.shape[1])
        if left[row, col] <= 0:
            break
        peaks.append((row, col, float(left[row, col])))
        left[max(0, row - apart_px) : row + apart_px + 1, max(0, col - apart_px) : col + apart_px + 1] = -1
    return peaks
