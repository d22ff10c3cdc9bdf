"""A super-resolved pyramid on disk that fills tile by tile: the cache of what was looked at IS the export.

It's an OME-Zarr 0.5 image from the first moment, readable by other tools while it fills; what's missing shows white.
One tile is one chunk is one file, written under a name of its own and renamed. So a tile is there whole or not at all,
and a reader never meets half of one. Each is sealed with its address: whatever a crash or a bad disk damages, and
whatever is put into another tile's place, counts as missing.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import zarr

from napari_pathsrgan.atomic_write import gone_error, output_error, partial_name, refuse_existing
from napari_pathsrgan.errors import OutputError, StoreMismatchError
from napari_pathsrgan.private_files import make_private
from napari_pathsrgan.slides.computed_areas import ComputedAreas
from napari_pathsrgan.slides.slide_files import FileState, file_state
from napari_pathsrgan.slides.store_layout import (
    OUR_KEY,
    StoreIdentity,
    level_array,
    not_ours,
    our_attributes,
    write_empty,
)
from napari_pathsrgan.slides.tile_file import decode_tile, encode_tile, write_tile_file

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

"""A temporary file that old is nobody's any more: a tile is written in milliseconds."""


class PyramidStore:
    """An OME-Zarr pyramid of RGB tiles; made by `create`, `open` or `open_or_create`. Safe to use from threads.

    Attributes
    ----------
    path : Path
    identity : StoreIdentity
    level_shapes : tuple of (rows, cols)
        Finest first.
    level_mpps : tuple of float
        µm/px.
    tile_px : tuple of int
        Side of a tile on each level, px.
    areas : ComputedAreas
        Which areas hold computed pixels, as of the last run that ended.
    """

    def __init__(self, path: Path, group: zarr.Group, private: bool = False) -> None:
        ours = our_attributes(path, group)
        self.path = path
        self._group = group
        self.identity = StoreIdentity(**ours["identity"])
        self.level_shapes = tuple((int(rows), int(cols)) for rows, cols in ours["level_shapes"])
        self.level_mpps = tuple(float(mpp) for mpp in ours["level_mpps"])
        self.tile_px = tuple(int(side) for side in ours["tile_px"])
        self.areas = ComputedAreas.from_record(ours["computed_areas"])
        self._arrays = tuple(level_array(group, level) for level in range(len(self.level_shapes)))
        self._damaged: set[tuple[int, int, int]] = set()
        self._expected: frozenset[tuple[int, int, int]] = frozenset()
        self._seen = FileState()
        self._private = private

    @classmethod
    def create(
        cls,
        path: Path | str,
        level_shapes: Sequence[tuple[int, int]],
        level_mpps: Sequence[float],
        tile_px: Sequence[int],
        slide_fingerprint: str,
        product: str,
        slide_name: str,
        model_name: str,
        execution: str = "",
        private: bool = False,
    ) -> Self:
        """Make an empty store; it appears at `path` complete or not at all.

        Parameters
        ----------
        path : Path or str
            Must not exist, or be an empty folder.
        level_shapes : sequence of (rows, cols)
            Finest first.
        level_mpps : sequence of float
            Pixel size of each level, µm/px.
        tile_px : sequence of int
            Side of the tiles of each level, px.
        slide_fingerprint, product, slide_name, model_name, execution : str
            See `StoreIdentity`.
        private : bool
            Whether its owner alone can read it.

        Raises
        ------
        OutputError
            If something is there already, or the place is read-only or full.
        ValueError
            If the levels' lists differ in length.
        """
        path = Path(path)
        refuse_occupied(path)
        identity = StoreIdentity(slide_fingerprint, product, slide_name, model_name, execution)
        growing = partial_name(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_empty(growing, identity, level_shapes, level_mpps, tile_px)
            if path.is_dir():  # empty, as seen above; Windows doesn't rename onto it
                path.rmdir()
            if private:
                make_private(growing)
            growing.rename(path)
        except OSError as error:
            raise output_error(path, error) from error
        finally:
            shutil.rmtree(growing, ignore_errors=True)
        if not path.exists():
            raise gone_error(path)
        return cls.open(path, private)

    @classmethod
    def open(cls, path: Path | str, private: bool = False) -> Self:
        """Open a store that is there; what is written to a private one can be read by its owner alone.

        Raises
        ------
        StoreMismatchError
            If the folder isn't a pyramid store of ours, or one of another version.
        """
        path = Path(path)
        try:
            return cls(path, zarr.open_group(path, mode="r+", zarr_format=3), private)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise not_ours(path) from error

    @classmethod
    def open_or_create(
        cls,
        path: Path | str,
        level_shapes: Sequence[tuple[int, int]],
        level_mpps: Sequence[float],
        tile_px: Sequence[int],
        slide_fingerprint: str,
        product: str,
        slide_name: str,
        model_name: str,
        execution: str = "",
        private: bool = False,
    ) -> Self:
        """Go on with the store at `path`, or make it; parameters as for `create`.

        Raises
        ------
        StoreMismatchError
            If it holds another slide's or another model's tiles, or tiles computed in another way, or the pyramid is
            cut differently.
        OutputError
            If something else is there, or the place is read-only or full.
        """
        path = Path(path)
        identity = StoreIdentity(slide_fingerprint, product, slide_name, model_name, execution)
        if not (path / "zarr.json").is_file():
            try:
                return cls.create(path, level_shapes, level_mpps, tile_px, **asdict(identity), private=private)
            except OutputError:
                if not (path / "zarr.json").is_file():  # else another thread or process was quicker
                    raise
        store = cls.open(path, private)
        store.require(identity)
        here = (store.level_shapes, store.level_mpps, store.tile_px)
        if here != (tuple((rows, cols) for rows, cols in level_shapes), tuple(level_mpps), tuple(tile_px)):
            raise StoreMismatchError(
                f"{path.name} holds a pyramid of other levels or tiles than this version makes.",
                "Choose another output folder, or remove that one.",
            )
        return store

    def require(self, wanted: StoreIdentity) -> None:
        """Raise StoreMismatchError unless the store holds this slide through this model, computed in this way.

        A store that doesn't know how its tiles were computed remembers it from now on.
        """
        here, remedy = self.identity, "Choose another output folder, or remove that one."
        if here.slide_fingerprint != wanted.slide_fingerprint:
            raise StoreMismatchError(f"{self.path.name} holds tiles of another slide ({here.slide_name}).", remedy)
        if here.product != wanted.product:
            raise StoreMismatchError(f"{self.path.name} holds tiles of another model ({here.model_name}).", remedy)
        if not wanted.execution or here.execution == wanted.execution:
            return
        if here.execution:
            raise StoreMismatchError(
                f"{self.path.name} holds tiles computed by {here.execution}, not by {wanted.execution}.", remedy
            )
        self.identity = replace(here, execution=wanted.execution)
        self._remember({"identity": asdict(self.identity)})

    def set_areas(self, areas: ComputedAreas) -> None:
        """Say which areas hold computed pixels; OutputError if the disk is full or read-only."""
        if areas != self.areas:
            self.areas = areas
            self._remember({"computed_areas": areas.record()})

    def _remember(self, ours: dict[str, Any]) -> None:
        """Change our attributes of the group."""
        try:
            self._refuse_gone()
            self._group.attrs[OUR_KEY] = our_attributes(self.path, self._group) | ours
        except OSError as error:
            raise output_error(self.path, error) from error

    def array(self, level: int) -> zarr.Array[Any]:
        """Return a level as a Zarr array of shape (3, rows, cols), uint8; missing tiles read as 255."""
        return self._arrays[level]

    def grid_shape(self, level: int) -> tuple[int, int]:
        """Count the rows and columns of tiles on a level."""
        side = self.tile_px[level]
        rows, cols = self.level_shapes[level]
        return -(-rows // side), -(-cols // side)

    def has(self, level: int, row: int, col: int) -> bool:
        """Tell whether a tile is done; only looks whether its file is there, in microseconds."""
        if (level, row, col) in self._damaged:
            return False
        try:
            return self._tile_file(level, row, col).stat().st_size > 0
        except OSError:
            return False

    def read(self, level: int, row: int, col: int) -> Pixels:
        """Read a tile.

        Returns
        -------
        (height, width, 3) uint8
            Cropped to the level at its right and lower edge.

        Raises
        ------
        KeyError
            If the tile is missing, or turns out damaged or another's; from then on `has` says it's missing, until it's
            written anew.
        OutputError
            If it was there when `expect_tiles` was called.
        """
        try:
            return self._read(level, row, col)
        except KeyError as error:
            if (level, row, col) in self._expected:
                raise OutputError(
                    f"A tile of {self.path.name} was removed or damaged while it was read.",
                    "Run the same command again: it makes that tile anew.",
                ) from error
            raise

    def expect_tiles(self) -> None:
        """Take what is there now for complete: one of these tiles that is missing later is an error, not a gap."""
        levels = range(len(self.level_shapes))
        self._expected = frozenset((level, *tile) for level in levels for tile in self.tiles(level))

    def _read(self, level: int, row: int, col: int) -> Pixels:
        if not self.has(level, row, col):
            raise KeyError((level, row, col))
        rows, cols = self._window(level, row, col)
        shape, address = (rows.stop - rows.start, cols.stop - cols.start), self._address(level, row, col)
        try:
            return decode_tile(self._tile_file(level, row, col).read_bytes(), shape, self.tile_px[level], address)
        except (OSError, ValueError) as error:
            self._damaged.add((level, row, col))
            raise KeyError((level, row, col)) from error

    def write(self, level: int, row: int, col: int, pixels: Pixels) -> int:
        """Write a tile, whole or not at all; one that is there is replaced.

        Parameters
        ----------
        level, row, col : int
        pixels : (height, width, 3) uint8
            Cropped to the level at its right and lower edge.

        Returns
        -------
        int
            Bytes of its file.

        Raises
        ------
        OutputError
            If the disk is full or read-only, or the store was moved away.
        ValueError
            If the pixels don't fit the tile.
        """
        rows, cols = self._window(level, row, col)
        wanted = (rows.stop - rows.start, cols.stop - cols.start, 3)
        if pixels.shape != wanted or pixels.dtype != np.uint8:
            raise ValueError(f"Tile ({level}, {row}, {col}) is {wanted} uint8, not {pixels.shape} {pixels.dtype}.")
        content = encode_tile(pixels, self.tile_px[level], self._address(level, row, col))
        try:
            self._refuse_gone()
            write_tile_file(self._tile_file(level, row, col), content, self._private)
        except OSError as error:
            raise output_error(self.path, error) from error
        self._damaged.discard((level, row, col))
        return len(content)

    def discard(self, level: int, row: int, col: int) -> None:
        """Remove a tile, if it is there; OutputError if the place is read-only."""
        try:
            self._tile_file(level, row, col).unlink(missing_ok=True)
        except OSError as error:
            raise output_error(self.path, error) from error

    def tiles(self, level: int) -> Iterator[tuple[int, int]]:
        """List the (row, col) of a level's tiles that are done, in reading order."""
        for row in _numbered(self._tile_file(level, 0, 0).parent.parent):
            for col in _numbered(self._tile_file(level, row, 0).parent):
                if self.has(level, row, col):
                    yield row, col

    def remove_leftovers(self) -> None:
        """Remove the temporary files of writers that were killed; only for the store's one writer."""
        for file in self.path.rglob("*.partial"):
            with contextlib.suppress(OSError):
                file.unlink()

    def _address(self, level: int, row: int, col: int) -> str:
        """Name a tile among all tiles of all slides and models."""
        return json.dumps([self.identity.slide_fingerprint, self.identity.product, level, row, col])

    def _refuse_gone(self) -> None:
        """Raise OutputError where this store is no longer at its path; in microseconds, unless it was changed."""
        metadata = self.path / "zarr.json"
        state = file_state(metadata)
        if state == self._seen:
            return
        try:
            here = json.loads(metadata.read_bytes())["attributes"][OUR_KEY]["identity"]
            theirs = (here["slide_fingerprint"], here["product"])
        except (ValueError, KeyError, TypeError) as error:
            raise gone_error(self.path) from error
        if theirs != (self.identity.slide_fingerprint, self.identity.product):
            raise gone_error(self.path)
        self._seen = state

    def _tile_file(self, level: int, row: int, col: int) -> Path:
        return self.path / str(level) / "c" / "0" / str(row) / str(col)

    def _window(self, level: int, row: int, col: int) -> tuple[slice, slice]:
        """Return a tile's slices of its level, cropped to it."""
        tile_rows, tile_cols = self.grid_shape(level)
        if not (0 <= row < tile_rows and 0 <= col < tile_cols):
            raise ValueError(f"Level {level} has {tile_rows} × {tile_cols} tiles, none at ({row}, {col}).")
        side = self.tile_px[level]
        rows, cols = self.level_shapes[level]
        return slice(row * side, min(row * side + side, rows)), slice(col * side, min(col * side + side, cols))


def refuse_occupied(path: Path) -> None:
    """Raise OutputError unless a store can be made at a place: nothing is there, or an empty folder."""
    try:
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return
    except OSError as error:
        raise output_error(path, error) from error
    refuse_existing(path)


def _numbered(folder: Path) -> list[int]:
    """List the entries whose names are numbers, in order; temporary files of writes under way aren't."""
    try:
        return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())
    except FileNotFoundError:
        return []
