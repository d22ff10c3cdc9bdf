"""A finished pyramid store in few files: tiles packed into shards, which copy and upload faster, and fill no more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zarr

from napari_pathsrgan.atomic_write import atomic_write, gone_error
from napari_pathsrgan.slides.store_layout import FILL_VALUE, write_empty

if TYPE_CHECKING:
    from napari_pathsrgan.slides.pyramid_store import PyramidStore
    from napari_pathsrgan.types import Pixels

SHARD_TILES = 8
"""Tiles a side of a shard: 4096 px at 20×, some 20 MB in a file (ours)."""


def write_sharded(store: PyramidStore, path: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write a store's tiles into a sharded OME-Zarr, a shard at a time.

    Parameters
    ----------
    store : PyramidStore
    path : Path
        Folder to write; it appears complete or not at all.
    progress : callable, optional
        Given the pixels written and to write, of all levels.

    Raises
    ------
    OutputError
        If something is there already, the place is read-only or full, or a tile or the output goes away.
    """
    total, done = sum(rows * cols for rows, cols in store.level_shapes), 0
    with atomic_write(path) as growing:
        write_empty(
            growing,
            store.identity,
            store.level_shapes,
            store.level_mpps,
            store.tile_px,
            shard_tiles=SHARD_TILES,
            areas=store.areas,
        )
        group = zarr.open_group(growing, mode="r+", zarr_format=3)
        targets = dict(group.arrays())
        for level, (rows, cols) in enumerate(store.level_shapes):
            target, side = targets[str(level)], store.tile_px[level] * SHARD_TILES
            for row, col in np.ndindex(-(-rows // side), -(-cols // side)):
                pixels = _read_shard(store, level, row, col)
                target[:, row * side : (row + 1) * side, col * side : (col + 1) * side] = pixels.transpose(2, 0, 1)
                if not (growing / "zarr.json").is_file():  # zarr makes folders anew that were moved away
                    raise gone_error(path)
                done += pixels.shape[0] * pixels.shape[1]
                if progress:
                    progress(done, total)


def _read_shard(store: PyramidStore, level: int, shard_row: int, shard_col: int) -> Pixels:
    """Put the tiles of a shard together, (height, width, 3) uint8, cropped to the level; what is missing is white."""
    side = store.tile_px[level]
    top, left = shard_row * SHARD_TILES, shard_col * SHARD_TILES
    height, width = (
        min(SHARD_TILES * side, length - first * side)
        for length, first in zip(store.level_shapes[level], (top, left), strict=True)
    )
    pixels = np.full((height, width, 3), FILL_VALUE, np.uint8)
    for row, col in np.ndindex(-(-height // side), -(-width // side)):
        with suppress(KeyError):
            tile = store.read(level, top + row, left + col)
            pixels[row * side : (row + 1) * side, col * side : (col + 1) * side] = tile
    return pixels
