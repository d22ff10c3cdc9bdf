"""A slide: pixels that know where they lie.

World units are µm with (0, 0) at the slide's upper-left corner; arrays are (row, col, RGB) uint8. Level pixel ``i`` has
its centre at ``(i + 0.5) * mpp`` of its level. What a file format does differently stays in its source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from napari_pathsrgan.errors import (
    MissingMppError,
    OptionError,
    SlideChangedError,
    SlideGoneError,
    SlideUnreadableError,
)
from napari_pathsrgan.slides.colour import srgb_transform
from napari_pathsrgan.slides.computed import find_computed
from napari_pathsrgan.slides.level_array import OnUnreadable, lazy_level
from napari_pathsrgan.slides.resample import choose_level, grid_length, resample_region
from napari_pathsrgan.types import Pixels

if TYPE_CHECKING:
    import dask.array as da

    from napari_pathsrgan.slides.fingerprint import SlideIdentity
    from napari_pathsrgan.slides.level_geometry import Factors

Reopen = Callable[[Path, float | None, str], "Slide"]
#: Coarser levels are computed until one is at most this long, so that a viewer's overview stays cheap.
OVERVIEW_PX = 1024


class SlideSource(Protocol):
    """One opened file, in its own pixels. Safe to read from several threads.

    Attributes
    ----------
    reader : str
        Library and version that decode the pixels.
    level_shapes : tuple of (rows, cols)
        Finest first.
    level_factors : tuple of (float, float)
        Pixel size of each level over that of level 0, along rows and along columns; never rounded.
    pixel_size_um : (float, float) or None
        Level 0 pixel size along rows and columns as the file states it, None where it doesn't (believably).
    objective_power : float or None
        4 for a 4× scan.
    bounds_level0 : (row, col, height, width) or None
        The part of level 0 that was scanned, where the file says so.
    associated_images : mapping of str to callable () -> (H, W, 3) uint8
        Label, macro photograph and the like.
    icc_profile : bytes or None
    vendor : str or None
    """

    reader: str
    level_shapes: tuple[tuple[int, int], ...]
    level_factors: tuple[Factors, ...]
    pixel_size_um: tuple[float, float] | None
    objective_power: float | None
    bounds_level0: tuple[int, int, int, int] | None
    associated_images: Mapping[str, Callable[[], Pixels]]
    icc_profile: bytes | None
    vendor: str | None

    def read(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window inside the level as (height, width, 3) uint8, transparency on white; OSError if it can't."""

    def close(self) -> None:
        """Let go of the file; reads under way may finish."""


class Slide:
    """One slide, opened for reading; made by `open_slide`.

    Parameters
    ----------
    path : Path
        Where the slide is.
    source : SlideSource
        The opened file; the slide closes it.
    identity : SlideIdentity
        Tells this slide from every other.
    reopen : callable (path, mpp, fingerprint) -> Slide
        Opens the slide again in another process, where `file_fingerprint` is still the same: `open_slide`.
    mpp : float, optional
        Pixel size of level 0 in µm/px, if the user told it; goes before what the file says.

    Attributes
    ----------
    fingerprint : str
        Tells the slide from every other, wherever it's stored; follows from its files and its pixel size.
    cache_id : str
        Changes with every write to its files as well: for pixels that are kept and may be computed anew.
    file_fingerprint : str
        The same as `fingerprint`, whatever pixel size the user gave.
    level_shapes : tuple of (rows, cols)
    objective_power : float or None
    given_mpp : float or None
        Pixel size that the user gave, µm/px; None where the file's own is used.
    computed : Computed or None
        What network this image or map comes from, and which areas are computed; None for a scan.
    reader : str
    associated_images : mapping of str to (H, W, 3) uint8
        Read when asked for.
    """

    def __init__(
        self, path: Path, source: SlideSource, identity: SlideIdentity, reopen: Reopen, mpp: float | None = None
    ) -> None:
        self.path = path
        self._reopen = reopen
        self._pixel_size_um = source.pixel_size_um if mpp is None else (mpp, mpp)
        # Another pixel size makes another pyramid of the same file: its tiles must not be taken for one another.
        own = mpp is None or (source.pixel_size_um is not None and np.allclose(source.pixel_size_um, mpp, rtol=1e-6))
        calibration = "" if own else f"@{float(mpp or 0)!r}"
        self.file_fingerprint = identity.fingerprint
        self.fingerprint = identity.fingerprint + calibration
        self.cache_id = identity.cache_id + calibration
        self._opened = identity.opened
        self.level_shapes = source.level_shapes
        self.objective_power = source.objective_power
        self.computed = find_computed(path)
        self.reader = source.reader
        self.vendor = source.vendor
        self.associated_images: Mapping[str, Pixels] = _AssociatedImages(self, source.associated_images)
        self._source = source
        self.given_mpp = mpp
        self._closed = False
        self._to_srgb = srgb_transform(source.icc_profile)

    @property
    def is_calibrated(self) -> bool:
        """Whether the pixel size is known: the file says it, or the user did."""
        return self._pixel_size_um is not None

    @property
    def pixel_size_um(self) -> tuple[float, float]:
        """Pixel size of level 0 along rows and along columns, µm/px; MissingMppError where nobody says it."""
        if self._pixel_size_um is None:
            raise MissingMppError(
                f"{self.path.name} does not say how wide its pixels are.",
                "Give the pixel size in µm with --mpp, for example --mpp 1.465 for a 4× scan.",
            )
        return self._pixel_size_um

    @cached_property
    def mpp(self) -> float:
        """Pixel size of level 0, µm/px: geometric mean of rows and columns."""
        return math.sqrt(self.pixel_size_um[0] * self.pixel_size_um[1])

    @cached_property
    def level_mpps(self) -> tuple[float, ...]:
        """Pixel size of each level, µm/px: geometric mean of rows and columns."""
        return tuple(self.mpp * math.sqrt(rows * cols) for rows, cols in self._source.level_factors)

    @cached_property
    def level_pixel_sizes_um(self) -> tuple[tuple[float, float], ...]:
        """Pixel size of each level along rows and along columns, µm/px."""
        height, width = self.pixel_size_um
        return tuple((height * rows, width * cols) for rows, cols in self._source.level_factors)

    @cached_property
    def extent_um(self) -> tuple[float, float]:
        """Height and width of level 0."""
        rows, cols = self.level_shapes[0]
        return rows * self.pixel_size_um[0], cols * self.pixel_size_um[1]

    @cached_property
    def bounds_um(self) -> tuple[float, float, float, float] | None:
        """The scanned part as (row, col, height, width), µm, where the file says it."""
        if self._source.bounds_level0 is None:
            return None
        (row, col, height, width), (row_um, col_um) = self._source.bounds_level0, self.pixel_size_um
        return row * row_um, col * col_um, height * row_um, width * col_um

    def __repr__(self) -> str:
        if not self.is_calibrated:
            return f"Slide({self.path.name!r}, of unknown pixel size, reader={self.reader!r})"
        power = "" if self.objective_power is None else f", objective_power={self.objective_power:g}"
        rows, cols = self.level_shapes[0]
        return f"Slide({self.path.name!r}, {rows} × {cols} px, mpp={self.mpp:.4g}{power}, reader={self.reader!r})"

    def __reduce__(self) -> tuple[Reopen, tuple[Path, float | None, str]]:
        """Travel to another process by path: there the file is opened again, if it is still the same."""
        return self._reopen, (self.path, self.given_mpp, self.file_fingerprint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Reading afterwards raises SlideUnreadableError."""
        self._closed = True
        self._source.close()

    def read_level(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window of a level's own pixels, in sRGB.

        Parameters
        ----------
        level : int
        row, col, height, width : int
            In level pixels. What lies outside the level repeats its edge.

        Returns
        -------
        (height, width, 3) uint8

        Raises
        ------
        SlideUnreadableError
            If the file is damaged there or has gone.
        SlideChangedError
            If it was changed or replaced since it was opened.
        """
        rows, cols = self.level_shapes[level]
        if height <= 0 or width <= 0:
            return np.empty((max(height, 0), max(width, 0), 3), np.uint8)
        row_index = np.clip(np.arange(row, row + height), 0, rows - 1)
        col_index = np.clip(np.arange(col, col + width), 0, cols - 1)
        top, left = int(row_index[0]), int(col_index[0])
        inside = (int(row_index[-1]) + 1 - top, int(col_index[-1]) + 1 - left)
        try:
            pixels = self._source.read(level, top, left, *inside)
        except OSError as error:
            raise self._unreadable(f"at level {level}, row {top}, column {left}") from error
        self._refuse_changed()
        if self._to_srgb is not None:
            pixels = self._to_srgb(pixels)
        if inside != (height, width):
            pixels = pixels.take(row_index - top, axis=0).take(col_index - left, axis=1)
        return pixels

    def read_grid(self, mpp: float, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window of the slide-wide grid of pixel size `mpp`, whose pixel (0, 0) begins at the slide's corner.

        Two windows of one grid agree to the bit where they overlap. Outside the slide the picture is mirrored.

        Parameters
        ----------
        mpp : float
            µm/px.
        row, col, height, width : int
            In pixels of that grid; may lie outside the slide.

        Returns
        -------
        (height, width, 3) uint8

        Raises
        ------
        SlideUnreadableError
            If the file is damaged there or has gone.
        OptionError
            If `mpp` isn't positive.
        """
        if not (math.isfinite(mpp) and mpp > 0):
            raise OptionError(f"A pixel size of {mpp} µm makes no sense.", "Give a positive number of µm per pixel.")
        level = choose_level(self.level_pixel_sizes_um, mpp)
        source_mpp = self.level_pixel_sizes_um[level]

        def read(row: int, col: int, height: int, width: int) -> Pixels:
            return self.read_level(level, row, col, height, width)

        return resample_region(read, self.level_shapes[level], source_mpp, mpp, row, col, height, width)

    def grid_shape(self, mpp: float) -> tuple[int, int]:
        """Count rows and columns of the grid of pixel size `mpp` that cover the slide."""
        return grid_length(self.extent_um[0], mpp), grid_length(self.extent_um[1], mpp)

    def read_um(self, row_um: float, col_um: float, height_um: float, width_um: float, mpp: float) -> Pixels:
        """Read every pixel of the grid of pixel size `mpp` that a rectangle in µm touches.

        Returns
        -------
        (rows, cols, 3) uint8
            Its first pixel is grid pixel ``floor(row_um / mpp)``, ``floor(col_um / mpp)``.
        """
        row, col = math.floor(row_um / mpp + 1e-6), math.floor(col_um / mpp + 1e-6)
        end_row = math.ceil((row_um + height_um) / mpp - 1e-6)
        end_col = math.ceil((col_um + width_um) / mpp - 1e-6)
        return self.read_grid(mpp, row, col, end_row - row, end_col - col)

    def thumbnail(self, max_px: int = OVERVIEW_PX) -> Pixels:
        """Shrink the whole slide to at most `max_px` a side: (rows, cols, 3) uint8. Never enlarges."""
        mpp = max(max(self.extent_um) / max_px, self.mpp)
        return self.read_grid(mpp, 0, 0, *self.grid_shape(mpp))

    @property
    def pyramid_mpps(self) -> tuple[float, ...]:
        """Pixel size of each array of `pyramid`, µm/px: the file's levels, then the computed ones."""
        longest = max(self.level_shapes[-1])
        mpps = list(self.level_mpps)
        while longest > OVERVIEW_PX:
            longest = -(-longest // 2)
            mpps.append(mpps[-1] * 2.0)
        return tuple(mpps)

    def pyramid(self, unreadable: OnUnreadable | None = None) -> list[da.Array]:
        """Make one lazy array per level, each (rows, cols, 3) uint8 in chunks of 512 × 512 × 3.

        Levels half as large are added while the coarsest is longer than 1024 px; they're computed from the file's
        coarsest level.

        Parameters
        ----------
        unreadable : callable, optional
            Given a `SlideUnreadableError` of what the file does not give, which is grey then; without it, that is
            raised.
        """
        return [lazy_level(self, index, unreadable) for index in range(len(self.pyramid_mpps))]

    def _refuse_changed(self) -> None:
        """Raise SlideChangedError where another file may have given the pixels that were just read."""
        if self._opened is not None and self._opened.changed():
            raise SlideChangedError(self.path)

    def _unreadable(self, where: str) -> SlideUnreadableError:
        if self._closed:
            return SlideUnreadableError(f"{self.path.name} has been closed.", "Open it again.")
        if not self.path.exists():
            return SlideGoneError(self.path)
        if self._opened is not None and self._opened.changed():
            return SlideChangedError(self.path)
        return SlideUnreadableError(
            f"{self.path.name} cannot be read {where}; the file is damaged or incomplete.",
            "Copy it again from the scanner or the archive.",
        )


class _AssociatedImages(Mapping[str, Pixels]):
    """Label, macro photograph and the like, decoded when asked for."""

    def __init__(self, slide: Slide, readers: Mapping[str, Callable[[], Pixels]]) -> None:
        self._slide = slide
        self._readers = readers

    def __getitem__(self, name: str) -> Pixels:
        read = self._readers[name]
        try:
            image = read()
        except OSError as error:
            raise self._slide._unreadable(f"at its image {name!r}") from error
        self._slide._refuse_changed()
        return image

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)
