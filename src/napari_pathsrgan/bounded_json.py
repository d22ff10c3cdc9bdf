"""JSON from strangers: read with a bound on its bytes, its values and its depth, and only from regular files."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """Read a whole file that is a regular one and not too large; a fifo or a device is never waited for.

    Raises
    ------
    ValueError
        If it is something else than a regular file, or larger.
    OSError
        If it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is no regular file")
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
