"""A tile as a file: a Zarr chunk that any reader of Zstandard decodes, and a seal that says which tile of whose it is.

The seal is a skippable frame of Zstandard behind the pixels: decoders pass over it. It holds a hash of the bytes before
it and of the tile's address, so that a damaged tile is told, and so is a sound one in another's place.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numcodecs import Zstd

from napari_pathsrgan.atomic_write import atomic_replace
from napari_pathsrgan.private_files import open_private, private_folder
from napari_pathsrgan.slides.store_layout import FILL_VALUE, ZSTD_LEVEL

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

_SEAL_BYTES = 16
_FRAME_HEAD = struct.pack("<II", 0x184D2A5E, _SEAL_BYTES)
"""One of the sixteen magic numbers of skippable frames, and the length of what follows (RFC 8878)."""
_CODEC = Zstd(level=ZSTD_LEVEL, checksum=True)


def encode_tile(pixels: Pixels, side: int, address: str) -> bytes:
    """Compress a tile and seal it.

    Parameters
    ----------
    pixels : (height, width, 3) uint8
        At most `side` high and wide; filled up with white to a whole chunk.
    side : int
        Of a chunk, px.
    address : str
        Slide, model, level, row and column.

    Returns
    -------
    bytes
    """
    height, width, _ = pixels.shape
    chunk = np.full((3, side, side), FILL_VALUE, np.uint8)
    chunk[:, :height, :width] = pixels.transpose(2, 0, 1)
    content = bytes(_CODEC.encode(chunk))
    return content + _FRAME_HEAD + _seal(content, address)


def decode_tile(content: bytes, shape: tuple[int, int], side: int, address: str) -> Pixels:
    """Return the pixels of a tile whose seal is unbroken.

    Parameters
    ----------
    content : bytes
        Of the file.
    shape : (height, width)
        Of the tile, px.
    side : int
        Of a chunk, px.
    address : str
        As it was encoded with.

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    ValueError
        If the tile is damaged, or another's.
    """
    pixels, frame = content[: -len(_FRAME_HEAD) - _SEAL_BYTES], content[-len(_FRAME_HEAD) - _SEAL_BYTES :]
    if frame != _FRAME_HEAD + _seal(pixels, address):
        raise ValueError(f"This is not tile {address}, or it is damaged.")
    chunk = np.frombuffer(_CODEC.decode(pixels), np.uint8).reshape(3, side, side)
    return np.ascontiguousarray(chunk[:, : shape[0], : shape[1]].transpose(1, 2, 0))


def write_tile_file(file: Path, content: bytes, private: bool = False) -> None:
    """Write a tile's file under a name of its own and rename it; of folders, those inside the level's are made.

    Parameters
    ----------
    file : Path
        LEVEL/c/0/ROW/COL.
    content : bytes
    private : bool
        Whether its owner alone can read it.

    Raises
    ------
    OSError
        If it can't be written; nothing stays then.
    """
    for folder in reversed(file.parents[:3]) if not file.parent.is_dir() else ():
        private_folder(folder) if private else folder.mkdir(exist_ok=True)
    with atomic_replace(file) as partial, open_private(partial, "xb") if private else partial.open("xb") as stream:
        stream.write(content)


def _seal(content: bytes, address: str) -> bytes:
    digest = hashlib.blake2b(address.encode(), digest_size=_SEAL_BYTES)
    digest.update(content)
    return digest.digest()
