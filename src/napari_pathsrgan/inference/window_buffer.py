"""Pixels shared by the window's process and the inference process: memory cut into slots.

The memory has no name in any folder: the kernel frees it when both processes have ended, however they end. POSIX shared
memory would not do: it has a name, and Python's resource tracker would free it when the inference process ends, which a
restarted one still needs.
"""

from __future__ import annotations

import mmap
import os
import secrets
import sys
import tempfile
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

LARGEST_WINDOW_PX = 4 * 128 + 2 * 32
"""Side of the largest window, input pixels: 4 × 4 blocks and the widest halo."""
SLOTS = 3
"""One window in the network, one waiting, one being fetched."""

_SCALES = {"lr": 1, "mr": 2, "hr": 4}
_BYTES = {name: 3 * (scale * LARGEST_WINDOW_PX) ** 2 for name, scale in _SCALES.items()}
_OFFSETS = {"lr": 0, "mr": _BYTES["lr"], "hr": _BYTES["lr"] + _BYTES["mr"]}
_SLOT_BYTES = sum(_BYTES.values())
_SIZE = SLOTS * _SLOT_BYTES


class WindowBuffer:
    """The memory, as one of the two processes sees it; made by `create` or `attach`.

    Attributes
    ----------
    reference : str
        What the other process gives to `attach`.
    descriptors : tuple of int
        Open files that the other process must inherit.
    """

    def __init__(self, memory: mmap.mmap, reference: str = "", descriptors: tuple[int, ...] = ()) -> None:
        self._bytes = np.frombuffer(memory, dtype=np.uint8)
        self.reference, self.descriptors = reference, descriptors

    @classmethod
    def create(cls) -> Self:
        """Reserve the memory.

        Raises
        ------
        OSError
            If there is no room.
        """
        if sys.platform == "win32":
            name = f"pathsrgan-{secrets.token_hex(16)}"  # of an object in memory, freed with its last handle
            return cls(mmap.mmap(-1, _SIZE, tagname=name), name)
        descriptor = _reserved_memory()
        return cls(mmap.mmap(descriptor, _SIZE), str(descriptor), (descriptor,))

    @classmethod
    def attach(cls, reference: str) -> Self:
        """Map what another process has created."""
        if sys.platform == "win32":
            return cls(mmap.mmap(-1, _SIZE, tagname=reference))
        memory = mmap.mmap(int(reference), _SIZE)
        os.close(int(reference))
        return cls(memory)

    def close(self) -> None:
        """Let no other process inherit it any more; its views stay valid."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()

    def view(self, slot: int, picture: Literal["lr", "mr", "hr"], height: int, width: int) -> Pixels:
        """Pixels of one picture of a slot, (height, width, 3) uint8, shared with the other process."""
        size = height * width * 3
        if size > _BYTES[picture]:
            raise ValueError(f"A {height}×{width} window does not fit into a slot.")
        start = slot * _SLOT_BYTES + _OFFSETS[picture]
        return self._bytes[start : start + size].reshape(height, width, 3)


def _reserved_memory() -> int:
    """Open a file without a name: in memory where there is room, otherwise in the folder for temporary files."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("pathsrgan-windows")
        try:
            _reserve(descriptor)
        except OSError:  # no room
            os.close(descriptor)
        else:
            return descriptor
    with tempfile.TemporaryFile() as file:
        _reserve(file.fileno())
        return os.dup(file.fileno())


def _reserve(descriptor: int) -> None:
    if hasattr(os, "posix_fallocate"):  # a sparse file that finds no room later ends the process by SIGBUS
        os.posix_fallocate(descriptor, 0, _SIZE)
    else:
        os.ftruncate(descriptor, _SIZE)
