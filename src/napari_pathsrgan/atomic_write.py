"""Write files and folders so that each appears whole or not at all.

`atomic_write` makes a new output that one process writes at a time; `atomic_replace` puts a new file or folder in the
place of an older one.
"""

from __future__ import annotations

import errno
import glob
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from napari_pathsrgan.errors import OutputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
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
        If something is there already or being written, or the place is read-only or full.
    """
    with only_writer(path):
        refuse_existing(path)
        remove_partial(path)  # of a run that was killed
        growing = partial_name(path)
        try:
            yield growing
            growing.replace(path)
        except OSError as error:
            raise output_error(path, error) from error
        finally:
            _remove(growing)


@contextmanager
def atomic_replace(path: Path) -> Iterator[Path]:
    """Give a free place beside `path`; what is there when the block ends replaces `path`.

    Parameters
    ----------
    path : Path
        A file or a folder, there already or not; its parent must exist.

    Yields
    ------
    Path
        Write a file or a folder there. If the block fails, it is removed and `path` stays as it was.

    Raises
    ------
    OSError
        If the place is read-only or full: the caller knows which output that is.
    """
    partial = partial_name(path)
    try:
        yield partial
        if partial.is_dir() and path.exists():
            shutil.rmtree(path)
        partial.replace(path)
    except BaseException:
        _remove(partial)
        raise


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Keep every other process and thread from writing an output while the block runs; blocks may be nested.

    Parameters
    ----------
    path : Path
        The output; the folder that it goes to is made.

    Raises
    ------
    OutputError
        If somebody writes it at the moment, or the place is read-only or full.
    """
    place = path.parent.resolve() / f".{path.name}.lock"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place, is_singleton=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"{path} is being written by another process.", "Wait for it to end, or choose another name."
        ) from None
    except OSError as error:
        raise output_error(path, error) from error
    try:
        yield
    finally:
        if lock.lock_counter == 1:
            with suppress(
                OSError
            ):  # while it is held: whoever waits for this file sees that it is gone, and makes anew
                place.unlink()
        lock.release()


def partial_name(path: Path) -> Path:
    """Choose a name beside an output, of one's own, for what is not complete yet."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")


def remove_partial(path: Path) -> None:
    """Remove what killed runs left of an output; only for its one writer."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        _remove(left)


def refuse_existing(path: Path) -> None:
    """Raise OutputError if there is something at a place where something new is to go."""
    if path.exists():
        raise OutputError(f"{path} exists already.", "Choose another name, or remove what is there.")


def output_error(path: Path, error: OSError) -> OutputError:
    """Say in a sentence why something can't be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"There is no room left to write {path.name}.", "Free some space and start again.")
    if error.errno == errno.ENOENT:
        return gone_error(path)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return OutputError(f"{path.name} cannot be written: the place is read-only.", "Choose another output folder.")
    return OutputError(f"{path.name} cannot be written ({error.strerror or error}).", "Choose another output folder.")


def gone_error(path: Path) -> OutputError:
    """Say that an output is no longer where it was written to."""
    return OutputError(
        f"{path.name} was moved away, removed or replaced while it was written.",
        "Bring it back and run the same command again, or choose another output.",
    )


def _remove(path: Path) -> None:
    with suppress(OSError):  # a folder that can't be entered holds no partial file either
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
