"""How a pairs file lies on disk, checked on reading: it may come from a stranger.

What an array's own metadata says of types and codecs is not followed: a pairs file has one form, and arrays are opened
as this form has them. Content of another form fails to be read, and takes no more memory than ours does.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec
from zarr.core.array import AsyncArray
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import StorePath

from napari_pathsrgan.bounded_json import read_json
from napari_pathsrgan.errors import StoreMismatchError
from napari_pathsrgan.slides.chunk_store import BoundedDecompression, ChunkStore
from napari_pathsrgan.text import printable

FORMAT, VERSION = "napari-pathsrgan pairs", 2
SHARD_ROWS = 32
"""Patches in one file of the store; about 20 MB at 20×, which is also what a writer holds in memory."""
TABLE_CHUNK = 4096
"""Rows of a column in one file of the store."""

_MOST_ROWS, _MOST_JSON_BYTES, _MOST_JSON_VALUES = 10**7, 64 * 2**20, 2_000_000

_Name = Annotated[str, Field(max_length=300), AfterValidator(printable)]
_Count = Annotated[int, Field(ge=0, le=_MOST_ROWS)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True)


class _Turn(_Checked):
    """How a scan was turned: what `turned.Similarity.record` gives."""

    angle_deg: Annotated[float, Field(ge=-180, le=180)]
    scale: Annotated[float, Field(gt=0.5, lt=2)]
    mirrored: bool
    shift_um: Annotated[list[Annotated[float, Field(ge=-1e7, le=1e7)]], Field(min_length=2, max_length=2)]


class _Turned(_Checked):
    low: _Turn | None = Field(alias="4x")
    mid: _Turn | None = Field(alias="10x")


class _Slide(_Checked):
    name: _Name
    split: Literal["train", "test", "place"]
    simulated: bool
    first: _Count
    count: _Count
    made: dict[str, Any]
    found: dict[str, Any]

    @field_validator("found")
    @classmethod
    def _check_turned(cls, found: dict[str, Any]) -> dict[str, Any]:
        if "turned" in found:
            _Turned.model_validate(found["turned"])
        return found


class _Attributes(_Checked):
    format: str
    version: int
    rows: _Count
    labels: Annotated[list[_Name], Field(max_length=10_000)]
    slides: Annotated[list[_Slide], Field(max_length=100_000)]


def read_attributes(path: Path) -> dict[str, Any]:
    """Read what a pairs file says of itself: ``rows``, ``labels`` and ``slides``.

    Raises
    ------
    StoreMismatchError
        If it is none, is damaged or of another version.
    """
    try:
        read = read_json(path / "zarr.json", _MOST_JSON_BYTES, _MOST_JSON_VALUES)["attributes"]
        if read["format"] != FORMAT:
            raise ValueError(read["format"])
        version = read.get("version")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreMismatchError(
            f"{path.name} is no pairs file.", "Give a file that pathsrgan register has written."
        ) from error
    if version != VERSION:
        raise StoreMismatchError(
            f"{path.name} is a pairs file of version {printable(str(version), 40)}, but this program knows {VERSION}.",
            "Register the slides again, or use the program's version that wrote it.",
        )
    try:
        attributes = _Attributes.model_validate(read)
        _check_rows(path, attributes)
    except (OSError, ValidationError, ValueError) as error:
        raise damaged(path) from error
    return attributes.model_dump()


def damaged(path: Path) -> StoreMismatchError:
    """Make the error for a pairs file that cannot be used."""
    return StoreMismatchError(f"{path.name} is a damaged pairs file.", "Register the slides again.")


def _check_rows(path: Path, attributes: _Attributes) -> None:
    """Refuse slides that overlap, and more rows than there are files for."""
    ends = itertools.accumulate((slide.count for slide in attributes.slides), initial=0)
    if any(slide.first != end for slide, end in zip(attributes.slides, ends, strict=False)):
        raise ValueError("its slides overlap")
    files = sum(1 for _ in (path / "hr" / "c").iterdir()) if attributes.rows else 0
    if attributes.rows > min(files * SHARD_ROWS, sum(slide.count for slide in attributes.slides)):
        raise ValueError("rows are missing")


def open_images(path: Path, name: str, side: int) -> zarr.Array[Any]:
    """Open the images of one magnification for reading: (N, side, side, 3) uint8.

    Raises
    ------
    StoreMismatchError
        If they are not there.
    """
    inner = (1, side, side, 3)
    codec = ShardingCodec(
        chunk_shape=inner,
        codecs=[BytesCodec(), BoundedDecompression("zstd")],
        index_codecs=[BytesCodec(), Crc32cCodec()],
    )
    return _open(path, name, "uint8", inner[1:], (SHARD_ROWS, *inner[1:]), [codec])


def open_column(path: Path, name: str, dtype: npt.DTypeLike) -> zarr.Array[Any]:
    """Open a column of the table for reading: (N,).

    Raises
    ------
    StoreMismatchError
        If it is not there.
    """
    codecs = [BytesCodec(), BoundedDecompression("zstd")]
    return _open(path, f"table/{name}", np.dtype(dtype).name, (), (TABLE_CHUNK,), codecs)


def _open(
    path: Path, name: str, dtype: str, row_shape: tuple[int, ...], files: tuple[int, ...], codecs: list[Any]
) -> zarr.Array[Any]:
    metadata = ArrayV3Metadata.from_dict(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": (_length(path, name, row_shape), *row_shape),
            "data_type": dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": files}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0,
            "codecs": codecs,
            "attributes": {},
            "dimension_names": None,
        }
    )
    raw = int(np.prod(files)) * np.dtype(dtype).itemsize
    return zarr.Array(AsyncArray(metadata, StorePath(ChunkStore(path, raw + raw // 8 + 2**16), name)))


def _length(path: Path, name: str, row_shape: tuple[int, ...]) -> int:
    try:
        length, *others = read_json(path / name / "zarr.json", 2**20, 10_000)["shape"]
        if tuple(others) != row_shape or type(length) is not int or not 0 <= length <= _MOST_ROWS:
            raise ValueError("another shape")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error
    return length
