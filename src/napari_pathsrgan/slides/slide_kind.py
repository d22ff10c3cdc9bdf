"""What a path looks like it is, by names and first bytes: asked for every file that's dropped on a viewer.

Little more than the standard library is imported here, as a viewer asks before anything else of us is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_pathsrgan.bounded_json import read_json
from napari_pathsrgan.slides.dicom_folder import holds_dicom, is_dicom

_MOST_ATTRIBUTES_BYTES, _MOST_ATTRIBUTES_VALUES = 16 << 20, 2_000_000
#: Suffixes by the library that reads their pixels: for napari's manifest, `pathsrgan doctor` and the docs.
READ_BY = {
    "openslide": (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".svslide", ".vms", ".vmu", ".dcm", ".czi"),
    "imagecodecs": (".tif", ".tiff", ".btf", ".tf8", ".qptiff"),
    "zarr": (".zarr",),
}
#: Suffixes that only slides have; a file so called is claimed whatever is in it, so that the user is told what it is.
SLIDE_SUFFIXES = frozenset({*READ_BY["openslide"], ".qptiff"})
_TIFF_SUFFIXES = frozenset(READ_BY["imagecodecs"]) - SLIDE_SUFFIXES
#: Classic TIFF and BigTIFF, little and big endian.
TIFF_HEADS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def slide_kind(path: Path | str) -> str | None:
    """Say which reader a path is for, by name and first bytes only: fast enough for every file dropped on a viewer.

    Returns
    -------
    "zarr", "dicom folder", "openslide" (a name only slides have, or a DICOM file), "tiff" or None
    """
    path = Path(path)
    if path.is_dir():
        if image_attributes(path) is not None:
            return "zarr"
        return "dicom folder" if holds_dicom(path) else None
    if not path.is_file():
        return None
    suffix = path.suffix.lower()
    if suffix in SLIDE_SUFFIXES:
        return "openslide"
    if suffix in _TIFF_SUFFIXES:
        return "tiff" if head_bytes(path).startswith(TIFF_HEADS) else None
    return "openslide" if is_dicom(path) else None  # archives name files without a suffix


def image_attributes(folder: Path) -> dict[str, Any] | None:
    """Read the OME attributes of a Zarr group without opening it, or None where it has none.

    Returns
    -------
    dict or None
        With "multiscales" (an image) or "bioformats2raw.layout" (images in subfolders 0, 1 …).
    """
    for name in ("zarr.json", ".zattrs"):
        try:
            content = read_zarr_json(folder, name)
        except (OSError, ValueError):
            continue
        attributes = content.get("attributes") if name == "zarr.json" and isinstance(content, dict) else content
        if name == "zarr.json" and isinstance(attributes, dict):
            attributes = attributes.get("ome")
        if isinstance(attributes, dict) and ("multiscales" in attributes or "bioformats2raw.layout" in attributes):
            return attributes
    return None


def read_zarr_json(folder: Path, name: str) -> Any:
    """Read a metadata file of a Zarr hierarchy, which belongs into its folder.

    Raises
    ------
    ValueError
        If it is no JSON, or too large.
    OSError
        If it cannot be read, is no regular file or a link that leads out of the folder.
    """
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise OSError(f"{name} leads out of {folder.name}")
    return read_json(file, _MOST_ATTRIBUTES_BYTES, _MOST_ATTRIBUTES_VALUES)


def head_bytes(path: Path) -> bytes:
    """Read the first bytes of a file, enough to tell its format."""
    with path.open("rb") as stream:
        return stream.read(512)
