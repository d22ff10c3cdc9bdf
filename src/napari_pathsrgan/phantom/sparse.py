"""Huge slides that are empty but for a few places, made in about a minute: to measure what a slide's size costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_pathsrgan.atomic_write import atomic_write
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import WELL_KEPT, random_settings
from napari_pathsrgan.imaging.sensor import develop
from napari_pathsrgan.phantom.cells import Specimen
from napari_pathsrgan.phantom.scan import Scan
from napari_pathsrgan.phantom.slide_file import (
    REDUCTION,
    TILE_PX,
    FileFormat,
    level_shapes,
    reduced,
    whole_shape,
    write_level,
)
from napari_pathsrgan.phantom.truth import ScanOffset
from napari_pathsrgan.types import Pixels

if TYPE_CHECKING:
    from napari_pathsrgan.imaging.scanner import ScannerSettings

Tiles = dict[tuple[int, int], Pixels]

_INSET_UM = 60.0
"""Cells keep so far from the edge of their window that none is cut off there."""


def write_sparse_phantom(
    path: Path,
    side_px: int,
    seed: int,
    windows: Sequence[tuple[int, int, int, int]],
    magnification: int = 4,
    background_share: float = 0.2,
    specimen_px: int | None = None,
) -> Path:
    """Write one scan of a square slide of which only a few windows hold cells.

    Parameters
    ----------
    path : Path
        TIFF file to write.
    side_px : int
        Rows and columns; rounded up so that every level's pixels are whole.
    seed : int
        At least 0.
    windows : sequence of (row, col, height, width)
        Where there are cells, pixels of the scan; grown to whole tiles of 256 px.
    magnification : int
        A key of `OBJECTIVES`.
    background_share : float
        Share of a window without cells.
    specimen_px : int, optional
        Side of one specimen that fills all windows, again and again, so that slides with many cells are made in no more
        time; by default every window has cells of its own.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OptionError
        If a window does not fit.
    OutputError
        If the file exists or cannot be written.
    """
    shape = whole_shape(side_px, side_px)
    for row, col, height, width in windows:
        if min(row, col) < 0 or row + height > shape[0] or col + width > shape[1] or min(height, width) < TILE_PX:
            raise OptionError(
                f"A window of {height} × {width} px at ({row}, {col}) does not fit a slide of {shape[0]} px.",
                f"Keep windows of at least {TILE_PX} px within the slide.",
            )
    settings = random_settings(np.random.default_rng([seed, 8]), OBJECTIVES[magnification], ranges=WELL_KEPT)
    file_format = FileFormat(
        magnification, OBJECTIVES[magnification].mpp, settings.jpeg_quality, settings.jpeg_subsampling
    )
    # One tile stands for all of the background; without noise it is small, and nobody sees a pattern repeat.
    still = replace(settings, full_well=float("inf"), read_noise=0.0)
    empty = develop(np.ones((TILE_PX, TILE_PX, 3), np.float32), still, np.random.default_rng(0))
    tiles: Tiles = {}
    with atomic_write(path) as partial:
        if specimen_px is None:
            for number, window in enumerate(windows):
                tiles |= _scanned(window, magnification, settings, seed + number, background_share)
        else:
            specimen = _scanned((0, 0, specimen_px, specimen_px), magnification, settings, seed, background_share)
            tiles = {place: tile for window in windows for place, tile in _repeated(specimen, window)}
        with tifffile.TiffWriter(partial, bigtiff=True) as writer:
            for level_shape in level_shapes(*shape):
                write_level(writer, _encoded(tiles, empty, level_shape, file_format), level_shape, shape, file_format)
                tiles = _coarser(tiles, empty)
    return path


def _scanned(
    window: tuple[int, int, int, int],
    magnification: int,
    settings: ScannerSettings,
    seed: int,
    background_share: float,
) -> Tiles:
    """Scan a specimen of its own for one window, tile by tile."""
    row, col, height, width = window
    first_row, first_col = row // TILE_PX, col // TILE_PX
    rows = -(-(row + height) // TILE_PX) - first_row
    cols = -(-(col + width) // TILE_PX) - first_col
    mpp = OBJECTIVES[magnification].mpp
    size_um = (rows * TILE_PX * mpp - 2 * _INSET_UM, cols * TILE_PX * mpp - 2 * _INSET_UM)
    specimen = Specimen(seed, size_um, background_share)
    scan = Scan(specimen, magnification, settings, ScanOffset((_INSET_UM, _INSET_UM), ()))
    tiles = {}
    for tile_row in range(rows):
        for tile_col in range(cols):
            pixels = scan.pixels(tile_row * TILE_PX, tile_col * TILE_PX, TILE_PX, TILE_PX)
            tiles[first_row + tile_row, first_col + tile_col] = pixels
    return tiles


def _repeated(specimen: Tiles, window: tuple[int, int, int, int]) -> Iterator[tuple[tuple[int, int], Pixels]]:
    """Lay a specimen's tiles side by side over a window."""
    side = max(row for row, _ in specimen) + 1
    row, col, height, width = window
    first_row, first_col = row // TILE_PX, col // TILE_PX
    for tile_row in range(first_row, -(-(row + height) // TILE_PX)):
        for tile_col in range(first_col, -(-(col + width) // TILE_PX)):
            yield (tile_row, tile_col), specimen[(tile_row - first_row) % side, (tile_col - first_col) % side]


def _encoded(tiles: Tiles, empty: Pixels, shape: tuple[int, int], file_format: FileFormat) -> Iterator[bytes]:
    nothing = file_format.encode(np.ascontiguousarray(empty))
    for row in range(-(-shape[0] // TILE_PX)):
        for col in range(-(-shape[1] // TILE_PX)):
            tile = tiles.get((row, col))
            yield nothing if tile is None else file_format.encode(np.ascontiguousarray(tile))


def _coarser(tiles: Tiles, empty: Pixels) -> Tiles:
    """Tiles of the next level of which any part is not empty."""
    step = TILE_PX // REDUCTION
    coarser: Tiles = {}
    for (row, col), tile in tiles.items():
        key = (row // REDUCTION, col // REDUCTION)
        if key not in coarser:
            coarser[key] = empty.copy()
        top, left = row % REDUCTION * step, col % REDUCTION * step
        coarser[key][top : top + step, left : left + step] = reduced(np.ascontiguousarray(tile))
    return coarser
