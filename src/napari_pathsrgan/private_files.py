"""Files and folders that only their owner can read, whatever the umask.

Everything that the package keeps by itself (jobs, logs, models, runs of a training, keys of reviews, cached tiles)
tells something about patients. It goes into folders of mode 0700 and files of mode 0600. On Windows, the user's profile
has these rights already, and modes are left alone.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

from napari_pathsrgan.errors import OutputError

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_HAS_MODES = os.name == "posix"


def private_folder(path: Path) -> Path:
    """Make a folder that its owner alone can enter, or take these rights from others where it exists.

    Parameters
    ----------
    path : Path
        Missing parents are made with the same rights; parents that exist are left as they are.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        If the folder belongs to another user, or is one that others need: the home folder or one above it, or a folder
        for all users such as /tmp.
    OSError
        If it can't be made.
    """
    if not path.parent.exists():
        private_folder(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=_FOLDER_MODE)
    if _HAS_MODES:
        _take_rights_from_others(path)
    return path


@overload
def open_private(path: Path, mode: Literal["w", "a", "x"]) -> TextIO: ...
@overload
def open_private(path: Path, mode: Literal["wb", "ab", "xb"]) -> BinaryIO: ...
def open_private(path: Path, mode: str) -> IO[Any]:
    """Open a regular file for writing so that its owner alone can read it, also one that exists; text is UTF-8.

    Raises
    ------
    OSError
        If it can't be opened, or is no regular file but a link or a pipe.
    """
    return open(path, mode, encoding=None if "b" in mode else "utf-8", opener=_private_opener)


def copy_privately(source: Path, target: Path) -> None:
    """Copy a file's content into one that its owner alone can read.

    Raises
    ------
    OSError
        If either can't be opened, or there is no room.
    """
    with source.open("rb") as read, open_private(target, "wb") as written:
        shutil.copyfileobj(read, written)


def make_private(folder: Path) -> None:
    """Take the rights of others from a folder and all that is in it, where a library wrote that."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(_FOLDER_MODE if path.is_dir() else _FILE_MODE)


def _private_opener(path: str, flags: int) -> int:
    # Neither a link that leads elsewhere nor a pipe that has to be waited for: a stranger may have made the folder.
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), _FILE_MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    if _HAS_MODES and stat.S_IMODE(os.fstat(descriptor).st_mode) != _FILE_MODE:
        os.fchmod(descriptor, _FILE_MODE)
    return descriptor


def _take_rights_from_others(path: Path) -> None:
    about = path.stat()
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError(20, "it is not a folder", str(path))
    if about.st_uid != os.geteuid():
        raise OutputError(f"The folder {path} belongs to another user.", "Choose a folder of your own.")
    if stat.S_IMODE(about.st_mode) == _FOLDER_MODE:
        return
    if about.st_mode & stat.S_ISVTX or path.resolve() in (Path.home().resolve(), *Path.home().resolve().parents):
        raise OutputError(
            f"The folder {path} is also used by others, and what is kept there must be yours alone.",
            f"Choose a new folder inside it, such as {path / 'pathsrgan'}.",
        )
    path.chmod(_FOLDER_MODE)
