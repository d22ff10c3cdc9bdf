"""Zarr arrays of 8-bit pixels, formats 2 and 3, whose metadata is checked before zarr is asked to decode anything.

What is not on the lists here is refused: other types than uint8, other codecs (some can run code), filters, and chunks
too large for memory. Format 2 is described to zarr as format 3, so that one way of decoding serves both.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import zarr
from pydantic import BaseModel, Field, ValidationError
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, TransposeCodec
from zarr.core.array import AsyncArray
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import StorePath

from napari_pathsrgan.slides.chunk_store import DECODERS, BoundedDecompression, ChunkStore
from napari_pathsrgan.slides.slide_kind import read_zarr_json

if TYPE_CHECKING:
    from zarr.abc.codec import Codec

MOST_CHUNK_BYTES = 128 << 20
"""Decoded; a window of a slide needs some twelve chunks at once."""
_WINDOW_PX, _MOST_CHUNKS = 512, 20_000
"""Side of a window, and chunks in it: tiny ones would take minutes."""
_MOST_CHUNKS_PER_SHARD = 1 << 20
_MOST_SHARD_BYTES = 1 << 30
_NOT_COMPRESSIBLE = 1 << 16
"""Bytes by which a compressed chunk may be larger than its pixels, beyond an eighth."""

Size = Annotated[int, Field(strict=True, gt=0, lt=2**31)]
Sizes = Annotated[list[Size], Field(min_length=2, max_length=8)]


class UnsupportedArrayError(Exception):
    """An array is well-formed and not read here; says what is in the way, to follow “it has”."""


class _Named(BaseModel):
    name: str
    configuration: dict[str, Any] = {}


class _ChunkGrid(BaseModel):
    class Configuration(BaseModel):
        chunk_shape: Sizes

    name: Literal["regular"]
    configuration: Configuration


class _Format2(BaseModel):
    zarr_format: Literal[2]
    shape: Sizes
    chunks: Sizes
    dtype: Any
    compressor: dict[str, Any] | None = None
    filters: list[Any] | None = None
    fill_value: Any = None
    order: Literal["C", "F"] = "C"
    dimension_separator: Literal[".", "/"] = "."


class _Format3(BaseModel):
    zarr_format: Literal[3]
    node_type: Literal["array"]
    shape: Sizes
    data_type: Any
    chunk_grid: _ChunkGrid
    chunk_key_encoding: _Named
    fill_value: Any
    codecs: Annotated[list[str | _Named], Field(min_length=1, max_length=8)]
    storage_transformers: Annotated[list[Any], Field(max_length=0)] = []


def open_pixels(root: Path, path: str) -> zarr.Array[Any]:
    """Open an array of 8-bit pixels for reading.

    Parameters
    ----------
    root : Path
        Folder that nothing may lead out of.
    path : str
        Of the array's own folder in it.

    Returns
    -------
    zarr.Array of uint8

    Raises
    ------
    UnsupportedArrayError
        If it has another type, a codec that is not read here, or chunks that are too large.
    ValueError
        If its metadata is damaged.
    OSError
        If its metadata cannot be read or lies outside of `root`.
    """
    folder = checked_folder(root, path)
    try:
        metadata = _read_metadata(folder)
    except ValidationError as error:
        raise ValueError(f"{path}: {error.error_count()} fields of its metadata are wrong") from error
    store = ChunkStore(root, _most_bytes_at_once(metadata))
    inside = folder.relative_to(store.root).as_posix()
    return zarr.Array(AsyncArray(metadata, StorePath(store, "" if inside == "." else inside)))


def checked_folder(root: Path, path: str) -> Path:
    """Resolve a path in a folder; OSError where it leads out of it."""
    folder = Path(os.path.realpath(root / path))
    if not folder.is_relative_to(root.resolve()):
        raise OSError(f"{path} leads out of {root.name}")
    return folder


def _read_metadata(folder: Path) -> ArrayV3Metadata:
    if os.path.lexists(folder / "zarr.json"):
        return _describe_3(_Format3.model_validate(read_zarr_json(folder, "zarr.json")))
    return _describe_2(_Format2.model_validate(read_zarr_json(folder, ".zarray")))


def _describe_2(given: _Format2) -> ArrayV3Metadata:
    _refuse_other_types(given.dtype, ("|u1", "<u1", ">u1"))
    if given.filters:
        raise UnsupportedArrayError(f"a filter {_quoted(given.filters[0], 'id')} that is not read here")
    codecs: list[Codec] = [BytesCodec()]
    if given.order == "F":
        codecs.insert(0, TransposeCodec(order=tuple(reversed(range(len(given.shape))))))
    if given.compressor is not None:
        codecs.append(_decompression(given.compressor.get("id")))
    _refuse_odd_chunks(given.shape, given.chunks)
    keys = {"name": "v2", "configuration": {"separator": given.dimension_separator}}
    return _describe(given.shape, given.chunks, keys, given.fill_value or 0, codecs)


def _describe_3(given: _Format3) -> ArrayV3Metadata:
    _refuse_other_types(given.data_type, ("uint8",))
    chunks = given.chunk_grid.configuration.chunk_shape
    named = [_Named(name=one) if isinstance(one, str) else one for one in given.codecs]
    if [one.name for one in named] == ["sharding_indexed"]:
        codecs: list[Codec] = [_sharding(named[0].configuration, given.shape, chunks)]
    else:
        _refuse_odd_chunks(given.shape, chunks)
        codecs = _codecs(named)
    return _describe(given.shape, chunks, given.chunk_key_encoding.model_dump(), given.fill_value, codecs)


def _describe(
    shape: Sequence[int], chunks: Sequence[int], keys: Any, fill_value: Any, codecs: Sequence[Codec]
) -> ArrayV3Metadata:
    if keys["name"] not in ("default", "v2") or isinstance(fill_value, bool) or fill_value not in range(256):
        raise ValueError("its fill value or the names of its chunks are wrong")
    return ArrayV3Metadata.from_dict(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": tuple(shape),
            "data_type": "uint8",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": tuple(chunks)}},
            "chunk_key_encoding": keys,
            "fill_value": int(fill_value),
            "codecs": codecs,  # type: ignore[dict-item] # as objects, which zarr takes as well
            "attributes": {},
            "dimension_names": None,
        }
    )


def _sharding(configuration: dict[str, Any], shape: Sequence[int], shard: Sequence[int]) -> ShardingCodec:
    class Configuration(BaseModel):
        chunk_shape: Sizes
        codecs: Annotated[list[str | _Named], Field(min_length=1, max_length=8)]
        index_codecs: Annotated[list[str | _Named], Field(min_length=1, max_length=2)]
        index_location: Literal["start", "end"] = "end"

    given = Configuration.model_validate(configuration)
    inner, index = (
        _codecs([_Named(name=one) if isinstance(one, str) else one for one in codecs])
        for codecs in (given.codecs, given.index_codecs)
    )
    _refuse_odd_chunks(shape, given.chunk_shape)
    if math.prod(shard) // math.prod(given.chunk_shape) > _MOST_CHUNKS_PER_SHARD:
        raise UnsupportedArrayError(f"shards of more than {_MOST_CHUNKS_PER_SHARD} chunks")
    if any(isinstance(codec, BoundedDecompression) for codec in index):
        raise UnsupportedArrayError("shards whose index is compressed")
    return ShardingCodec(
        chunk_shape=tuple(given.chunk_shape), codecs=inner, index_codecs=index, index_location=given.index_location
    )


def _codecs(named: Sequence[_Named]) -> list[Codec]:
    codecs = [_codec(one) for one in named]
    if sum(isinstance(codec, BoundedDecompression) for codec in codecs) > 1:
        raise UnsupportedArrayError("chunks that are compressed twice")
    return codecs


def _codec(named: _Named) -> Codec:
    written: Any = {"name": named.name, "configuration": named.configuration}
    match named.name:
        case "bytes":
            return BytesCodec.from_dict(written)
        case "transpose":
            return TransposeCodec.from_dict(written)
        case "crc32c":
            return Crc32cCodec()
    return _decompression(named.name.removeprefix("numcodecs."))


def _decompression(name: Any) -> BoundedDecompression:
    if not isinstance(name, str) or name not in DECODERS:
        raise UnsupportedArrayError(f"a codec {_quoted(name)} that is not read here")
    return BoundedDecompression(name)


def _quoted(value: Any, key: str = "") -> str:
    text = str(value.get(key) if key and isinstance(value, dict) else value)
    return f"“{text[:40]}”"


def _refuse_other_types(given: Any, pixels: Sequence[str]) -> None:
    if not isinstance(given, str) or given not in pixels:
        raise UnsupportedArrayError(f"pixels of type {_quoted(given)}, not 8-bit ones")


def _refuse_odd_chunks(shape: Sequence[int], chunks: Sequence[int]) -> None:
    if math.prod(chunks) > MOST_CHUNK_BYTES:
        raise UnsupportedArrayError(f"chunks of {math.prod(chunks) >> 20} MiB, more than {MOST_CHUNK_BYTES >> 20}")
    if math.prod(-(-min(size, _WINDOW_PX) // chunk) for size, chunk in zip(shape, chunks, strict=True)) > _MOST_CHUNKS:
        raise UnsupportedArrayError(
            f"chunks that are too small: {_MOST_CHUNKS} do not cover {_WINDOW_PX} pixels a side"
        )


def _most_bytes_at_once(metadata: ArrayV3Metadata) -> int:
    """Bytes that a chunk, or a shard that is read whole, can take in a file."""
    pixels = math.prod(metadata.shards or metadata.chunks)
    index = 16 * (pixels // math.prod(metadata.chunks))
    return min(pixels + pixels // 8 + index + _NOT_COMPRESSIBLE, _MOST_SHARD_BYTES)
