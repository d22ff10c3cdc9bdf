"""Tiled pyramidal JPEG TIFFs in the manner of an Aperio scanner, written while their pixels are being made.

OpenSlide reads them as vendor "aperio", with pixel size and objective power.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import tifffile

if TYPE_CHECKING:
    from napari_pathsrgan.imaging.scanner import Subsampling
    from napari_pathsrgan.types import Pixels

TILE_PX = 256
"""Side of a tile in the file."""

REDUCTION = 4
"""Each level is this much smaller than the one before, as in Aperio's files."""

_SMALLEST_LEVEL_PX = 1024


_TIFF_SUBSAMPLING = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a slide file says of itself and how it is compressed.

    Attributes
    ----------
    magnification : float
        Objective power.
    mpp : float
        Pixel size, µm.
    quality : int
        JPEG quality, 1 to 100.
    subsampling : {"444", "422", "420"}
        Resolution of the colour difference.
    """

    magnification: float
    mpp: float
    quality: int
    subsampling: Subsampling

    def encode(self, tile: Pixels) -> bytes:
        """One (256, 256, 3) uint8 tile as JPEG."""
        return bytes(
            imagecodecs.jpeg8_encode(
                tile, level=self.quality, colorspace="rgb", outcolorspace="ycbcr", subsampling=self.subsampling
            )
        )

    def description(self, shape: tuple[int, int], full_shape: tuple[int, int]) -> str:
        """Text of the TIFF's ImageDescription for a level."""
        rows, cols = full_shape
        size = f"{cols}x{rows} [0,0 {cols}x{rows}] ({TILE_PX}x{TILE_PX})"
        if shape != full_shape:
            size += f" -> {shape[1]}x{shape[0]}"
        return (
            f"Aperio Image Library (napari-pathsrgan phantom)\n{size} JPEG/RGB Q={self.quality}"
            f"|AppMag = {self.magnification:g}|MPP = {self.mpp:g}"
        )


def level_count(rows: int, cols: int) -> int:
    """Levels that a slide of this size gets: until the longer side is at most 1,024 px."""
    count, longest = 1, max(rows, cols)
    while longest > _SMALLEST_LEVEL_PX:
        longest = -(-longest // REDUCTION)
        count += 1
    return count


def whole_shape(rows: int, cols: int) -> tuple[int, int]:
    """Round a size up so that every level's pixels are whole, and downsamples exact."""
    step = REDUCTION ** (level_count(rows, cols) - 1)
    return -(-rows // step) * step, -(-cols // step) * step


def level_shapes(rows: int, cols: int) -> list[tuple[int, int]]:
    """Rows and columns of every level of a slide of a `whole_shape`."""
    return [(rows // REDUCTION**level, cols // REDUCTION**level) for level in range(level_count(rows, cols))]


def reduced(pixels: Pixels) -> Pixels:
    """Mean of each 4 × 4 pixels; (H, W, 3) uint8 to (H/4, W/4, 3) uint8."""
    rows, cols = pixels.shape[0] // REDUCTION, pixels.shape[1] // REDUCTION
    sums = pixels.reshape(rows, REDUCTION, cols, REDUCTION, 3).sum(axis=(1, 3), dtype=np.uint32)
    return np.asarray((sums + REDUCTION**2 // 2) // REDUCTION**2, np.uint8)


def split_tiles(band: Pixels) -> Iterator[Pixels]:
    """Tiles of an image row by row, those at its right and lower edge filled up with the edge's pixels."""
    for row in range(0, band.shape[0], TILE_PX):
        for col in range(0, band.shape[1], TILE_PX):
            tile = band[row : row + TILE_PX, col : col + TILE_PX]
            missing = (TILE_PX - tile.shape[0], TILE_PX - tile.shape[1])
            if any(missing):
                tile = np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
            yield np.ascontiguousarray(tile)


def write_level(
    writer: tifffile.TiffWriter,
    tiles: Iterable[bytes],
    shape: tuple[int, int],
    full_shape: tuple[int, int],
    file_format: FileFormat,
) -> None:
    """Append one level.

    Parameters
    ----------
    writer : tifffile.TiffWriter
        The open file; levels go in from the finest to the coarsest.
    tiles : iterable of bytes
        Encoded tiles, row by row; taken one at a time.
    shape, full_shape : (rows, cols)
        Size of this level and of the finest.
    file_format : FileFormat
        How the tiles were encoded.
    """
    writer.write(
        iter(tiles),
        shape=(*shape, 3),
        dtype=np.uint8,
        tile=(TILE_PX, TILE_PX),
        photometric="ycbcr",
        compression="jpeg",
        subsampling=_TIFF_SUBSAMPLING[file_format.subsampling],
        subfiletype=0 if shape == full_shape else 1,
        description=file_format.description(shape, full_shape),
        metadata=None,
        software=False,
    )


def write_pyramid(
    path: Path, shape: tuple[int, int], chunks: Iterable[tuple[int, int, Pixels]], file_format: FileFormat
) -> None:
    """Write a slide from chunks of its finest level, without ever holding a level in memory.

    Coarser levels wait in a temporary file beside the slide until the finest is done.

    Parameters
    ----------
    path : Path
        File to write.
    shape : (rows, cols)
        A `whole_shape`.
    chunks : iterable of (row, col, (h, w, 3) uint8)
        Row by row; corners and, but for the slide's edges, sizes are multiples of 256.
    file_format : FileFormat
        Compression and description.
    """
    shapes = level_shapes(*shape)
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        waiting = _Waiting(path, 1, shapes)
        write_level(writer, _encoded_chunks(chunks, shape, file_format, waiting), shape, shape, file_format)
        for level in range(1, len(shapes)):
            following = _Waiting(path, level + 1, shapes)
            tiles = _encoded_bands(waiting, shapes[level], file_format, following)
            write_level(writer, tiles, shapes[level], shape, file_format)
            waiting.discard()
            waiting = following


class _Waiting:
    """A level's pixels on disk until they are written; nothing for a level that there is not."""

    def __init__(self, path: Path, level: int, shapes: list[tuple[int, int]]) -> None:
        self._path = path.with_name(f"{path.name}.level{level}")
        self.pixels: np.memmap[tuple[int, ...], np.dtype[np.uint8]] | None = None
        if level < len(shapes):
            shape = (*shapes[level], 3)
            with self._path.open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    # A disk that fills up under a memory map kills the process; here it is an error like any other.
                    os.posix_fallocate(file.fileno(), 0, math.prod(shape))
                else:
                    file.truncate(math.prod(shape))
            self.pixels = np.memmap(self._path, np.uint8, "r+", shape=shape)

    def put(self, row: int, col: int, finer: Pixels) -> None:
        """Keep a chunk of the next finer level, whose corner is given in that level's pixels."""
        if self.pixels is not None:
            part = reduced(finer)
            row, col = row // REDUCTION, col // REDUCTION
            self.pixels[row : row + part.shape[0], col : col + part.shape[1]] = part

    def discard(self) -> None:
        self.pixels = None
        self._path.unlink(missing_ok=True)


def _encoded_chunks(
    chunks: Iterable[tuple[int, int, Pixels]], shape: tuple[int, int], file_format: FileFormat, waiting: _Waiting
) -> Iterator[bytes]:
    """Tiles of a row of chunks wait, encoded, until the row is complete."""
    tile_rows: list[list[bytes]] = []
    for row, col, pixels in chunks:
        waiting.put(row, col, pixels)
        encoded = [file_format.encode(tile) for tile in split_tiles(pixels)]
        across = -(-pixels.shape[1] // TILE_PX)
        for number in range(len(encoded) // across):
            if col == 0:
                tile_rows.append([])
            tile_rows[number] += encoded[number * across : (number + 1) * across]
        if col + pixels.shape[1] == shape[1]:
            for tiles in tile_rows:
                yield from tiles
            tile_rows = []


def _encoded_bands(
    waiting: _Waiting, shape: tuple[int, int], file_format: FileFormat, following: _Waiting
) -> Iterator[bytes]:
    assert waiting.pixels is not None
    for row in range(0, shape[0], TILE_PX):
        band = np.asarray(waiting.pixels[row : row + TILE_PX])
        following.put(row, 0, band)
        for tile in split_tiles(band):
            yield file_format.encode(tile)
