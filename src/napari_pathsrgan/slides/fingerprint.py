"""What tells one slide from another: a hash that's quick on a file of any size and doesn't change when it's copied."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: Bytes hashed at the head and at the tail of a file.
SAMPLE_BYTES = 1 << 20
_ZARR_METADATA = (".zattrs", ".zgroup", "zarr.json")


def file_fingerprint(path: Path) -> str:
    """Hash a file's size, its first and its last MiB (blake2b, 128 bits, as 32 hexadecimal digits).

    For a MIRAX slide, whose .mrxs file is only a preview, the index of its data folder counts too.
    """
    digest = hashlib.blake2b(digest_size=16)
    _add_file(digest, path)
    index = path.with_suffix("") / "Slidedat.ini"
    if path.suffix.lower() == ".mrxs" and index.is_file():
        _add_file(digest, index)
    return digest.hexdigest()


def zarr_fingerprint(path: Path, level_paths: list[str]) -> str:
    """Hash an OME-Zarr's metadata and its coarsest level.

    Metadata alone may be the same for two slides of one scanner, and then each would be shown the other's tiles; so the
    sizes of the coarsest level's chunks count, and up to a MiB of what is in them.

    Parameters
    ----------
    path : Path
        Folder of the image group.
    level_paths : list of str
        Paths of the levels inside it, finest first.
    """
    digest = hashlib.blake2b(digest_size=16)
    for folder in (path, *(path / level for level in level_paths)):
        for name in (*_ZARR_METADATA, ".zarray"):
            if (folder / name).is_file():
                digest.update(name.encode() + (folder / name).read_bytes())
    left = SAMPLE_BYTES
    coarsest = path / level_paths[-1]
    for chunk in sorted(file for file in coarsest.rglob("*") if file.is_file()):
        digest.update(f"{chunk.relative_to(coarsest).as_posix()} {chunk.stat().st_size}".encode())
        if left > 0:
            with chunk.open("rb") as stream:
                content = stream.read(left)
            digest.update(content)
            left -= len(content)
    return digest.hexdigest()


def _add_file(digest: hashlib.blake2b, path: Path) -> None:
    size = path.stat().st_size
    digest.update(size.to_bytes(8, "little"))
    with path.open("rb") as stream:
        digest.update(stream.read(SAMPLE_BYTES))
        stream.seek(max(0, size - SAMPLE_BYTES))
        digest.update(stream.read(SAMPLE_BYTES))
