"""The part of a slide that is asked for: a rectangle in µm, or areas drawn in QuPath."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.slides.geojson import QuPathGrid, read_annotations
from napari_pathsrgan.tiles.grid import CORE, SLIDE_LEVEL, PyramidGrid, RectangleUm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pathsrgan.slides.annotation import Annotation
    from napari_pathsrgan.slides.slide import Slide

RegionUm = tuple[float, float, float, float]

_CELLS_PER_BLOCK = 8
"""Areas are drawn on a raster of 16 input pixels, 19 µm: tiles up to that far from their edge may come along."""
_SUBPIXEL_BITS = 4


class Region(Protocol):
    """Something that says which tiles of a level it touches."""

    def tiles(self, grid: PyramidGrid, level: int) -> list[tuple[int, int]]:
        """Tiles that share a pixel with it, as (row, col), row by row."""


class RectangleRegion:
    """A rectangle on the slide.

    Parameters
    ----------
    rectangle : RectangleUm
    """

    def __init__(self, rectangle: RectangleUm) -> None:
        self._rectangle = rectangle

    def tiles(self, grid: PyramidGrid, level: int) -> list[tuple[int, int]]:
        """See `Region`."""
        return grid.tiles_in(level, *grid.slices_um(level, self._rectangle))


class AnnotatedRegion:
    """Areas of any shape, holes left out.

    Parameters
    ----------
    annotations : sequence of Annotation
    """

    def __init__(self, annotations: Sequence[Annotation]) -> None:
        self._annotations = annotations

    def tiles(self, grid: PyramidGrid, level: int) -> list[tuple[int, int]]:
        """See `Region`."""
        cell_px = CORE // _CELLS_PER_BLOCK
        cell_um = grid.level_mpps[SLIDE_LEVEL] * cell_px
        raster = self._raster(tuple(-(-size // cell_px) for size in grid.level_shapes[SLIDE_LEVEL]), cell_um)
        per_tile = round(grid.tile_px[level] * grid.level_mpps[level] / cell_um)
        n_rows, n_cols = grid.n_tiles(level)
        padded = np.zeros((n_rows * per_tile, n_cols * per_tile), np.uint8)
        padded[: raster.shape[0], : raster.shape[1]] = raster[: padded.shape[0], : padded.shape[1]]
        touched = padded.reshape(n_rows, per_tile, n_cols, per_tile).any(axis=(1, 3))
        return [(int(row), int(col)) for row, col in np.argwhere(touched)]

    def _raster(self, shape: tuple[int, ...], cell_um: float) -> npt.NDArray[np.uint8]:
        mask = np.zeros(shape, np.uint8)
        scale = (1 << _SUBPIXEL_BITS) / cell_um
        for annotation in self._annotations:
            for polygon in annotation.polygons:
                # OpenCV's points are (x, y), and its pixels have their centres at whole numbers.
                half = 1 << _SUBPIXEL_BITS - 1
                rings = [np.rint(ring[:, ::-1] * scale - half).astype(np.int32) for ring in polygon]
                cv2.fillPoly(mask, rings, 1, shift=_SUBPIXEL_BITS)
                cv2.polylines(mask, rings, True, 1, shift=_SUBPIXEL_BITS)
        return np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)), np.uint8)


def find_region(region: RegionUm | Path | Region | None, slide: Slide) -> Region:
    """Turn what a user gave into a region.

    Parameters
    ----------
    region : (row, col, height, width) in µm, Path of a GeoJSON file, Region, or None
        None for the whole slide; a Region is returned as it is.
    slide : Slide

    Raises
    ------
    OptionError
        If the file can't be read or holds no area.
    """
    if region is None:
        return RectangleRegion(RectangleUm(0.0, 0.0, *slide.extent_um))
    if isinstance(region, Path):
        return AnnotatedRegion(read_annotations(region, QuPathGrid.of(slide)))
    return RectangleRegion(RectangleUm(*region)) if isinstance(region, tuple) else region


def outside(slide: Slide) -> OptionError:
    """Make the error for a region without a pixel of the slide."""
    height, width = slide.extent_um
    return OptionError(
        f"The region lies outside the slide, which is {height:.0f} × {width:.0f} µm.",
        "Give it as row, column, height and width in µm from the upper-left corner.",
    )
