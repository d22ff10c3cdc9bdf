"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_pathsrgan.errors import OutputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a place to write to; what is there when the block is left gets the name asked for.

    Parameters
    ----------
    path : Path
        A file or a folder; nothing may be there.

    Yields
    ------
    Path
        Beside it, free; make a file or a folder there. Nothing of it stays if the block fails.

    Raises
    ------
    OutputError
        If something is there already, or the place is read-only or full.
    """
    refuse_existing(path)
    growing = path.with_name(f".{path.name}.partial")
    try:
        _remove(growing)  # of a run that was killed
        yield growing
        growing.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        _remove(growing)


def refuse_existing(path: Path) -> None:
    """Raise OutputError if there is something at a place where something new is to go."""
    if path.exists():
        raise OutputError(f"{path} exists already.", "Choose another name, or remove what is there.")


def output_error(path: Path, error: OSError) -> OutputError:
    """Say in a sentence why something can't be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"There is no room left to write {path.name}.", "Free some space and start again.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return OutputError(f"{path.name} cannot be written: the place is read-only.", "Choose another output folder.")
    return OutputError(f"{path.name} cannot be written ({error.strerror or error}).", "Choose another output folder.")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)
