"""Pixels shared by the window's process and the inference process: a mapped file cut into slots.

A file rather than POSIX shared memory, since Python's resource tracker would unlink that when the inference process
ends, and a restarted one needs it. It lies in memory (``/dev/shm``) where there is such a place and it has room: a
container may have no more than 64 MB of it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

LARGEST_WINDOW_PX = 4 * 128 + 2 * 32
"""Side of the largest window, input pixels: 4 × 4 blocks and the widest halo."""
SLOTS = 3
"""One window in the network, one waiting, one being fetched."""

_SCALES = {"lr": 1, "mr": 2, "hr": 4}
_BYTES = {name: 3 * (scale * LARGEST_WINDOW_PX) ** 2 for name, scale in _SCALES.items()}
_OFFSETS = {"lr": 0, "mr": _BYTES["lr"], "hr": _BYTES["lr"] + _BYTES["mr"]}
_SLOT_BYTES = sum(_BYTES.values())


class WindowBuffer:
    """The mapped file.

    Parameters
    ----------
    path : Path
        Of a file made by `create_file`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r+", shape=(SLOTS * _SLOT_BYTES,))

    def view(self, slot: int, picture: Literal["lr", "mr", "hr"], height: int, width: int) -> Pixels:
        """Pixels of one picture of a slot, (height, width, 3) uint8, shared with the other process."""
        size = height * width * 3
        if size > _BYTES[picture]:
            raise ValueError(f"A {height}×{width} window does not fit into a slot.")
        start = slot * _SLOT_BYTES + _OFFSETS[picture]
        view: Pixels = np.asarray(self._bytes)[start : start + size].reshape(height, width, 3)
        return view


def create_file(memory: Path = Path("/dev/shm")) -> Path:
    """Make the file of a buffer; whoever made it removes it.

    Parameters
    ----------
    memory : Path
        Folder in memory, taken where it exists and has room; the folder for temporary files otherwise.

    Raises
    ------
    OSError
        If neither has room.
    """
    if memory.is_dir():
        try:
            return _reserved_file(memory)
        except OSError:  # full, or not ours to write to
            pass
    return _reserved_file(None)


def _reserved_file(folder: Path | None) -> Path:
    handle, name = tempfile.mkstemp(prefix="pathsrgan-", suffix=".windows", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            if hasattr(os, "posix_fallocate"):  # a sparse file that finds no room later ends the process by SIGBUS
                os.posix_fallocate(file.fileno(), 0, SLOTS * _SLOT_BYTES)
            else:
                file.truncate(SLOTS * _SLOT_BYTES)
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)
