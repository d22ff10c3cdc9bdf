"""JSON from strangers: read with a bound on its bytes, its values and its depth, and only from regular files."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO


def open_regular_file(path: Path) -> BinaryIO:
    """Open a file for reading if it is a regular one; a fifo or a device is never waited for.

    Raises
    ------
    OSError
        If it is something else, or cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """Read a whole file that is not too large; see `open_regular_file`.

    Raises
    ------
    ValueError
        If it is larger.
    OSError
        If it is no regular file, or cannot be read.
    """
    with open_regular_file(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes / 2**20:.0f} MiB")
    return content


def parse_json(content: bytes, most_values: int) -> Any:
    """Parse JSON in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Parameters
    ----------
    content : bytes
    most_values : int
        Brackets, braces and commas allowed, which bounds the memory that the values take (some 180 bytes each).

    Raises
    ------
    ValueError
        If it is no JSON, is nested too deeply or holds more values.
    """
    if sum(map(content.count, (b"[", b"{", b","))) > most_values:
        raise ValueError(f"it holds more than {most_values} values")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: Path, most_bytes: int, most_values: int) -> Any:
    """Read and parse a file; see `read_regular_file` and `parse_json`."""
    return parse_json(read_regular_file(path, most_bytes), most_values)
