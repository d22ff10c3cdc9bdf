"""Whether a file is a picture that we computed: it must never be taken for a scan."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import tifffile

from napari_pathsrgan.slides.slide_kind import TIFF_HEADS, head_bytes
from napari_pathsrgan.slides.store_layout import OUR_KEY

COMPUTED_BY, CREATOR = ", computed by ", "napari-pathsrgan"
"""Said in the OME-XML of an OME-TIFF of ours: between the names of slide and model, and of the program."""


def computed_by(path: Path) -> str | None:
    """Name the network that computed a picture.

    Parameters
    ----------
    path : Path
        A slide's file or folder.

    Returns
    -------
    str or None
        None for what is no picture of ours.
    """
    return _of_store(path) if path.is_dir() else _of_tiff(path)


def _of_store(path: Path) -> str | None:
    try:
        ours = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"][OUR_KEY]
        return str(ours["identity"]["model_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _of_tiff(path: Path) -> str | None:
    try:
        if not head_bytes(path).startswith(TIFF_HEADS):
            return None
        with tifffile.TiffFile(path) as file:
            ome = ET.fromstring(file.pages.first.description)
    except (OSError, ValueError, KeyError, IndexError, ET.ParseError, tifffile.TiffFileError):
        return None
    image = ome.find("{*}Image")
    if ome.get("Creator") != CREATOR or image is None:
        return None
    return image.get("Name", "").rpartition(COMPUTED_BY)[2]
