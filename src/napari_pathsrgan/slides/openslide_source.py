"""Slides through OpenSlide: SVS, NDPI, MRXS, SCN, BIF, DICOM, generic tiled TIFF and others.

OpenSlide's (x, y) and its level-0 coordinates stop here.

OpenSlide is told where a window begins in level-0 pixels, as integers. Where a level's downsample isn't a whole number
(3.99…), such an origin falls between two level pixels and OpenSlide interpolates: the same pixel would get other values
in other windows. So these levels are read in blocks of a fixed lattice, each from the origin nearby that falls on a
level pixel (or the closest to one: it's off by half a level-0 pixel at the very most). Ours, measured with OpenSlide
4.0.1: it interpolates from 1/256 px on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openslide
from PIL import ImageCms

from napari_pathsrgan.slides.colour import on_white
from napari_pathsrgan.slides.level_geometry import Factors, level_factors
from napari_pathsrgan.slides.pixel_size import believable_pixel_size

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

#: Lattice of levels whose downsample isn't whole, in level pixels.
BLOCK_PX = 512
_MOST_ASSOCIATED_PX = 100_000_000
#: How far before a block an origin on a level pixel is looked for, and what counts as being on one, in level pixels.
BACKTRACK_PX = 128
ON_PIXEL = 1 / 300


class OpenSlideSource:
    """One file opened by OpenSlide; see `SlideSource`.

    Raises
    ------
    openslide.OpenSlideError
        If OpenSlide doesn't know the format or can't open the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        handle = openslide.OpenSlide(path)
        self._handle: openslide.OpenSlide | None = handle
        properties = handle.properties
        self.reader = f"openslide {openslide.__library_version__}"
        self.vendor: str | None = properties.get(openslide.PROPERTY_NAME_VENDOR)
        self.level_shapes = tuple((rows, cols) for cols, rows in handle.level_dimensions)
        self._downsamples = tuple(float(downsample) for downsample in handle.level_downsamples)
        self.level_factors = tuple(map(self._factors, range(len(self.level_shapes))))
        self.pixel_size_um = believable_pixel_size(
            _number(properties.get(openslide.PROPERTY_NAME_MPP_Y)),
            _number(properties.get(openslide.PROPERTY_NAME_MPP_X)),
        )
        self.objective_power = _number(properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER))
        bounds = [
            _number(properties.get(name))
            for name in (
                openslide.PROPERTY_NAME_BOUNDS_Y,
                openslide.PROPERTY_NAME_BOUNDS_X,
                openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
                openslide.PROPERTY_NAME_BOUNDS_WIDTH,
            )
        ]
        row, col, height, width = (None if value is None else int(value) for value in bounds)
        self.bounds_level0: tuple[int, int, int, int] | None = None
        if row is not None and col is not None and height is not None and width is not None:
            self.bounds_level0 = (row, col, height, width)
        self.icc_profile = _icc_profile(handle)
        self.associated_images: Mapping[str, Callable[[], Pixels]] = {
            name: partial(self._read_associated, name) for name in handle.associated_images
        }

    def read(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window inside the level: (height, width, 3) uint8, transparency on white; OSError if it can't."""
        if self._downsamples[level].is_integer():
            return self._read_from(level, (row, col), (height, width))
        pixels = np.empty((height, width, 3), np.uint8)
        for top, bottom in _blocks(row, height):
            for left, right in _blocks(col, width):
                origin = (self._origin(level, top), self._origin(level, left))
                block = self._read_from(level, origin, (bottom - origin[0], right - origin[1]))
                skip_rows, skip_cols = max(top, row) - origin[0], max(left, col) - origin[1]
                part = block[skip_rows:, skip_cols:]
                to_row, to_col = max(top, row) - row, max(left, col) - col
                pixels[to_row : to_row + part.shape[0], to_col : to_col + part.shape[1]] = part
        return pixels

    def close(self) -> None:
        """Let go of the file; OpenSlide frees the handle once the last read under way returns."""
        with self._lock:
            self._handle = None

    def _factors(self, level: int) -> Factors:
        """Trust the sizes where OpenSlide made its downsample from them: it takes the mean of both axes' quotients."""
        factors = level_factors(self.level_shapes[0], self.level_shapes[level])
        downsample = self._downsamples[level]
        return factors if np.allclose(factors, downsample, rtol=0.01) else (downsample, downsample)

    def _origin(self, level: int, block_start: int) -> int:
        """Find the level pixel, at or before a block's first, that integer level-0 coordinates name best."""
        downsample = self._downsamples[level]
        candidates = np.arange(block_start, max(-1, block_start - BACKTRACK_PX - 1), -1)
        error = np.abs(np.rint(candidates * downsample) / downsample - candidates)
        exact = np.flatnonzero(error < ON_PIXEL)
        return int(candidates[exact[0] if exact.size else np.argmin(error)])

    def _read_from(self, level: int, origin: tuple[int, int], size: tuple[int, int]) -> Pixels:
        """Read from a level pixel; after an error, which ends an OpenSlide handle, once more with a new one."""
        downsample = self._downsamples[level]
        corner = (round(origin[1] * downsample), round(origin[0] * downsample))

        def read(handle: openslide.OpenSlide) -> Pixels:
            return on_white(np.asarray(handle.read_region(corner, level, (size[1], size[0]))))

        return self._with_handle(read)

    def _read_associated(self, name: str) -> Pixels:
        def read(handle: openslide.OpenSlide) -> Pixels:
            cols, rows = openslide.lowlevel.get_associated_image_dimensions(handle._osr, name)
            if rows * cols > _MOST_ASSOCIATED_PX:
                raise OSError("An image beside the slide is larger than any.")
            return on_white(np.asarray(handle.associated_images[name]))

        return self._with_handle(read)

    def _with_handle(self, read: Callable[[openslide.OpenSlide], Pixels]) -> Pixels:
        handle = self._handle
        if handle is None:
            raise OSError(f"{self._path} has been closed.")
        try:
            return read(handle)
        except openslide.OpenSlideError:
            return self._reopen_and(read, handle)

    def _reopen_and(self, read: Callable[[openslide.OpenSlide], Pixels], broken: openslide.OpenSlide) -> Pixels:
        """Read with a handle of our own, and share it only once it has proved itself.

        Else the second failure over one damaged tile would break what other threads are reading with.
        """
        try:
            handle = openslide.OpenSlide(self._path)
            pixels = read(handle)
        except openslide.OpenSlideError as error:
            raise OSError(str(error)) from error
        with self._lock:
            if self._handle is broken:
                self._handle = handle
        return pixels


def _blocks(start: int, length: int) -> list[tuple[int, int]]:
    """List the lattice's blocks that a span touches, as (first pixel of the block, end of what's wanted in it)."""
    first = start // BLOCK_PX * BLOCK_PX
    end = start + length
    return [(at, min(at + BLOCK_PX, end)) for at in range(first, end, BLOCK_PX)]


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _icc_profile(handle: openslide.OpenSlide) -> bytes | None:
    try:
        profile = handle.color_profile
    except (OSError, ValueError, ImageCms.PyCMSError):  # a damaged profile; the pixels are fine without
        return None
    return None if profile is None else profile.tobytes()
