"""Chunks of a Zarr array from a stranger: only regular files inside of the store are read, and decoded to a known size.

The codecs of zarr and numcodecs allocate what a chunk's own header asks for. Those here are given the room that the
array's metadata states, and fail if a chunk wants another.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from zarr.abc.codec import BytesBytesCodec
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.storage import LocalStore

from napari_pathsrgan.bounded_json import open_regular_file

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, BufferPrototype

Bytes = npt.NDArray[np.uint8]

DECODERS: dict[str, Callable[..., Any]] = {
    "blosc": imagecodecs.blosc_decode,
    "bz2": imagecodecs.bz2_decode,
    "gzip": imagecodecs.gzip_decode,
    "lz4": lambda content, out: imagecodecs.lz4_decode(content, header=True, out=out),
    "zlib": imagecodecs.zlib_decode,
    "zstd": imagecodecs.zstd_decode,
}
"""Compressors that are read, by the names of Zarr; given bytes and an array to fill, they return what they filled."""


@dataclass(frozen=True)
class BoundedDecompression(BytesBytesCodec):
    """Decompress a chunk to the size that the array's metadata states; it does not compress.

    Parameters
    ----------
    name : str
        One of `DECODERS`.
    """

    is_fixed_size = False
    name: str

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        size = math.prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
        decoded = await asyncio.to_thread(decompress, self.name, chunk_bytes.to_bytes(), size)
        return chunk_spec.prototype.buffer.from_array_like(decoded)

    def compute_encoded_size(self, _input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        """Sizes are not known before a chunk is compressed."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as it is written in metadata."""
        return {"name": self.name}


def decompress(name: str, content: bytes, size: int) -> Bytes:
    """Decompress bytes that must become `size` bytes: (size,) uint8.

    Raises
    ------
    OSError
        If they are damaged or become more or fewer.
    """
    room = np.empty(size + 1, np.uint8)  # one more, as some decoders stop without an error where the room ends
    try:
        decoded = DECODERS[name](content, out=room)
    except Exception as error:  # each codec has an exception of its own
        raise OSError(f"A chunk cannot be decompressed: {error}") from error
    if len(decoded) != size:
        raise OSError(f"A chunk holds {len(decoded)} bytes instead of {size}.")
    return room[:size]


class ChunkStore(LocalStore):
    """A folder whose regular files are read, up to a size, unless a link leads out of it.

    Parameters
    ----------
    root : Path
    most_bytes : int
        No more is read at once.
    """

    def __init__(self, root: Path, most_bytes: int) -> None:
        super().__init__(root.resolve(), read_only=True)
        self._most_bytes = most_bytes

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a file, or a part of it; None where there is none."""
        assert prototype is not None
        try:
            content = await asyncio.to_thread(self._read, key, byte_range)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        return prototype.buffer.from_bytes(content)

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes:
        path = self.root / key
        if not Path(os.path.realpath(path)).is_relative_to(self.root):
            raise OSError(f"{key} leads out of the store.")
        with open_regular_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            start, end = _span(byte_range, size)
            if end - start > self._most_bytes:
                raise OSError(f"{key} is larger than what its array can hold.")
            file.seek(start)
            return file.read(end - start)


def _span(byte_range: ByteRequest | None, size: int) -> tuple[int, int]:
    """Return where a part of a file of so many bytes starts and ends."""
    match byte_range:
        case None:
            return 0, size
        case RangeByteRequest():
            return min(byte_range.start, size), min(max(byte_range.start, byte_range.end), size)
        case OffsetByteRequest():
            return min(byte_range.offset, size), size
        case SuffixByteRequest():
            return max(0, size - byte_range.suffix), size
