"""One page of a TIFF as an image that windows are read from, upright and in RGB."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.tiff_colour import YCBCR, PageColour
from napari_pathsrgan.slides.tiff_header import (
    COMPRESSION,
    FILL_ORDER,
    MOST_SEGMENT_BYTES,
    ORIENTATION,
    PHOTOMETRIC,
    YCBCR_SUBSAMPLING,
    Page,
)
from napari_pathsrgan.slides.tiff_segments import NOT_COMPRESSED, decode_segment, holds_images, is_readable, unpack

RGB = npt.NDArray[np.uint8]

KEPT_BYTES = 32 << 20
"""Decoded tiles and strips that a file keeps, as OpenSlide does."""
_STRIP_READ_BYTES = 1 << 20
"""Strips that aren't compressed are read in parts of about this size."""
_MOST_OVERHEAD_BYTES = 1 << 20
_ABSENT = 255
"""What a file leaves out is background."""


class _Turn(NamedTuple):
    """How a stored image becomes upright: first rows and columns are exchanged, then reversed."""

    transpose: bool
    flip_rows: bool
    flip_cols: bool


_TURNS = {
    1: _Turn(False, False, False), 2: _Turn(False, False, True), 3: _Turn(False, True, True),
    4: _Turn(False, True, False), 5: _Turn(True, False, False), 6: _Turn(True, False, True),
    7: _Turn(True, True, True), 8: _Turn(True, True, False),
}  # fmt: skip


class TiffFile:
    """An open file, read from several threads, with the tiles that were decoded last.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    numbers : iterator of int
        Tells its images apart, also those that are gone.
    """

    def __init__(self, path: Path) -> None:
        self.numbers = itertools.count()
        self._stream = path.open("rb")
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int, int], RGB] = OrderedDict()
        self._kept_bytes = 0

    def read(self, at: int, size: int) -> bytes:
        """Read bytes; OSError where the file has fewer or was closed."""
        with self._lock:
            if self._stream.closed:
                raise OSError("The file has been closed.")
            self._stream.seek(at)
            content = self._stream.read(size)
        if len(content) < size:
            raise OSError("The file is shorter than it was.")
        return content

    def close(self) -> None:
        """Close the file and forget its tiles."""
        with self._lock:
            self._stream.close()
            self._kept.clear()
            self._kept_bytes = 0

    def kept(self, key: tuple[int, int, int]) -> RGB | None:
        """Return a decoded tile if it's still there."""
        with self._lock:
            pixels = self._kept.get(key)
            if pixels is not None:
                self._kept.move_to_end(key)
            return pixels

    def keep(self, key: tuple[int, int, int], pixels: RGB) -> None:
        """Keep a decoded tile; the oldest leave for it."""
        with self._lock:
            if key in self._kept or pixels.nbytes > KEPT_BYTES:
                return
            self._kept[key] = pixels
            self._kept_bytes += pixels.nbytes
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes


class TiffImage:
    """One page.

    Parameters
    ----------
    file : TiffFile
    page : Page
        Checked by `read_pages`.
    name : str
        The file's, for what is said about it.

    Attributes
    ----------
    shape : (rows, cols)
        Of the upright image.
    turned : bool
        Whether rows and columns are exchanged.

    Raises
    ------
    SlideUnreadableError
        If its pixels are of a kind that isn't read here.
    OSError
        If it's damaged.
    """

    def __init__(self, file: TiffFile, page: Page, name: str) -> None:
        self._file, self._page, self._number = file, page, next(file.numbers)
        self._colour = PageColour.of(page, name)
        self._raw_strips = _is_raw_strips(page)
        self._subsampling = _subsampling(page)
        _refuse_unless_decodable(page, name, self._raw_strips, self._subsampling)
        self._offsets, self._counts = page.segments()
        self._segment_shape = self._choose_segment_shape()
        self._turn = _TURNS.get(page.integer(ORIENTATION, 1), _TURNS[1])
        self.turned = self._turn.transpose
        self.shape = (page.shape[1], page.shape[0]) if self.turned else page.shape

    def read(self, row: int, col: int, height: int, width: int) -> RGB:
        """Read a window inside the image: (height, width, 3) uint8; OSError if it can't."""
        turn, (rows, cols) = self._turn, self.shape
        row = rows - row - height if turn.flip_rows else row
        col = cols - col - width if turn.flip_cols else col
        if turn.transpose:
            pixels = self._read_stored(col, row, width, height).transpose(1, 0, 2)
        else:
            pixels = self._read_stored(row, col, height, width)
        step_rows, step_cols = -1 if turn.flip_rows else 1, -1 if turn.flip_cols else 1
        return np.ascontiguousarray(pixels[::step_rows, ::step_cols])

    def read_whole(self) -> RGB:
        """Read all of it; OSError if it can't."""
        return self.read(0, 0, *self.shape)

    def _read_stored(self, row: int, col: int, height: int, width: int) -> RGB:
        pixels = np.empty((height, width, 3), np.uint8)
        side_rows, side_cols = self._segment_shape
        for at_row in range(row // side_rows, -(-(row + height) // side_rows)):
            for at_col in range(col // side_cols, -(-(col + width) // side_cols)):
                top, left = at_row * side_rows, at_col * side_cols
                first_row, first_col = max(top, row), max(left, col)
                last_row, last_col = min(top + side_rows, row + height), min(left + side_cols, col + width)
                segment = self._segment(at_row, at_col)
                pixels[first_row - row : last_row - row, first_col - col : last_col - col] = (
                    _ABSENT if segment is None
                    else segment[first_row - top : last_row - top, first_col - left : last_col - left]
                )  # fmt: skip
        return pixels

    def _choose_segment_shape(self) -> tuple[int, int]:
        """Take tiles and strips as they are, but parts of long strips where their rows can be found."""
        rows, cols = self._page.segment_shape
        if not self._raw_strips:
            return rows, cols
        line = self._page.segment_bytes // rows
        return next(
            part for part in range(max(1, min(rows, _STRIP_READ_BYTES // line)), 0, -1) if rows % part == 0
        ), cols

    def _segment(self, at_row: int, at_col: int) -> RGB | None:
        """Decode a tile or strip, or take it from what's kept; None where the file leaves it out."""
        key = (self._number, at_row, at_col)
        pixels = self._file.kept(key)
        if pixels is None:
            planes = range(self._page.samples if self._page.planar else 1)
            decoded = [self._decode(plane, at_row, at_col) for plane in planes]
            if any(plane is None for plane in decoded):
                return None
            pixels = self._colour.to_rgb(np.concatenate([plane for plane in decoded if plane is not None], axis=2))
            self._file.keep(key, pixels)
        return pixels

    def _decode(self, plane: int, at_row: int, at_col: int) -> RGB | None:
        """Decode a tile or strip of one plane: (rows, cols, samples), chroma enlarged to the size of luma."""
        page = self._page
        rows, cols = self._segment_shape
        if not page.tiled:
            rows = min(rows, page.shape[0] - at_row * rows)
        samples = 1 if page.planar else page.samples
        content = self._content(plane, at_row, at_col, rows)
        if content is None:
            return None
        horizontal, vertical = self._subsampling
        if (horizontal, vertical) == (1, 1) or (page.planar and plane == 0):
            return self._unpack(content, rows, cols, samples)
        if page.planar:
            small = self._unpack(content, -(-rows // vertical), -(-cols // horizontal), 1)
            return _enlarge(small, vertical, horizontal)[:rows, :cols]
        return self._unpack_units(content, rows, cols)

    def _content(self, plane: int, at_row: int, at_col: int, rows: int) -> bytes | None:
        """Read a tile or strip as it is in the file, or the part of a strip that isn't compressed."""
        page = self._page
        grid_rows, grid_cols = page.grid
        strip_row, within = divmod(at_row * self._segment_shape[0], page.segment_shape[0])
        index = (plane * grid_rows + strip_row) * grid_cols + at_col
        at, size = int(self._offsets[index]), int(self._counts[index])
        if at == 0 or size == 0:
            return None
        if self._raw_strips:
            line = page.segment_bytes // page.segment_shape[0]
            if (within + rows) * line > size:
                raise OSError("A strip holds fewer pixels than it should.")
            return self._file.read(at + within * line, rows * line)
        if size > 2 * page.segment_bytes + _MOST_OVERHEAD_BYTES:
            raise OSError("A tile or strip is longer coded than decoded.")
        return self._file.read(at, size)

    def _unpack(self, content: bytes, rows: int, cols: int, samples: int) -> RGB:
        page = self._page
        coded = rows * -(-cols * samples * max(page.bits) // 8)
        decoded = decode_segment(page, content, (rows, cols, samples), coded, self._colour.jpeg_is_ycbcr)
        return decoded if holds_images(page) else unpack(page, decoded, rows, cols, samples)

    def _unpack_units(self, content: bytes, rows: int, cols: int) -> RGB:
        """Unpack YCbCr in units of, for example, 2 × 2 pixels: their Y, then one Cb and one Cr (TIFF 6.0 § 21)."""
        horizontal, vertical = self._subsampling
        down, across = -(-rows // vertical), -(-cols // horizontal)
        size = horizontal * vertical + 2
        decoded = decode_segment(self._page, content, (down, across, size), down * across * size, False)
        units = decoded.reshape(down, across, size)
        pairs = units[..., :-2].reshape(down, across, vertical, horizontal).swapaxes(1, 2)
        luma = pairs.reshape(down * vertical, across * horizontal, 1)
        return np.concatenate([luma, _enlarge(units[..., -2:], vertical, horizontal)], axis=2)[:rows, :cols]


def _enlarge(chroma: RGB, vertical: int, horizontal: int) -> RGB:
    """Repeat each pixel, as libtiff does."""
    return chroma.repeat(vertical, axis=0).repeat(horizontal, axis=1)


def _is_raw_strips(page: Page) -> bool:
    plain = page.integer(COMPRESSION, 1) == NOT_COMPRESSED and page.integer(FILL_ORDER, 1) == 1
    return plain and not page.tiled and _subsampling(page) == (1, 1)


def _subsampling(page: Page) -> tuple[int, int]:
    """Return how many columns and rows share their chroma; (1, 1) where the codec sees to that."""
    if page.integer(PHOTOMETRIC, 1) != YCBCR or (holds_images(page) and not page.planar):
        return 1, 1
    values = page.integers(YCBCR_SUBSAMPLING)
    horizontal, vertical = (2, 2) if values is None or len(values) != 2 else values.tolist()
    if horizontal not in (1, 2, 4) or vertical not in (1, 2, 4):
        raise OSError("Chroma of a size that TIFF doesn't know.")
    return horizontal, vertical


def _refuse_unless_decodable(page: Page, name: str, raw_strips: bool, subsampling: tuple[int, int]) -> None:
    remedy = "Export it from its own software as a TIFF in tiles, with JPEG, LZW or deflate."
    if not is_readable(page):
        raise SlideUnreadableError(
            f"{name} is compressed in a way that is not read here (TIFF compression {page.integer(COMPRESSION, 1)}).",
            remedy,
        )
    if page.segment_bytes > MOST_SEGMENT_BYTES and not raw_strips:
        raise SlideUnreadableError(
            f"{name} is compressed in parts of {page.segment_bytes / 1e9:.1f} GB, too large to be read piece by piece.",
            remedy,
        )
    if subsampling != (1, 1) and page.samples != 3:
        raise SlideUnreadableError(f"{name} has YCbCr colours with transparency, which are not read here.", remedy)
    if subsampling[1] > 1 and not page.tiled and page.grid[0] > 1 and page.segment_shape[0] % subsampling[1]:
        raise OSError("Strips that end within a unit of chroma.")
