"""Outputs that are made of a finished store: one TIFF file, or an OME-Zarr packed into shards.

The tiles are kept in a folder of their own beside the output until it is complete, ``OUT.tiles``: a run that is stopped
goes on there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.inference.whole_slide import Progress, Spread, write_whole_slide
from napari_pathsrgan.slides.ome_tiff import Compression, write_ome_tiff
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.slides.sharding import write_sharded

if TYPE_CHECKING:
    from napari_pathsrgan.inference.region import RegionUm
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.inference.tile_filler import Filled


class Task(Protocol):
    """What progress is told to, step by step."""

    def __call__(self, done: float, total: float, task: str = "") -> None:
        """Tell what is done and to do, and of what where that changed."""


def is_tiff(path: Path) -> bool:
    """Whether a name asks for a TIFF file."""
    return path.suffix.lower() in (".tif", ".tiff")


def write_finished(
    super_resolved: SuperResolvedSlide,
    path: Path,
    region: RegionUm | Path | None = None,
    *,
    blend: bool = False,
    spread: Spread | None = None,
    compression: Compression = "jpeg",
    progress: Task | None = None,
) -> Filled:
    """Write a super-resolved slide as OME-TIFF, or as sharded OME-Zarr.

    Parameters
    ----------
    super_resolved, region, blend, spread
        See `write_whole_slide`.
    path : Path
        A name ending in .tiff or .tif gives a TIFF; any other a sharded OME-Zarr. An OME-Zarr that an earlier run left
        there unsharded is taken over.
    compression : {"jpeg", "lossless"}
        Of the TIFF.
    progress : callable, optional
        Given the pixels done and to do, and what is being done.

    Raises
    ------
    OutputError
        If the output exists already, or the place is read-only or full.
    PathSRGANError
        See `write_whole_slide`.
    """
    tiles = path.with_name(f"{path.name}.tiles")
    if path.exists():
        if is_tiff(path) or tiles.exists():
            raise OutputError(f"{path} exists already.", "Choose another name, or remove what is there.")
        PyramidStore.open(path)  # refuses what isn't ours, or is finished
        path.rename(tiles)

    def step(task: str) -> Progress | None:
        tell: Callable[..., None] | None = progress
        return None if tell is None else lambda done, total: tell(done, total, task)

    done = write_whole_slide(super_resolved, tiles, region, blend=blend, spread=spread, progress=step("Computing"))
    store = PyramidStore.open(tiles)
    if is_tiff(path):
        write_ome_tiff(store, path, compression, step("Writing the TIFF"))
    else:
        write_sharded(store, path, step("Packing"))
    shutil.rmtree(tiles, ignore_errors=True)
    return done
