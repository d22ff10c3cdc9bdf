"""A pyramid store as one TIFF file that OpenSlide, QuPath and tifffile open with pixel size and objective power.

They look in different places, so the file says it twice:

* OME-TIFF (tifffile, Bio-Formats): the first ImageDescription is OME-XML; the coarser levels are its SubIFDs.
* Aperio (OpenSlide): a second ImageDescription of the first page, and that of every other, is Aperio's. OpenSlide knows
  a file by the last of two descriptions and takes pixel size and objective power from the first, where they stand in
  the XML as a comment. A version that did otherwise would see a plain tiled TIFF: the pixel size, but no objective.
  It wants levels as pages rather than as SubIFDs. They are both: the SubIFDs are also chained one after the other.

tifffile writes neither of these two by itself, so both are patched in once everything is written.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from xml.sax.saxutils import quoteattr

import imagecodecs
import numpy as np
import tifffile

from napari_pathsrgan.slides.computed import COMPUTED_BY, CREATOR
from napari_pathsrgan.slides.store_layout import FILL_VALUE
from napari_pathsrgan.whole_output import written_whole

if TYPE_CHECKING:
    from napari_pathsrgan.slides.pyramid_store import PyramidStore
    from napari_pathsrgan.slides.resample import UInt8Image

Compression = Literal["jpeg", "lossless"]

JPEG_QUALITY = 90
_MAGNIFICATION_UM = 5.86
"""Camera pixel of the paper's scanners: magnification times µm per pixel."""
_DESCRIPTION, _MAKE = 270, 271
_THREADS = 2
_AHEAD = 8
_ENTRY_BYTES, _COUNT_BYTES = 20, 8  # of a BigTIFF's page


def write_ome_tiff(
    store: PyramidStore,
    path: Path,
    compression: Compression = "jpeg",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write every level of a store, one tile at a time; what's missing becomes white.

    Parameters
    ----------
    store : PyramidStore
    path : Path
        File to write; it appears complete or not at all.
    compression : {"jpeg", "lossless"}
        JPEG of quality 90 with full colour resolution, or Deflate.
    progress : callable, optional
        Given the pixels written and to write, of all levels.

    Raises
    ------
    OutputError
        If something is there already, or the place is read-only or full.
    """
    total, done = sum(rows * cols for rows, cols in store.level_shapes), 0
    with written_whole(path) as growing:
        with tifffile.TiffWriter(growing, bigtiff=True, ome=False) as writer:
            for level, shape in enumerate(store.level_shapes):
                _write_level(writer, store, level, compression)
                done += shape[0] * shape[1]
                if progress:
                    progress(done, total)
        _chain_levels(growing)


def _write_level(writer: tifffile.TiffWriter, store: PyramidStore, level: int, compression: Compression) -> None:
    side, mpp = store.tile_px[level], store.level_mpps[level]
    jpeg = compression == "jpeg"
    aperio = _aperio_description(store, level, compression)
    first = level == 0
    writer.write(
        _encoded_tiles(store, level, compression),
        shape=(*store.level_shapes[level], 3),
        dtype=np.uint8,
        tile=(side, side),
        photometric="ycbcr" if jpeg else "rgb",
        compression="jpeg" if jpeg else "deflate",
        predictor=not jpeg,
        subsampling=(1, 1) if jpeg else None,
        subfiletype=0 if first else 1,
        subifds=len(store.level_shapes) - 1 if first else 0,
        resolution=(1e4 / mpp, 1e4 / mpp),
        resolutionunit="CENTIMETER",
        description=_ome_description(store) if first else aperio,
        # Aperio's description waits under the next tag's number until the file is complete.
        extratags=[(_MAKE, "s", 0, aperio, True)] if first else [],
        metadata=None,
        software=False,
    )


def _encoded_tiles(store: PyramidStore, level: int, compression: Compression) -> Iterator[bytes]:
    """Encode a level's tiles row by row in a few threads, a few tiles ahead of who writes them."""
    encode = _jpeg if compression == "jpeg" else _deflated

    def encoded(row: int, col: int) -> bytes:
        return encode(_whole_tile(store, level, row, col))

    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[bytes]] = deque()
        for row, col in np.ndindex(store.grid_shape(level)):
            waiting.append(pool.submit(encoded, row, col))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _whole_tile(store: PyramidStore, level: int, row: int, col: int) -> UInt8Image:
    """Read a tile, filled up with its last pixels at the level's edge."""
    side = store.tile_px[level]
    try:
        tile = store.read(level, row, col)
    except KeyError:
        return np.full((side, side, 3), FILL_VALUE, np.uint8)
    missing = (side - tile.shape[0], side - tile.shape[1])
    return np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else tile


def _jpeg(tile: UInt8Image) -> bytes:
    return bytes(
        imagecodecs.jpeg8_encode(tile, level=JPEG_QUALITY, colorspace="rgb", outcolorspace="ycbcr", subsampling="444")
    )


def _deflated(tile: UInt8Image) -> bytes:
    return bytes(imagecodecs.zlib_encode(imagecodecs.delta_encode(tile, axis=1).tobytes(), level=6))


def _aperio_description(store: PyramidStore, level: int, compression: Compression) -> str:
    (full_rows, full_cols), (rows, cols) = store.level_shapes[0], store.level_shapes[level]
    side = store.tile_px[level]
    size = f"{full_cols}x{full_rows} [0,0 {full_cols}x{full_rows}] ({side}x{side})"
    if level:
        size += f" -> {cols}x{rows}"
    codec = f"JPEG/RGB Q={JPEG_QUALITY}" if compression == "jpeg" else "Deflate"
    return (
        f"Aperio Image Library (napari-pathsrgan: computed picture, not for diagnosis)\n{size} {codec}"
        f"|{_aperio_properties(store)}"
    )


def _aperio_properties(store: PyramidStore) -> str:
    return f"AppMag = {_objective_power(store):g}|MPP = {store.level_mpps[0]:g}"


def _objective_power(store: PyramidStore) -> float:
    return float(round(_MAGNIFICATION_UM / store.level_mpps[0]))


def _ome_description(store: PyramidStore) -> str:
    rows, cols = store.level_shapes[0]
    mpp, schema = store.level_mpps[0], "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    name = quoteattr(f"{store.identity.slide_name}{COMPUTED_BY}{store.identity.model_name}")
    # Lengths are in µm unless said otherwise; a TIFF's text is ASCII.
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="{schema}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:schemaLocation="{schema} {schema}/ome.xsd" Creator="{CREATOR}">'
        f'<Instrument ID="Instrument:0"><Objective ID="Objective:0"'
        f' NominalMagnification="{_objective_power(store):g}"/></Instrument>'
        f'<Image ID="Image:0" Name={name}>'
        "<Description>Computed picture, not for diagnosis.</Description>"
        '<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0"/>'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{cols}" SizeY="{rows}" SizeC="3" SizeZ="1"'
        f' SizeT="1" Interleaved="true" PhysicalSizeX="{mpp:g}" PhysicalSizeY="{mpp:g}">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1"/></Pixels></Image>'
        f"<!-- |{_aperio_properties(store)}| --></OME>"
    )
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _chain_levels(path: Path) -> None:
    """Make pages of the SubIFDs as well, and a second description of what waits under another tag."""
    with tifffile.TiffFile(path) as file:
        first = file.pages.first
        pages = [first.offset, *(first.subifds or ())]
        waiting = first.tags[_MAKE].offset
    with path.open("r+b") as stream:
        stream.seek(waiting)
        stream.write(struct.pack("<H", _DESCRIPTION))
        for page, following in zip(pages, [*pages[1:], 0], strict=True):
            stream.seek(page)
            (entries,) = struct.unpack("<Q", stream.read(_COUNT_BYTES))
            stream.seek(page + _COUNT_BYTES + entries * _ENTRY_BYTES)
            stream.write(struct.pack("<Q", following))
