"""What a path looks like it is, by names and first bytes: asked for every file that's dropped on a viewer.

Only the standard library is imported here, as a viewer asks before anything else of us is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: Suffixes that only slides have; a file so called is claimed whatever is in it, so that the user is told what it is.
SLIDE_SUFFIXES = frozenset(
    {".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".svslide", ".vms", ".vmu", ".dcm", ".czi", ".qptiff"}
)
_TIFF_SUFFIXES = frozenset({".tif", ".tiff", ".btf", ".tf8"})
#: Classic TIFF and BigTIFF, little and big endian.
TIFF_HEADS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def slide_kind(path: Path | str) -> str | None:
    """Say which reader a path is for, by name and first bytes only: fast enough for every file dropped on a viewer.

    Returns
    -------
    "zarr", "dicom folder", "openslide" (a name only slides have), "tiff" or None
    """
    path = Path(path)
    if path.is_dir():
        if image_attributes(path) is not None:
            return "zarr"
        return "dicom folder" if first_dicom(path) is not None else None
    if not path.is_file():
        return None
    suffix = path.suffix.lower()
    if suffix in SLIDE_SUFFIXES:
        return "openslide"
    return "tiff" if suffix in _TIFF_SUFFIXES and head_bytes(path).startswith(TIFF_HEADS) else None


def image_attributes(folder: Path) -> dict[str, Any] | None:
    """Read the OME attributes of a Zarr group without opening it, or None where it has none.

    Returns
    -------
    dict or None
        With "multiscales" (an image) or "bioformats2raw.layout" (images in subfolders 0, 1 …).
    """
    for name in ("zarr.json", ".zattrs"):
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        try:
            attributes = content.get("attributes", {}).get("ome", {}) if name == "zarr.json" else content
        except AttributeError:  # some other program's JSON
            continue
        if "multiscales" in attributes or "bioformats2raw.layout" in attributes:
            return dict(attributes)
    return None


def first_dicom(folder: Path) -> Path | None:
    """Find one DICOM file in a folder; OpenSlide finds the others of its series beside it."""
    return next((file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".dcm" and file.is_file()), None)


def head_bytes(path: Path) -> bytes:
    """Read the first bytes of a file, enough to tell its format."""
    with path.open("rb") as stream:
        return stream.read(512)
