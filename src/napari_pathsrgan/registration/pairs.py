"""The pairs file: matched patches at 4×, 10× and 20× with a table of where each came from.

A zarr 3 group. `lr` (N, 128, 128, 3) at 1.172 µm/px, `mr` (N, 256, 256, 3) at 0.586 and `hr` (N, 512, 512, 3) at 0.293
are RGB uint8, one patch a chunk and 32 chunks a file. `table/…` holds a column each. The group's attributes say which
slides are in it, how they were registered, and how many rows are complete: only those are read, so that a file is
whole while it is written and after a kill. Nothing in it depends on when or how often it was written.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import psutil
import zarr
from zarr.codecs import ZstdCodec

from napari_pathsrgan.bounded_json import read_json
from napari_pathsrgan.errors import OutputError, StoreMismatchError
from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, PATCH_FIELDS
from napari_pathsrgan.registration.splitting import BY_PLACE, split_by_place
from napari_pathsrgan.registration.stored_pairs import (
    FORMAT,
    SHARD_ROWS,
    TABLE_CHUNK,
    VERSION,
    damaged,
    open_column,
    open_images,
    read_attributes,
)
from napari_pathsrgan.types import Pixels

Table = npt.NDArray[np.void]
Triplet = tuple[Pixels, Pixels, Pixels]

_SIDES = {"lr": LR_PX, "mr": MR_PX, "hr": HR_PX}
_OWN_COLUMNS = {"slide": "i4", "label": "i4"}
_MOST_JSON_BYTES, _MOST_JSON_VALUES = 64 * 2**20, 2_000_000


def is_pairs_file(path: Path | str) -> bool:
    """Whether a path is a pairs file, of whichever version; fast, and without an error for anything else."""
    try:
        described = read_json(Path(path) / "zarr.json", _MOST_JSON_BYTES, _MOST_JSON_VALUES)
        return bool(described["attributes"]["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


@dataclass(frozen=True)
class Planned:
    """The rows that a slide will fill.

    Attributes
    ----------
    table : structured array of `PATCH_FIELDS`
    labels : (N,) array of str
        Class of each patch, empty without one.
    found : dict
        What else there is to say, in plain values.
    """

    table: Table
    labels: npt.NDArray[np.str_]
    found: dict[str, Any]


class PairsFile:
    """A pairs file opened for reading; any number of processes may, also while another appends.

    Parameters
    ----------
    path : Path or str

    Attributes
    ----------
    path : Path
    slides : list of dict
        Each with ``name``, ``split`` ("train", "test" or "place"), ``simulated``, ``first`` and ``count`` (its rows),
        ``made`` (files' fingerprints, reader, settings, versions) and ``found``.

    Raises
    ------
    StoreMismatchError
        If the path holds no pairs file, or one of another version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        attributes = read_attributes(self.path)
        self.slides: list[dict[str, Any]] = attributes["slides"]
        self._labels: list[str] = attributes["labels"]
        self._rows = int(attributes["rows"])
        self._arrays = {name: open_images(self.path, name, side) for name, side in _SIDES.items()}
        if min(array.shape[0] for array in self._arrays.values()) < self._rows:
            raise damaged(self.path)

    def __len__(self) -> int:
        return self._rows

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """Travel to another process by path."""
        return type(self), (self.path,)

    def __getitem__(self, row: int) -> Triplet:
        """Read one patch: (128, 128, 3), (256, 256, 3) and (512, 512, 3) uint8."""
        if not -self._rows <= row < self._rows:
            raise IndexError(f"Row {row} of {self._rows}.")
        lr, mr, hr = (images[0] for images in self.read(row % self._rows, 1))
        return lr, mr, hr

    def read(self, first: int, count: int) -> Triplet:
        """Read patches that follow each other: (N, 128, 128, 3), (N, 256, 256, 3), (N, 512, 512, 3) uint8."""
        last = min(first + count, self._rows)
        try:
            lr, mr, hr = (np.asarray(self._arrays[name][first:last], np.uint8) for name in _SIDES)
        except (OSError, ValueError) as error:
            raise damaged(self.path) from error
        return lr, mr, hr

    @property
    def table(self) -> Table:
        """Where each patch came from.

        Returns
        -------
        (N,) structured array
            The columns of `fine.PATCH_FIELDS`, and ``slide``, ``split``, ``label`` (str) and ``simulated`` (bool).
        """
        names = [slide["name"] for slide in self.slides]
        width = max([1, *map(len, names), *map(len, self._labels)])
        own = [("slide", f"U{width}"), ("split", "U5"), ("label", f"U{width}"), ("simulated", "?")]
        table = np.empty(self._rows, np.dtype([*own, *PATCH_FIELDS.descr]))
        for name in PATCH_FIELDS.names or ():
            table[name] = self._column(name)
        owner, label = self._column("slide"), self._column("label")
        if np.any((label < -1) | (label >= len(self._labels))) or np.any((owner < 0) | (owner >= len(names))):
            raise damaged(self.path)
        table["label"] = np.array(["", *self._labels])[label + 1]
        if names:
            table["slide"] = np.array(names)[owner]
            table["split"] = self._splits()
            table["simulated"] = np.array([slide["simulated"] for slide in self.slides])[owner]
        return table

    def rows(self, split: str) -> npt.NDArray[np.intp]:
        """Rows of one split, "train" or "test"; a slide is wholly in one, or split by place."""
        return np.flatnonzero(self._splits() == split)

    def _splits(self) -> npt.NDArray[np.str_]:
        """What every row is for: "train", "test", or "" on the border between both parts of a slide."""
        splits = np.full(self._rows, "", "U5")
        for slide in self.slides:
            own = slice(slide["first"], min(slide["first"] + slide["count"], self._rows))
            if slide["split"] == BY_PLACE:
                corners = [_read_column(self.path, name, own.start, own.stop) for name in ("row_um", "col_um")]
                splits[own] = split_by_place(np.stack(corners, axis=1))
            else:
                splits[own] = slide["split"]
        return splits

    def _column(self, name: str) -> npt.NDArray[Any]:
        return _read_column(self.path, name, 0, self._rows)


def append(
    path: Path,
    name: str,
    made: dict[str, Any],
    split: str,
    plan: Callable[[], Planned],
    cut: Callable[[Table], Triplet],
    simulated: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> int:
    """Append a slide's patches, or go on where a killed run stopped.

    What is in the file already is not done again, and the file comes out the same to the byte.

    Parameters
    ----------
    path : Path
        The file; made if it is not there.
    name : str
        The slide's.
    made : dict
        Tells this slide and its settings from every other, in plain values.
    split : {"train", "test", "place"}
    plan : callable
        Finds the rows; called only if they are not in the file yet.
    cut : callable
        Given one row of the table, gives its (128, 128, 3), (256, 256, 3) and (512, 512, 3) uint8.
    simulated : bool
        Whether the 4× pixels are computed.
    progress : callable (done, total), optional

    Returns
    -------
    int
        The slide's number of patches.

    Raises
    ------
    OutputError
        If the place is full or read-only, or another process is appending. All rows written before are kept.
    StoreMismatchError
        If the file is none of ours, of another version, or holds the slide registered with other settings.
    """
    path = Path(path)
    try:
        with _only_writer(path):
            planned = None if path.exists() else plan()  # a plan that fails leaves no empty file
            group = _open_or_create(path)
            state = read_attributes(path)
            if state["slides"] and state["rows"] < state["slides"][-1]["first"] + state["slides"][-1]["count"]:
                last = state["slides"][-1]
                if last["made"] != made:
                    raise StoreMismatchError(
                        f"{path.name} waits for the rest of {last['name']}, whose registration was interrupted.",
                        "Register that slide again with the same settings first, or choose another file.",
                    )
            entry = next((slide for slide in state["slides"] if slide["made"] == made), None)
            if entry is None:
                _refuse_twice(path, state["slides"], made)
                entry = _begin(group, state, name, made, split, simulated, planned or plan())
            _fill(path, group, state, entry, cut, progress)
            return int(entry["count"])
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise OutputError(
            f"{path} {'ran out of space' if full else f'cannot be written ({error.strerror or error})'}; the rows"
            " written so far are kept.",
            "Free some space and run the same command again: it goes on from there." if full else
            "Choose a place that can be written to.",
        ) from error  # fmt: skip


def _refuse_twice(path: Path, slides: list[dict[str, Any]], made: dict[str, Any]) -> None:
    for slide in slides:
        if slide["made"].get("fingerprints") == made.get("fingerprints"):
            raise StoreMismatchError(
                f"{path.name} holds {slide['name']} already, registered with other settings or another version.",
                "Choose another file, or the settings of before.",
            )


def _begin(
    group: zarr.Group, state: dict[str, Any], name: str, made: dict[str, Any], split: str, simulated: bool,
    planned: Planned,
) -> dict[str, Any]:  # fmt: skip
    """Write the slide's table, then say that it is there: until then a killed run has changed nothing."""
    first, count = state["rows"], len(planned.table)
    labels = [*state["labels"], *(new for new in dict.fromkeys(planned.labels.tolist()) if new not in state["labels"])]
    labels = [label for label in labels if label]
    columns = {field: planned.table[field] for field in PATCH_FIELDS.names or ()}
    columns["slide"] = np.full(count, len(state["slides"]))
    columns["label"] = np.array([labels.index(label) if label else -1 for label in planned.labels.tolist()], np.int32)
    for side in _SIDES:
        array = _array(group, side)
        array.resize((first + count, *array.shape[1:]))
    for field, values in columns.items():
        array = _array(group, f"table/{field}")
        array.resize((first + count,))
        array[first:] = values.astype(array.dtype)
    entry = {
        "name": name, "split": split, "simulated": simulated, "first": first, "count": count, "made": made,
        "found": planned.found,
    }  # fmt: skip
    state["slides"].append(entry)
    state["labels"] = labels
    group.attrs.put(state)
    return entry


def _fill(
    path: Path, group: zarr.Group, state: dict[str, Any], entry: dict[str, Any], cut: Callable[[Table], Triplet],
    progress: Callable[[float, float], None] | None,
) -> None:  # fmt: skip
    """Write the patches that are missing, a file's worth at a time; after each the file says it has more rows."""
    arrays = [_array(group, side) for side in _SIDES]
    end = entry["first"] + entry["count"]
    while state["rows"] < end:
        first = state["rows"]
        last = min(end, (first // SHARD_ROWS + 1) * SHARD_ROWS)
        table = np.empty(last - first, PATCH_FIELDS)
        for field in PATCH_FIELDS.names or ():
            table[field] = _read_column(path, field, first, last)
        triplets = [cut(table[row]) for row in range(len(table))]
        for array, pixels in zip(arrays, zip(*triplets, strict=True), strict=True):
            array[first:last] = np.stack(pixels)
        state["rows"] = last
        group.attrs.put(state)
        if progress:
            progress(last - entry["first"], entry["count"])


def _open_group(path: Path, mode: Any) -> zarr.Group:
    try:
        return zarr.open_group(path, mode=mode, zarr_format=3)
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise StoreMismatchError(
            f"{path.name} is no pairs file.", "Give a file that pathsrgan register has written."
        ) from error


def _array(group: zarr.Group, name: str) -> Any:
    return group[name]  # zarr's own type allows for every kind of index and value


def _read_column(path: Path, name: str, first: int, last: int) -> npt.NDArray[Any]:
    column = open_column(path, name, _OWN_COLUMNS.get(name) or PATCH_FIELDS[name])
    try:
        values = np.asarray(column[first:last])
    except (OSError, ValueError) as error:
        raise damaged(path) from error
    if len(values) != last - first:
        raise damaged(path)
    return values


def _open_or_create(path: Path) -> zarr.Group:
    if path.exists() and (path.is_file() or any(path.iterdir())):
        if path.is_dir() and _unfinished(path):
            return _create(path)
        return _open_group(path, "r+") if path.is_dir() else _open_group(path, "r")
    return _create(path)


def _unfinished(path: Path) -> bool:
    """Whether a run was killed while it made the empty file: no attributes yet, and no rows either."""
    return (path / "hr").is_dir() and not (path / "hr" / "c").exists() and not dict(_open_group(path, "r").attrs)


def _create(path: Path) -> zarr.Group:
    path.parent.mkdir(parents=True, exist_ok=True)
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for name, side in _SIDES.items():
        group.create_array(
            name, shape=(0, side, side, 3), dtype="uint8", chunks=(1, side, side, 3),
            shards=(SHARD_ROWS, side, side, 3), compressors=ZstdCodec(level=1),
        )  # fmt: skip
    types = {name: PATCH_FIELDS[name].str[1:] for name in PATCH_FIELDS.names or ()} | _OWN_COLUMNS
    for name, kind in types.items():
        group.create_array(f"table/{name}", shape=(0,), dtype=kind, chunks=(TABLE_CHUNK,))
    # Last of all: with its attributes the file is one.
    group.attrs.put({"format": FORMAT, "version": VERSION, "rows": 0, "labels": [], "slides": []})
    return group


@contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Keep a second process from appending at the same time; a killed one leaves no barrier."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    me = psutil.Process()
    for _ in range(2):
        try:
            with lock.open("x", encoding="utf-8") as file:
                file.write(f"{me.pid} {me.create_time()}")
            break
        except FileExistsError:
            pid, _, began = lock.read_text(encoding="utf-8").partition(" ")
            if pid and psutil.pid_exists(int(pid)) and abs(psutil.Process(int(pid)).create_time() - float(began)) < 1:
                raise OutputError(
                    f"Another process (number {pid}) is appending to {path.name}.", "Wait for it, or stop it first."
                ) from None
            lock.unlink(missing_ok=True)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
