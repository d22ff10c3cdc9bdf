"""Outputs that are made of a finished store: one TIFF file, or an OME-Zarr packed into shards.

The tiles are kept in a folder of their own beside the output until it is complete, ``OUT.tiles``: a run that is stopped
goes on there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.slides.ome_tiff import Compression, write_ome_tiff
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.slides.sharding import write_sharded


def is_tiff(path: Path) -> bool:
    """Whether a name asks for a TIFF file."""
    return path.suffix.lower() in (".tif", ".tiff")


def begun(path: Path) -> Path:
    """Find the store in which an earlier run left the tiles of an output; the output itself where there is none."""
    tiles = _beside(path)
    return tiles if tiles.exists() else path


def tiles_folder(path: Path) -> Path:
    """Choose where the tiles of a finished output are kept meanwhile, and see that it can be made.

    Parameters
    ----------
    path : Path
        The output. An OME-Zarr that an earlier run left there unfinished is taken over.

    Returns
    -------
    Path
        Folder for `write_whole_slide`.

    Raises
    ------
    OutputError, StoreMismatchError
        If the output exists already.
    """
    tiles = _beside(path)
    if path.exists():
        if is_tiff(path) or tiles.exists():
            raise OutputError(f"{path} exists already.", "Choose another name, or remove what is there.")
        PyramidStore.open(path)  # refuses what isn't ours, or is finished
        path.rename(tiles)
    return tiles


def finish(
    tiles: Path, path: Path, compression: Compression = "jpeg", progress: Callable[[int, int], None] | None = None
) -> None:
    """Make the output of its tiles, and remove those.

    Parameters
    ----------
    tiles : Path
        From `tiles_folder`, filled.
    path : Path
        A name ending in .tiff or .tif gives a TIFF; any other a sharded OME-Zarr.
    compression : {"jpeg", "lossless"}
        Of the TIFF.
    progress : callable, optional
        Given the pixels written and to write.

    Raises
    ------
    OutputError
        If the place is read-only or full; the tiles stay.
    """
    store = PyramidStore.open(tiles)
    store.expect_tiles()
    if is_tiff(path):
        write_ome_tiff(store, path, compression, progress)
    else:
        write_sharded(store, path, progress)
    shutil.rmtree(tiles, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.tiles")
