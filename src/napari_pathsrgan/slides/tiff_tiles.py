"""Encode the levels of a pyramid store as tiles of a TIFF, and the words that both kinds of TIFF share.

JPEG tiles keep R, G and B as they are instead of turning them into YCbCr. Bio-Formats (7.3.1) converts tiles without
chroma subsampling twice, and subsampling costs colour: `benchmarks/readers.py --encodings` printed 52.3 dB at 1.13 bits
per pixel for RGB of quality 85 on computed cells, 50.3 dB at 0.97 for YCbCr 4:2:2 and 49.3 dB at 0.85 for 4:2:0, of
quality 95 each, 47.7 dB at 0.59 for 4:2:0 of quality 90.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import imagecodecs
import numpy as np

from napari_pathsrgan.slides.store_layout import FILL_VALUE

if TYPE_CHECKING:
    import tifffile

    from napari_pathsrgan.slides.pyramid_store import PyramidStore
    from napari_pathsrgan.types import Pixels

Compression = Literal["jpeg", "lossless"]
Progress = Callable[[int, int], None]
"""Receives the pixels written and to write, of all levels."""

JPEG_QUALITY = 85
NOT_FOR_DIAGNOSIS = "Computed image, not for diagnosis."

_MAGNIFICATION_UM = 5.86
"""Camera pixel of the paper's scanners: magnification times µm per pixel."""
_THREADS = 2
_AHEAD = 8


def objective_power(mpp: float) -> float:
    """Return the nominal magnification of a pixel size in µm: 20 for 0.293."""
    return float(round(_MAGNIFICATION_UM / mpp))


def write_level(
    writer: tifffile.TiffWriter, store: PyramidStore, level: int, compression: Compression, **page: Any
) -> None:
    """Write a level of a store as a page of tiles; missing tiles are white.

    Parameters
    ----------
    writer : tifffile.TiffWriter
    store : PyramidStore
    level : int
    compression : {"jpeg", "lossless"}
        RGB JPEG of quality 85, or Deflate with horizontal differences.
    **page
        What else `tifffile.TiffWriter.write` takes: description, subifds and the like.
    """
    writer.write(
        _encoded_tiles(store, level, compression),
        shape=(*store.level_shapes[level], 3),
        dtype=np.uint8,
        tile=(store.tile_px[level],) * 2,
        resolution=(1e4 / store.level_mpps[level],) * 2,
        resolutionunit="CENTIMETER",
        metadata=None,
        software=False,
        **codec_options(compression),
        **page,
    )


def pixels_written(store: PyramidStore, level: int) -> tuple[int, int]:
    """Count the pixels of the levels up to this one, and those of all levels."""
    sizes = [rows * cols for rows, cols in store.level_shapes]
    return sum(sizes[: level + 1]), sum(sizes)


def codec_options(compression: Compression) -> dict[str, Any]:
    """Return what `tifffile.TiffWriter.write` has to know of the tiles' codec."""
    if compression == "lossless":
        return {"photometric": "rgb", "compression": "deflate", "predictor": True}
    # Without the last option, tifffile would declare YCbCr.
    return {"photometric": "rgb", "compression": "jpeg", "compressionargs": {"outcolorspace": "rgb"}}


def _encoded_tiles(store: PyramidStore, level: int, compression: Compression) -> Iterator[bytes]:
    """Encode a level's tiles row by row in a few threads, a few tiles ahead of the writer."""
    encode = _jpeg if compression == "jpeg" else _deflated

    def encoded(row: int, col: int) -> bytes:
        return encode(_whole_tile(store, level, row, col))

    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[bytes]] = deque()
        for row, col in np.ndindex(store.grid_shape(level)):
            waiting.append(pool.submit(encoded, row, col))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _whole_tile(store: PyramidStore, level: int, row: int, col: int) -> Pixels:
    """Read a tile, filled up with its last pixels at the level's edge."""
    side = store.tile_px[level]
    try:
        tile = store.read(level, row, col)
    except KeyError:
        return np.full((side, side, 3), FILL_VALUE, np.uint8)
    missing = (side - tile.shape[0], side - tile.shape[1])
    return np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else tile


def _jpeg(tile: Pixels) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(tile, level=JPEG_QUALITY, colorspace="rgb", outcolorspace="rgb"))


def _deflated(tile: Pixels) -> bytes:
    return bytes(imagecodecs.zlib_encode(imagecodecs.delta_encode(tile, axis=1).tobytes(), level=6))
