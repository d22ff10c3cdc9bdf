"""A pyramid store as one OME-TIFF: a single image whose coarser levels are the SubIFDs of its first page.

OpenSlide reads no SubIFDs: of this file it sees the finest level. `aperio_tiff` writes the file for OpenSlide.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import tifffile

from napari_pathsrgan.atomic_write import atomic_write
from napari_pathsrgan.slides.computed import AREAS_NAMESPACE, COMPUTED_BY, CREATOR
from napari_pathsrgan.slides.tiff_tiles import (
    NOT_FOR_DIAGNOSIS,
    Compression,
    Progress,
    objective_power,
    pixels_written,
    write_level,
)

if TYPE_CHECKING:
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def write_ome_tiff(
    store: PyramidStore, path: Path, compression: Compression = "jpeg", progress: Progress | None = None
) -> None:
    """Write every level of a store, one tile at a time; missing tiles are white.

    Parameters
    ----------
    store : PyramidStore
    path : Path
        File to write; it appears complete or not at all.
    compression : {"jpeg", "lossless"}
        See `tiff_tiles.write_level`.
    progress : callable, optional
        Receives the pixels written and to write, of all levels.

    Raises
    ------
    OutputError
        If something is there already, or the place is read-only or full.
    """
    n_levels = len(store.level_shapes)
    with atomic_write(path) as growing, tifffile.TiffWriter(growing, bigtiff=True, ome=False) as writer:
        for level in range(n_levels):
            first = {"subifds": n_levels - 1, "description": ome_xml(store)}
            write_level(writer, store, level, compression, **({"subfiletype": 1} if level else first))
            if progress:
                progress(*pixels_written(store, level))


def ome_xml(store: PyramidStore) -> str:
    """Describe a store's finest level in OME-XML of 2016-06.

    Returns
    -------
    str
        ASCII, as a TIFF's text has to be; lengths are in µm, which is the schema's default.
    """
    root = ET.Element(
        "OME",
        {"xmlns": _SCHEMA, "xmlns:xsi": _XSI, "xsi:schemaLocation": f"{_SCHEMA} {_SCHEMA}/ome.xsd", "Creator": CREATOR},
    )
    instrument = ET.SubElement(root, "Instrument", ID="Instrument:0")
    power = f"{objective_power(store.level_mpps[0]):g}"
    ET.SubElement(instrument, "Objective", ID="Objective:0", NominalMagnification=power)
    _add_image(root, store)
    _add_areas(root, store)
    text = ET.tostring(root, encoding="ascii", xml_declaration=False).decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'


def _add_image(root: ET.Element, store: PyramidStore) -> None:
    (rows, cols), mpp = store.level_shapes[0], f"{store.level_mpps[0]:.9g}"
    name = f"{store.identity.slide_name}{COMPUTED_BY}{store.identity.model_name}"
    image = ET.SubElement(root, "Image", ID="Image:0", Name=name)
    ET.SubElement(image, "Description").text = NOT_FOR_DIAGNOSIS
    ET.SubElement(image, "InstrumentRef", ID="Instrument:0")
    ET.SubElement(image, "ObjectiveSettings", ID="Objective:0")
    sizes = {"SizeX": str(cols), "SizeY": str(rows), "SizeC": "3", "SizeZ": "1", "SizeT": "1"}
    calibration = {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
    kind = {"DimensionOrder": "XYCZT", "Type": "uint8", "Interleaved": "true"}
    pixels = ET.SubElement(image, "Pixels", {"ID": "Pixels:0", **kind, **sizes, **calibration})
    ET.SubElement(pixels, "Channel", ID="Channel:0:0", SamplesPerPixel="3")
    ET.SubElement(pixels, "TiffData", IFD="0", PlaneCount="1")
    ET.SubElement(image, "AnnotationRef", ID="Annotation:0")


def _add_areas(root: ET.Element, store: PyramidStore) -> None:
    """Say in key-value pairs, as OMERO shows them, which areas are computed."""
    annotations = ET.SubElement(root, "StructuredAnnotations")
    annotation = ET.SubElement(annotations, "MapAnnotation", ID="Annotation:0", Namespace=AREAS_NAMESPACE)
    pairs = ET.SubElement(annotation, "Value")
    ET.SubElement(pairs, "M", K="complete").text = "true" if store.areas.complete else "false"
    for rectangle in store.areas.rectangles_um:
        ET.SubElement(pairs, "M", K="area: row, col, height, width in µm").text = ", ".join(
            f"{side:.9g}" for side in rectangle
        )
