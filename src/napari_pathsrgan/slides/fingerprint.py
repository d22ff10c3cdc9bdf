"""What tells one slide from another, in milliseconds whatever a file's size.

A *fingerprint* follows from what is in the slide's files and stays when they are copied, moved or renamed. Files of a
few MiB are hashed whole. Of larger ones count the size, a TIFF's tables (all tags, with the byte counts of its tiles)
and blocks that are spread over the whole length. A *cache id* adds when each file was written and its inode: it changes
with every write, and costs a computation anew where a slide was only copied.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from napari_pathsrgan.slides.slide_files import OpenedFiles, file_state, files_of_slide, is_regular
from napari_pathsrgan.slides.tiff_tables import TiffTables, read_tables
from napari_pathsrgan.slides.zarr_array import open_pixels

if TYPE_CHECKING:
    from hashlib import blake2b

    import zarr

FINGERPRINT_VERSION = b"2"
#: Bytes that are hashed whole, of the smallest files first. Ours, measured: blake2b takes 1.3 ms per MiB.
WHOLE_BYTES = 16 << 20
#: Blocks taken of what is larger. Every part of a compressed file depends on what it shows, and a TIFF's tables are
#: hashed besides; stored plainly, a block sees its own place only.
BLOCK_BYTES, BLOCKS, BLOCKS_OF_COMPRESSED_TIFF = 4096, 1024, 128
#: Bytes at the head and tail of a sampled file, where formats keep what they say of themselves; less where there are
#: many files.
END_BYTES, ALL_ENDS_BYTES = 1 << 16, 4 << 20
#: Chunks of an OME-Zarr that are looked at, over all levels.
MOST_CHUNKS = 512
_METADATA_NAMES = (".zattrs", ".zgroup", ".zarray", "zarr.json")


@dataclass(frozen=True)
class SlideIdentity:
    """What tells a slide from every other.

    Attributes
    ----------
    fingerprint : str
        Of what is in its files; 32 hexadecimal digits.
    cache_id : str
        Of the fingerprint and the state of these very files.
    opened : OpenedFiles or None
        The files as they were; None where nothing is watched.
    """

    fingerprint: str
    cache_id: str
    opened: OpenedFiles | None = None


def file_identity(path: Path) -> SlideIdentity:
    """Identify a slide that is given by a file, with all other files that belong to it.

    Raises
    ------
    OSError
        If a file can't be read.
    """
    tables = _tables(path)
    files = files_of_slide(path, tables.descriptions)
    opened = OpenedFiles(files.values())
    return _identity(files, list(files.values()), opened, tables)


def zarr_identity(folder: Path, level_paths: list[str]) -> SlideIdentity:
    """Identify an OME-Zarr image by the metadata of all levels and a sample of their chunks, coarse levels first.

    Parameters
    ----------
    folder : Path
        Of the image group.
    level_paths : list of str
        Paths of the levels inside it, finest first.

    Raises
    ------
    OSError
        If a file can't be read.
    """
    places = ("", *level_paths)
    metadata = {f"{place}/{name}": folder / place / name for place in places for name in _METADATA_NAMES}
    opened = OpenedFiles(metadata.values())
    files = {**metadata, **dict(_sampled_chunks(folder, level_paths))}
    folders = {parent for file in files.values() for parent in file.parents if parent.is_relative_to(folder)}
    return _identity(files, [*files.values(), *sorted(folders)], opened, TiffTables())


def _identity(
    files: Mapping[str, Path], states: Iterable[Path], opened: OpenedFiles, tables: TiffTables
) -> SlideIdentity:
    fingerprint = _hash_files(files, tables)
    cache_id = hashlib.blake2b(repr([fingerprint, *map(file_state, states)]).encode(), digest_size=16)
    return SlideIdentity(fingerprint, cache_id.hexdigest(), opened)


def _tables(path: Path) -> TiffTables:
    with path.open("rb") as stream:
        return read_tables(stream)


def _hash_files(files: Mapping[str, Path], tables: TiffTables) -> str:
    digest = hashlib.blake2b(FINGERPRINT_VERSION, digest_size=16)
    sizes = {name: path.stat().st_size if is_regular(path) else None for name, path in files.items()}
    digest.update(repr(sizes).encode())
    for part in tables.parts:
        digest.update(part)
    whole = _hashed_whole(sizes)
    sampled = {name: size for name, size in sizes.items() if size and name not in whole}
    blocks = (BLOCKS_OF_COMPRESSED_TIFF if tables.compressed else BLOCKS) / max(sum(sampled.values()), 1)
    end_bytes = max(BLOCK_BYTES, min(END_BYTES, ALL_ENDS_BYTES // max(len(sampled), 1)))
    for name in whole:
        digest.update(files[name].read_bytes())
    for name, size in sampled.items():
        _add_sample(digest, files[name], size, max(1, round(blocks * size)), end_bytes)
    return digest.hexdigest()


def _hashed_whole(sizes: Mapping[str, int | None]) -> list[str]:
    """Choose the files that are hashed whole: the smallest, as many as the bound allows."""
    left, chosen = WHOLE_BYTES, []
    for name, size in sorted(((name, size) for name, size in sizes.items() if size), key=lambda item: item[1]):
        left -= size
        if left < 0:
            break
        chosen.append(name)
    return chosen


def _add_sample(digest: blake2b, path: Path, size: int, blocks: int, end_bytes: int) -> None:
    with path.open("rb", buffering=0) as stream:
        digest.update(stream.read(end_bytes))
        places = list(_spread(size - BLOCK_BYTES, blocks))
        _read_ahead(stream, places)
        for place in places:
            stream.seek(place)
            digest.update(stream.read(BLOCK_BYTES))
        stream.seek(max(size - end_bytes, 0))
        digest.update(stream.read(end_bytes))


def _spread(length: int, count: int) -> Iterator[int]:
    """Choose a place at random in each of `count` equal parts of a length, always the same ones.

    At equal steps they might all fall on one column of an uncompressed image, such as its white margin.
    """
    chance = random.Random(length)
    for part in range(count):
        yield int((part + chance.random()) * max(length, 0) / count)


def _read_ahead(stream: BinaryIO, places: Iterable[int]) -> None:
    """Have the system fetch all blocks at once, where it can be asked to: a disk or server is slow one by one."""
    if hasattr(os, "posix_fadvise"):
        for place in places:
            os.posix_fadvise(stream.fileno(), place, BLOCK_BYTES, os.POSIX_FADV_WILLNEED)


def _sampled_chunks(folder: Path, level_paths: list[str]) -> Iterator[tuple[str, Path]]:
    """Choose chunk files over all levels: all of the coarse ones, and of fine ones some from everywhere."""
    left = MOST_CHUNKS
    for to_come, level_path in reversed(list(enumerate(level_paths, start=1))):
        array = open_pixels(folder, level_path)
        grid = _chunk_grid(array)
        total = math.prod(grid)
        taken = min(total, left // to_come)
        left -= taken
        for number in range(total) if taken == total else _spread(total, taken):
            key = f"{level_path}/{array.metadata.encode_chunk_key(_place_in_grid(number, grid))}"
            yield key, folder / key


def _place_in_grid(number: int, grid: tuple[int, ...]) -> tuple[int, ...]:
    """Turn a number in reading order into a place: as numpy.unravel_index, for grids of any claimed size."""
    place: list[int] = []
    for count in reversed(grid):
        number, at = divmod(number, count)
        place.insert(0, at)
    return tuple(place)


def _chunk_grid(array: zarr.Array[Any]) -> tuple[int, ...]:
    sides = array.shards or array.chunks
    return tuple(-(-size // side) for size, side in zip(array.shape, sides, strict=True))
