"""A region at any pixel size, phase-exact: two regions of one grid agree to the bit where they overlap.

Pixel ``i`` of a grid has its centre at ``(i + 0.5) * mpp``, so target pixel ``j`` samples its source at

    u = (j + 0.5) * (target_mpp / source_mpp) - 0.5 + shift      (source pixels, float64)

Everything a pixel's value depends on is computed from that absolute position: which source pixels take part, their
float32 weights, and the order in which they are added. Nothing depends on where the region asked for begins or ends.

The kernel is Keys' cubic with a = -0.5 (Keys 1981, "Cubic convolution interpolation for digital image processing",
eq. 4). When pixels get coarser it is stretched by the ratio, which averages instead of skipping (antialiasing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.types import Pixels

ReadPixels = Callable[[int, int, int, int], Pixels]

#: A level counts as fine enough for a grid up to this excess: files state mpp with four digits at most.
MPP_TOLERANCE = 1.001
#: Source pixels per side worked on at once; bounds memory when a whole slide is shrunk (ours: 1024 runs within L2/L3).
BLOCK_SOURCE_PX = 1024
_ONE_TAP, _NOTHING = np.ones(1), np.zeros(1)
_KEYS_REACH_PX = 2
_STRIP_PX = 64
"""Rows enlarged at once, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class CubicTaps:
    """Which source pixels make up each target pixel along one axis, and with what weight.

    Attributes
    ----------
    index : (T, N) int64
        Source pixel of tap t for target pixel n; already folded into the source.
    weight : (T, N) float32
        Its weight; the T weights of one target pixel sum to 1.
    """

    index: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]


def reflect_index(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Fold indices outside an axis back into it, like ``np.pad(mode="reflect")`` but for any overshoot.

    Parameters
    ----------
    index : array of int64
        Positions, may be negative or beyond the end.
    size : int
        Length of the axis, at least 1.

    Returns
    -------
    array of int64
        Positions in ``[0, size)``; the edge pixel itself isn't repeated (METHOD: never zero padding at the border).
    """
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    folded = np.mod(index, period)
    return np.where(folded < size, folded, period - folded)


def cubic_taps(start: int, count: int, ratio: float, size: int, shift: float = 0.0) -> CubicTaps:
    """Work out the taps of target pixels ``start … start + count - 1`` along one axis.

    Parameters
    ----------
    start, count : int
        Target pixels on the absolute grid; start may be negative.
    ratio : float
        Target pixel size over source pixel size.
    size : int
        Length of the source axis in pixels.
    shift : float
        Added to the sampling position, in source pixels.

    Returns
    -------
    CubicTaps
        The number of taps depends on the ratio alone, so it's the same for every region of a grid.
    """
    if ratio == 1.0 and float(shift).is_integer():
        index = np.arange(start, start + count, dtype=np.int64)[None, :] + int(shift)
        return CubicTaps(reflect_index(index, size), np.ones((1, count), np.float32))
    position = (np.arange(start, start + count, dtype=np.float64) + 0.5) * ratio - 0.5 + shift
    stretch = max(1.0, ratio)
    # An open interval of length 4·stretch holds at most ceil(4·stretch) integers; this is the first of them.
    first = np.floor(position - 2.0 * stretch).astype(np.int64) + 1
    index = first[None, :] + np.arange(math.ceil(4.0 * stretch), dtype=np.int64)[:, None]
    weight = keys_cubic((index - position[None, :]) / stretch)
    total = np.zeros(count)
    for tap in weight:  # in order, as np.sum's order depends on the array's shape
        total += tap
    return CubicTaps(reflect_index(index, size), (weight / total).astype(np.float32))


def choose_level(pixel_sizes_um: Sequence[tuple[float, float]], target_mpp: float) -> int:
    """Pick the coarsest level that is at least as fine as the target along both axes, or level 0 where none is.

    Parameters
    ----------
    pixel_sizes_um : sequence of (float, float)
        Pixel size of each level along rows and along columns, µm/px, level 0 first.
    target_mpp : float
        Pixel size wanted, µm/px.
    """
    mpps = [rows * cols for rows, cols in pixel_sizes_um]
    fine_enough = [level for level, sizes in enumerate(pixel_sizes_um) if max(sizes) <= target_mpp * MPP_TOLERANCE]
    return max(fine_enough, key=lambda level: mpps[level], default=0)


def grid_length(extent_um: float, mpp: float) -> int:
    """Count the pixels of size `mpp` that cover `extent_um`; a millionth of a pixel too much isn't one more."""
    return max(1, math.ceil(extent_um / mpp - 1e-6))


def resample_region(
    read: ReadPixels,
    level_shape: tuple[int, int],
    source_mpp: tuple[float, float],
    target_mpp: float,
    row: int,
    col: int,
    height: int,
    width: int,
    shift_px: tuple[float, float] = (0.0, 0.0),
) -> Pixels:
    """Compute a window of the grid of pixel size `target_mpp` from one level.

    Parameters
    ----------
    read : callable (row, col, height, width) -> (height, width, 3) uint8
        Reads source pixels; only ever asked for windows inside the level, about 1024 px a side at most.
    level_shape : (int, int)
        Rows and columns of the level.
    source_mpp : (float, float)
        The level's pixel size along rows and columns, µm/px.
    target_mpp : float
        Pixel size of the grid, µm/px.
    row, col, height, width : int
        Window on the grid, in grid pixels. Outside the level the picture is its own mirror image.
    shift_px : (float, float)
        Added to the sampling positions, in source pixels (row, col): a registration's offset.

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    ValueError
        If the level is empty, the window has a negative size or a pixel size isn't positive.
    """
    if min(height, width) < 0 or min(level_shape) < 1:
        raise ValueError(f"Cannot take {height}×{width} px from a level of {level_shape[0]}×{level_shape[1]} px.")
    if min(*source_mpp, target_mpp) <= 0:
        raise ValueError(f"Pixel sizes must be positive, not {source_mpp} and {target_mpp} µm/px.")
    ratios = (target_mpp / source_mpp[0], target_mpp / source_mpp[1])
    steps = [max(16, int(BLOCK_SOURCE_PX / ratio)) for ratio in ratios]
    region = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, steps[0]):
        bottom = min(top + steps[0], height)
        row_taps = cubic_taps(row + top, bottom - top, ratios[0], level_shape[0], shift_px[0])
        for left in range(0, width, steps[1]):
            right = min(left + steps[1], width)
            col_taps = cubic_taps(col + left, right - left, ratios[1], level_shape[1], shift_px[1])
            region[top:bottom, left:right] = _resample_block(read, row_taps, col_taps)
    return region


def resample_array(
    image: Pixels,
    source_mpp: float,
    target_mpp: float,
    shift_px: tuple[float, float] = (0.0, 0.0),
    shape: tuple[int, int] | None = None,
) -> Pixels:
    """Put a whole image in memory on the grid of pixel size `target_mpp`.

    Zoom and registration shift are one interpolation (METHOD § 0: "sample once, with one cubic kernel"); the pixels are
    those `resample_region` gives for the same data.

    Parameters
    ----------
    image : (H, W, 3) uint8
        Its upper-left corner is the grid's origin.
    source_mpp, target_mpp : float
        Pixel sizes, µm/px.
    shift_px : (float, float)
        Added to the sampling positions, in source pixels (row, col): with (0, 1) the result shows what lay one source
        pixel further to the right.
    shape : (int, int), optional
        Rows and columns of the result; by default as many as cover the image.

    Returns
    -------
    (rows, cols, 3) uint8
    """

    def read(row: int, col: int, height: int, width: int) -> Pixels:
        return image[row : row + height, col : col + width]

    size = (image.shape[0], image.shape[1])
    if shape is None:
        shape = (grid_length(size[0] * source_mpp, target_mpp), grid_length(size[1] * source_mpp, target_mpp))
    return resample_region(read, size, (source_mpp, source_mpp), target_mpp, 0, 0, *shape, shift_px=shift_px)


def enlarge(image: Pixels, factor: int) -> Pixels:
    """Enlarge an image by a whole factor, corner on corner: the bicubic view that networks are compared with.

    Parameters
    ----------
    image : (H, W, 3) uint8
    factor : int
        For 2, 4, 8 … an enlarged crop equals the crop of the enlarged image, two source pixels from its border on.

    Returns
    -------
    (H · factor, W · factor, 3) uint8

    Raises
    ------
    ValueError
        If the factor is below 1.
    """
    height, width = image.shape[:2]
    enlarged = np.empty((height, max(factor, 1), width * factor * 3), np.uint8)
    for strip, phase, levels in _enlarged_strips(image, factor):
        enlarged[strip, phase] = cv2.add(levels, _NOTHING, dtype=cv2.CV_8U)  # rounds, and keeps within 0 to 255
    return enlarged.reshape(height * factor, width * factor, 3)


def enlarge_unrounded(image: Pixels, factor: int) -> npt.NDArray[np.float32]:
    """Enlarge an image as `enlarge` does, in fractions of grey levels that may lie outside 0 to 255.

    Returns
    -------
    (H · factor, W · factor, 3) float32
        Rounded and kept within 0 to 255, what `enlarge` gives.
    """
    height, width = image.shape[:2]
    enlarged = np.empty((height, max(factor, 1), width * factor * 3), np.float32)
    for strip, phase, levels in _enlarged_strips(image, factor):
        enlarged[strip, phase] = levels
    return enlarged.reshape(height * factor, width * factor, 3)


def _enlarged_strips(image: Pixels, factor: int) -> Iterator[tuple[slice, int, npt.NDArray[np.float32]]]:
    """Enlarge strip by strip: which rows of the image, for each phase of theirs, with the columns enlarged."""
    if factor < 1:
        raise ValueError(f"An image can be enlarged 1, 2, 3 … times, not {factor} times.")
    height, width = image.shape[:2]
    beside = (np.arange(factor) + 0.5) / factor - 0.5
    phases = keys_cubic(np.arange(-_KEYS_REACH_PX, _KEYS_REACH_PX + 1) - beside[:, None])
    for top in range(0, height, _STRIP_PX):
        strip = slice(top, min(top + _STRIP_PX, height))
        above = min(top, _KEYS_REACH_PX)
        seen = image[top - above : strip.stop + _KEYS_REACH_PX]
        # Columns first, while there is a factor less of them; each phase of the result is a filter of the image.
        wide = np.empty((len(seen), width, factor, 3), np.float32)
        for phase, taps in enumerate(phases):
            wide[:, :, phase] = cv2.sepFilter2D(seen, cv2.CV_32F, taps, _ONE_TAP, borderType=cv2.BORDER_REFLECT_101)
        rows = wide.reshape(len(seen), width * factor * 3)
        for phase, taps in enumerate(phases):  # float64 holds 2, 4 and 8 times exactly, however it is added up
            tall = cv2.sepFilter2D(rows, cv2.CV_64F, _ONE_TAP, taps, borderType=cv2.BORDER_REFLECT_101)
            yield strip, phase, tall[above : above + strip.stop - top].astype(np.float32)


def keys_cubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Evaluate Keys' kernel (a = -0.5) at distances in units of its own pixel; zero from 2 on."""
    d = np.abs(distance)
    inner = (1.5 * d - 2.5) * d * d + 1.0
    outer = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d < 1.0, inner, np.where(d < 2.0, outer, 0.0))


def _resample_block(read: ReadPixels, rows: CubicTaps, cols: CubicTaps) -> Pixels:
    """Read what the taps touch, then combine rows, then columns, each output pixel in the order of its taps."""
    top, bottom = int(rows.index.min()), int(rows.index.max()) + 1
    left, right = int(cols.index.min()), int(cols.index.max()) + 1
    pixels: Pixels = read(top, left, bottom - top, right - left)
    if len(rows.index) == 1 and len(cols.index) == 1:  # the level's own grid: nothing to compute
        same: Pixels = pixels.take(rows.index[0] - top, axis=0).take(cols.index[0] - left, axis=1)
        return same
    tall = weighted_sum(pixels.astype(np.float32), rows.index - top, rows.weight)
    # Columns become rows, so that every gather copies long runs of memory.
    wide = weighted_sum(np.ascontiguousarray(tall.transpose(1, 0, 2)), cols.index - left, cols.weight)
    np.clip(np.rint(wide, out=wide), 0.0, 255.0, out=wide)
    return wide.astype(np.uint8).transpose(1, 0, 2)


def weighted_sum(
    source: npt.NDArray[np.float32], index: npt.NDArray[np.int64], weight: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Sum ``weight[t, n] * source[index[t, n]]`` over t, in float32 and in the order of t: the same bits everywhere.

    Parameters
    ----------
    source : (S, ...) float32
    index, weight : (T, N)
        As in `CubicTaps`. A single tap has weight 1.

    Returns
    -------
    (N, ...) float32
    """
    total: npt.NDArray[np.float32] = source[index[0]]
    if len(index) == 1:
        return total
    columns = weight.reshape(*weight.shape, *(1,) * (source.ndim - 1))
    total *= columns[0]
    part = np.empty_like(total)
    for tap_index, tap_weight in zip(index[1:], columns[1:], strict=True):
        np.take(source, tap_index, axis=0, out=part, mode="clip")
        part *= tap_weight
        total += part
    return total
