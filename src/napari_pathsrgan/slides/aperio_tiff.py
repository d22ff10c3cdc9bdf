"""A pyramid store as one TIFF in Aperio's layout (.svs), which OpenSlide knows as 20× with all its levels.

The pages are: the finest level, a thumbnail, the coarser levels, a label and a macro image, which Bio-Formats takes for
granted. Each has a description in Aperio's form; levels are tiled, the other images have strips.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageDraw, ImageFont

from napari_pathsrgan.atomic_write import atomic_write
from napari_pathsrgan.slides.computed import APERIO_AREAS_KEY, APERIO_COMPUTED_KEY, CREATOR
from napari_pathsrgan.slides.tiff_tiles import (
    JPEG_QUALITY,
    Compression,
    Progress,
    codec_options,
    objective_power,
    pixels_written,
    write_level,
)

if TYPE_CHECKING:
    from napari_pathsrgan.slides.pyramid_store import PyramidStore
    from napari_pathsrgan.types import Pixels

_TITLE = f"Aperio Image Library ({CREATOR}: computed image, not for diagnosis)"
_THUMBNAIL_PX = 1024
_LABEL_PX, _LABEL_TEXT_PX = (400, 300), 28


def write_aperio_tiff(
    store: PyramidStore, path: Path, compression: Compression = "jpeg", progress: Progress | None = None
) -> None:
    """Write every level of a store and a thumbnail; missing tiles are white. Parameters as for `write_ome_tiff`.

    Raises
    ------
    OutputError
        If something is there already, or the place is read-only or full.
    """
    thumbnail = _thumbnail(store)
    with atomic_write(path) as growing, tifffile.TiffWriter(growing, bigtiff=True, ome=False) as writer:
        for level in range(len(store.level_shapes)):
            write_level(writer, store, level, compression, description=_level_text(store, level, compression))
            if level == 0:
                _write_strips(writer, thumbnail, compression, _thumbnail_text(store, thumbnail))
            if progress:
                progress(*pixels_written(store, level))
        for name, pixels, subfiletype in (("label", _label(store), 1), ("macro", thumbnail, 9)):
            rows, cols, _ = pixels.shape
            _write_strips(writer, pixels, compression, f"{_TITLE}\n{name} {cols}x{rows}", subfiletype)


def _write_strips(
    writer: tifffile.TiffWriter, pixels: Pixels, compression: Compression, text: str, subfiletype: int = 0
) -> None:
    """Write an image beside the levels; readers tell the two apart by strips and tiles."""
    writer.write(
        pixels,
        rowsperstrip=16,
        subfiletype=subfiletype,
        description=text,
        metadata=None,
        software=False,
        **codec_options(compression),
    )


def _thumbnail_text(store: PyramidStore, thumbnail: Pixels) -> str:
    (full_rows, full_cols), (rows, cols, _) = store.level_shapes[0], thumbnail.shape
    return _description(store, f"{full_cols}x{full_rows} -> {cols}x{rows} - ")


def _label(store: PyramidStore) -> Pixels:
    """Draw a label that says what the file is, where slide viewers show the label of the glass slide."""
    font = ImageFont.load_default(size=_LABEL_TEXT_PX)
    text = f"Computed image,\nnot for diagnosis\n\nModel: {store.identity.model_name}"
    image = Image.new("RGB", _LABEL_PX, "white")
    ImageDraw.Draw(image).multiline_text((20, 20), text, "black", font)
    return np.asarray(image, np.uint8)


def _thumbnail(store: PyramidStore) -> Pixels:
    """Shrink the coarsest level to at most 1024 px a side."""
    coarsest = np.moveaxis(np.asarray(store.array(len(store.level_shapes) - 1)[:]), 0, -1)
    shrink = max(1.0, max(coarsest.shape) / _THUMBNAIL_PX)
    size = (max(1, round(coarsest.shape[1] / shrink)), max(1, round(coarsest.shape[0] / shrink)))
    return np.asarray(cv2.resize(coarsest, size, interpolation=cv2.INTER_AREA), np.uint8)


def _level_text(store: PyramidStore, level: int, compression: Compression) -> str:
    (full_rows, full_cols), (rows, cols), side = store.level_shapes[0], store.level_shapes[level], store.tile_px[level]
    size = f"{full_cols}x{full_rows} [0,0 {full_cols}x{full_rows}] ({side}x{side})"
    shrunk = f" -> {cols}x{rows}" if level else ""
    codec = f"JPEG/RGB Q={JPEG_QUALITY}" if compression == "jpeg" else "Deflate"
    return _description(store, f"{size}{shrunk} {codec}")


def _description(store: PyramidStore, size: str) -> str:
    """Put a description together; it is ASCII, and "|" separates its properties."""
    model = store.identity.model_name.replace("|", " ").encode("ascii", "xmlcharrefreplace").decode()
    properties = {
        "AppMag": f"{objective_power(store.level_mpps[0]):g}",
        "MPP": f"{store.level_mpps[0]:.9g}",
        APERIO_COMPUTED_KEY: model,
        APERIO_AREAS_KEY: store.areas.in_words(),
    }
    pairs = "|".join(f"{name} = {value}" for name, value in properties.items())
    return f"{_TITLE}\n{size}|{pairs}"
