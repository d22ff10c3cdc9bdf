"""Whether a file holds an image or a map that this program computed: neither may ever be taken for a scan."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from napari_pathsrgan.errors import ComputedSlideError
from napari_pathsrgan.slides.computed_areas import ComputedAreas
from napari_pathsrgan.slides.slide_kind import TIFF_HEADS, head_bytes
from napari_pathsrgan.slides.store_layout import MAP_KEY, OUR_KEY
from napari_pathsrgan.slides.tiff_header import read_description

COMPUTED_BY, CREATOR = ", computed by ", "napari-pathsrgan"
"""In the OME-XML of an OME-TIFF of ours: what joins the names of slide and model, and the program's name."""
AREAS_NAMESPACE = "napari-pathsrgan/computed-areas"
APERIO_COMPUTED_KEY = "Computed by"
"""Property of an Aperio-like TIFF of ours that names the model."""
APERIO_AREAS_KEY = "Computed areas"
_KINDS = {"image": "a computed image", "map": "a map that belongs to a computed image"}


@dataclass(frozen=True)
class Computed:
    """What a computed file holds.

    Attributes
    ----------
    kind : {"image", "map"}
        A super-resolved image, or a map of where one disagrees with its scan.
    model : str
        Name of the network.
    areas : ComputedAreas
        Everything else in it is absent.
    """

    kind: Literal["image", "map"]
    model: str
    areas: ComputedAreas

    @property
    def words(self) -> str:
        """What it is, for people."""
        what = f"computed by {self.model}" if self.kind == "image" else f"map of where {self.model} disagrees"
        return what if self.areas.complete else f"{what}, in part"


def find_computed(path: Path) -> Computed | None:
    """Tell whether a file or folder is one that this program computed.

    Parameters
    ----------
    path : Path
        A slide's file or folder.

    Returns
    -------
    Computed or None
        None for a scan, and for what cannot be read.
    """
    try:
        return _of_store(path) if path.is_dir() else _of_tiff(path)
    except (OSError, ValueError, KeyError, IndexError, TypeError, ET.ParseError):
        return None


def refuse_computed(path: Path, computed: Computed | None) -> None:
    """Raise ComputedSlideError where a slide's file is computed: give `Slide.path` and `Slide.computed`."""
    if computed is not None:
        raise _no_scan(path, computed)


def refuse_computed_file(path: Path) -> None:
    """Raise ComputedSlideError if a file or folder is one that this program computed."""
    refuse_computed(path, find_computed(path))


def _no_scan(path: Path, computed: Computed) -> ComputedSlideError:
    return ComputedSlideError(
        f"{path.name} is no scan, but {_KINDS[computed.kind]} (model {computed.model}).",
        "Give the scan that it was computed from.",
    )


def _of_store(path: Path) -> Computed:
    ours = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"][OUR_KEY]
    kind: Literal["image", "map"] = "map" if ours.get(MAP_KEY) else "image"
    areas = ComputedAreas.from_record(ours["computed_areas"])
    return Computed(kind, str(ours["identity"]["model_name"]), areas)


def _of_tiff(path: Path) -> Computed | None:
    if not head_bytes(path).startswith(TIFF_HEADS):
        return None
    text = read_description(path)
    return _of_aperio(text) if text.startswith("Aperio") else _of_ome(ET.fromstring(text))


def _of_aperio(text: str) -> Computed | None:
    pairs = (part.partition(" = ") for part in text.split("|")[1:])
    properties = {name.strip(): value.strip() for name, _, value in pairs}
    if CREATOR not in text.partition("\n")[0] or APERIO_COMPUTED_KEY not in properties:
        return None
    return Computed("image", properties[APERIO_COMPUTED_KEY], ComputedAreas.from_words(properties[APERIO_AREAS_KEY]))


def _of_ome(ome: ET.Element) -> Computed | None:
    image = ome.find("{*}Image")
    if ome.get("Creator") != CREATOR or image is None:
        return None
    pairs = ome.find(f".//{{*}}MapAnnotation[@Namespace='{AREAS_NAMESPACE}']/{{*}}Value")
    values: list[Any] = [] if pairs is None else [pair.text for pair in pairs]
    complete, *rectangles = values
    record = {"complete": complete == "true", "rectangles_um": [sides.split(",") for sides in rectangles]}
    model = image.get("Name", "").rpartition(COMPUTED_BY)[2]
    return Computed("image", model, ComputedAreas.from_record(record))
