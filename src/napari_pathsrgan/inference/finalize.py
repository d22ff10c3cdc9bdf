"""The kinds of output, known by their suffixes, and those made of a finished store: a TIFF, or a sharded OME-Zarr.

The tiles are kept in a folder of their own beside the output until it is complete, ``OUT.tiles``: a run that is stopped
goes on there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.slides.aperio_tiff import write_aperio_tiff
from napari_pathsrgan.slides.ome_tiff import write_ome_tiff
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.slides.sharding import write_sharded

if TYPE_CHECKING:
    from napari_pathsrgan.slides.tiff_tiles import Compression

_Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class OutputKind:
    """A kind of output that `upscale` writes.

    Attributes
    ----------
    suffixes : tuple of str
        Lower case; what `bare_name` takes off, longest first.
    write_file : callable or None
        Writes a store as one file; None for an OME-Zarr, which is the store itself.
    """

    suffixes: tuple[str, ...]
    write_file: Callable[[PyramidStore, Path, Compression, _Progress | None], None] | None


OUTPUT_KINDS = (
    OutputKind((".ome.zarr", ".zarr"), None),
    OutputKind((".ome.tiff", ".ome.tif", ".tiff", ".tif"), write_ome_tiff),
    OutputKind((".svs",), write_aperio_tiff),
)


def output_kind(path: Path) -> OutputKind:
    """Find the kind of output that a name asks for; OptionError if there is none."""
    for kind in OUTPUT_KINDS:
        if path.name.lower().endswith(kind.suffixes):
            return kind
    raise OptionError(
        f"{path.name} names no kind of output that is written here.",
        "End the name in .ome.zarr, .ome.tiff or .svs.",
    )


def bare_name(path: Path) -> str:
    """Take the suffix of its kind off an output's name: case.ome.tiff is case."""
    suffix = next(suffix for suffix in output_kind(path).suffixes if path.name.lower().endswith(suffix))
    return path.name[: -len(suffix)]


def partial_store(path: Path) -> Path:
    """Find the store in which an earlier run left the tiles of an output; the output itself where there is none."""
    tiles = _beside(path)
    return tiles if tiles.exists() else path


def tiles_place(path: Path) -> Path:
    """Find where the tiles of a finished output lie, or are going to: as `tiles_folder`, but nothing is moved.

    Returns
    -------
    Path
        The output itself where it is an OME-Zarr that an earlier run left unfinished.

    Raises
    ------
    OutputError, StoreMismatchError
        If the output exists already.
    """
    tiles = _beside(path)
    if not path.exists():
        return tiles
    if tiles.exists():  # an earlier run was stopped as it removed them, or something else was put there since
        raise OutputError(
            f"{path} exists already, beside tiles of an earlier run in {tiles.name}.",
            "Remove the tiles if the output is complete, or the output to go on with the tiles.",
        )
    if output_kind(path).write_file:
        raise OutputError(f"{path} exists already.", "Choose another name, or remove what is there.")
    PyramidStore.open(path)  # refuses what isn't ours, or is finished
    return path


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
    if tiles_place(path) != tiles:
        path.rename(tiles)
    return tiles


def finalize(tiles: Path, path: Path, compression: Compression = "jpeg", progress: _Progress | None = None) -> None:
    """Make the output of its tiles, and remove those.

    Parameters
    ----------
    tiles : Path
        From `tiles_folder`, filled.
    path : Path
        Its suffix says whether that is a TIFF or a sharded OME-Zarr; see `output_kind`.
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
    write_file = output_kind(path).write_file
    if write_file:
        write_file(store, path, compression, progress)
    else:
        write_sharded(store, path, progress)
    shutil.rmtree(tiles, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.tiles")
