"""Which files a slide consists of, and whether they are still those that were opened."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from napari_pathsrgan.slides.dicom_folder import is_dicom, series_of_slide
from napari_pathsrgan.slides.slide_kind import head_bytes

NamedFiles = dict[str, Path]
"""Files by a name that stays when the slide is moved or renamed; the slide's own file is ``""``."""

_OME_FILE_NAME = re.compile(rb'(?:FileName|MetadataFile)\s*=\s*"([^"/\\]+)"')
_INDEX_BYTES = 1 << 20


class FileState(NamedTuple):
    """What tells that a file was written to or replaced; all 0 where there is no file."""

    size: int = 0
    modified_ns: int = 0
    changed_ns: int = 0
    inode: int = 0


def file_state(path: Path) -> FileState:
    """Ask the file system for a file's state, in microseconds."""
    try:
        found = path.stat()
    except OSError:
        return FileState()
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def is_regular(path: Path) -> bool:
    """Whether there is an ordinary file: to read a pipe or a device may never end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def files_of_slide(path: Path, description: bytes = b"") -> NamedFiles:
    """List the files that hold the pixels of a slide given by one of them; the same whichever of DICOM's that is.

    Parameters
    ----------
    path : Path
        The file that is opened.
    description : bytes
        ImageDescription of a TIFF's pages: an OME-TIFF names its other files there.

    Returns
    -------
    dict of str to Path
        For MIRAX with its data folder, for DICOM with the files of its series, for VMS, VMU and OME-TIFF with the files
        that they name.
    """
    suffix = path.suffix.lower()
    if head_bytes(path)[128:132] == b"DICM":
        series = dict(sorted(_dicom_series(path)))
        return series if len(series) > 1 else {"": path}
    if suffix == ".mrxs":
        others = _below(path.with_suffix(""))
    elif suffix in (".vms", ".vmu"):
        others = _named_in_index(path)
    else:
        names = {name.decode("utf-8", "replace") for name in _OME_FILE_NAME.findall(description)}
        others = _beside(path, names)
    return {"": path, **dict(sorted(others))}


def pipe_beside(path: Path) -> Path | None:
    """Find a pipe, device or socket where OpenSlide looks for a slide's other files, and would wait for ever."""
    suffix = path.suffix.lower()
    folders = [path.with_suffix("")] if suffix == ".mrxs" else []
    if suffix in (".vms", ".vmu") or is_dicom(path):
        folders.append(path.parent)
    entries = (entry for folder in folders if folder.is_dir() for entry in folder.iterdir())
    return next((entry for entry in entries if entry.exists() and not (is_regular(entry) or entry.is_dir())), None)


class OpenedFiles:
    """The files of a slide as they were when it was opened.

    Parameters
    ----------
    watched : iterable of Path
        A change of one of them means that the slide is another.
    """

    def __init__(self, watched: Iterable[Path]) -> None:
        self._states: Mapping[Path, FileState] = {path: file_state(path) for path in watched}

    def changed(self) -> bool:
        """Whether a file was replaced or written to since; one that went away is not told here."""
        for path, before in self._states.items():
            now = file_state(path)
            if now != FileState() and _content(now) != _content(before):
                return True
        return False


def _content(state: FileState) -> FileState:
    """Leave out what a change of a file's rights or name alters as well."""
    return state._replace(changed_ns=0)


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in folder.rglob("*"):
        if is_regular(file):
            yield file.relative_to(folder).as_posix(), file


def _beside(path: Path, names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    for name in names:
        file = path.with_name(name)
        if name != path.name and is_regular(file):
            yield name, file


def _named_in_index(path: Path) -> Iterator[tuple[str, Path]]:
    """List what a Hamamatsu index, lines of KEY=VALUE, names of the files beside it."""
    with path.open("rb") as stream:
        text = stream.read(_INDEX_BYTES).decode("latin-1")
    values = {line.partition("=")[2].strip() for line in text.splitlines()}
    return _beside(path, {value for value in values if value and "/" not in value and "\\" not in value})


def _dicom_series(path: Path) -> Iterator[tuple[str, Path]]:
    series = series_of_slide(path)
    for file in path.parent.iterdir():
        if file == path or (series is not None and series_of_slide(file) == series):
            yield file.name, file
