"""A finished pyramid store in few files: tiles packed into shards, which copy and upload faster, and fill no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zarr

from napari_pathsrgan.slides.store_layout import write_empty
from napari_pathsrgan.whole_output import written_whole

if TYPE_CHECKING:
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

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
        If something is there already, or the place is read-only or full.
    """
    total, done = sum(rows * cols for rows, cols in store.level_shapes), 0
    with written_whole(path) as growing:
        write_empty(
            growing, store.identity, store.level_shapes, store.level_mpps, store.tile_px, shard_tiles=SHARD_TILES
        )
        group = zarr.open_group(growing, mode="r+", zarr_format=3)
        for level, (rows, cols) in enumerate(store.level_shapes):
            source, target, side = store.array(level), group[str(level)], store.tile_px[level] * SHARD_TILES
            assert isinstance(target, zarr.Array)
            for row, col in np.ndindex(-(-rows // side), -(-cols // side)):
                part = (slice(None), slice(row * side, (row + 1) * side), slice(col * side, (col + 1) * side))
                pixels = np.asarray(source[part])
                target[part] = pixels
                done += pixels[0].size
                if progress:
                    progress(done, total)
