"""The low scan and a registered one in alternating squares: cells go on across the edges where the two fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.registration.offset_field import OffsetField
from napari_pathsrgan.slides.resample import choose_level, resample_region

if TYPE_CHECKING:
    from napari_pathsrgan.registration.pairs import Table
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.types import Pixels


def checkerboard(
    low: Slide, other: Slide, table: Table, magnification: int, mpp: float, square_um: float = 60.0, most_px: int = 2048
) -> tuple[Pixels, float, tuple[float, float]]:
    """Put two scans together in alternating squares, the finer one where the table's offsets say.

    Parameters
    ----------
    low, other : Slide
        The 4× scan, and the one of `magnification`.
    table : structured array
        Columns of `fine.PATCH_FIELDS`; at least one row.
    magnification : int
        10 or 20.
    mpp : float
        Pixel size wanted, µm; taken coarser where the image would be larger than `most_px`.
    square_um : float
        Side of a square.
    most_px : int
        Longest side of the image.

    Returns
    -------
    image : (H, W, 3) uint8
        The part of the low scan that patches were found in.
    mpp : float
        Its pixel size, µm.
    corner_um : (float, float)
        Its upper-left corner in the low scan.
    """
    places = np.stack([table["row_um"], table["col_um"]], axis=1)
    offsets = np.stack([table[f"offset_{axis}_um_{magnification}x"] for axis in ("row", "col")], axis=1)
    field = OffsetField(places + 75.0, offsets)
    corner, end = places.min(axis=0), places.max(axis=0) + 150.0
    mpp = max(mpp, float((end - corner).max()) / most_px)
    side = max(8, round(square_um / mpp))
    counts = np.maximum(1, np.ceil((end - corner) / (side * mpp)).astype(int))
    image = np.empty((*(counts * side), 3), np.uint8)
    for row, col in np.ndindex(*counts):
        at = corner + np.array([row, col]) * side * mpp
        if (row + col) % 2:
            square = _read_at(other, at + field.at((at + side * mpp / 2)[None])[0], mpp, side)
        else:
            square = _read_at(low, at, mpp, side)
        image[row * side : (row + 1) * side, col * side : (col + 1) * side] = square
    return image, mpp, (float(corner[0]), float(corner[1]))


def _read_at(slide: Slide, corner_um: npt.NDArray[Any], mpp: float, side_px: int) -> Pixels:
    """Read a square from any corner, between pixels."""
    level = choose_level(slide.level_pixel_sizes_um, mpp)
    pixel = slide.level_pixel_sizes_um[level]
    shift = (float(corner_um[0]) / pixel[0], float(corner_um[1]) / pixel[1])

    def read(row: int, col: int, height: int, width: int) -> Pixels:
        return slide.read_level(level, row, col, height, width)

    return resample_region(read, slide.level_shapes[level], pixel, mpp, 0, 0, side_px, side_px, shift)
