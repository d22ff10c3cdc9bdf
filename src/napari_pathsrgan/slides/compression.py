"""How a slide's pixels were compressed, as its file says: method, JPEG tables, ratio, place of the blocks."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.bounded_json import open_regular_file
from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.imaging.jpeg import JpegFacts, read_jpeg
from napari_pathsrgan.slides.dicom_folder import TRANSFER_SYNTAX, element_text, is_dicom, read_elements
from napari_pathsrgan.slides.tiff_header import COMPRESSION, JPEG_TABLES, Page, read_pages
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pathsrgan.slides.slide import Slide

JPEG = "JPEG"
_HEADER_BYTES = 1 << 14
_SEARCHED_BYTES = 1 << 26
"""Pixels of a DICOM file that begin later are not looked for."""
_BLOCK_PX = 8

_TIFF_METHODS = {
    1: "none", 5: "LZW", 7: JPEG, 8: "Deflate", 32773: "PackBits", 32946: "Deflate", 33003: "JPEG 2000",
    33005: "JPEG 2000", 34712: "JPEG 2000", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
}  # fmt: skip
_DICOM_METHODS = {
    "1.2.840.10008.1.2": "none", "1.2.840.10008.1.2.1": "none", "1.2.840.10008.1.2.4.50": JPEG,
    "1.2.840.10008.1.2.4.51": JPEG, "1.2.840.10008.1.2.4.57": "lossless JPEG",
    "1.2.840.10008.1.2.4.70": "lossless JPEG", "1.2.840.10008.1.2.4.80": "lossless JPEG-LS",
    "1.2.840.10008.1.2.4.90": "lossless JPEG 2000", "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.203": "HTJ2K", "1.2.840.10008.1.2.5": "RLE",
}  # fmt: skip
_RATIO = (0x0028, 0x2112)
_TILE_ROWS, _TILE_COLS = (0x0028, 0x0010), (0x0028, 0x0011)
_PIXELS = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
"""Head of encapsulated pixels; a table of offsets follows, then the frames, each an item."""


@dataclass(frozen=True, slots=True)
class Compression:
    """How the finest level was compressed.

    Attributes
    ----------
    method : str
        "JPEG", "JPEG 2000", "Deflate", "none" …
    jpeg : JpegFacts, optional
        Of its first tile; None for other methods.
    ratio : float, optional
        Bytes of the pixels over those in the file.
    block_phase_px : (int, int), optional
        How many rows and columns of the first block lie above and left of the slide's corner; None for methods
        without blocks of 8 pixels and where tiles do not hold whole ones.
    """

    method: str
    jpeg: JpegFacts | None = None
    ratio: float | None = None
    block_phase_px: tuple[int, int] | None = None


def read_compression(slide: Slide) -> Compression | None:
    """Read how a slide was compressed, from its headers alone; None for formats that are neither TIFF nor DICOM."""
    if not slide.path.is_file():
        return None
    if is_dicom(slide.path):
        return _of_dicom(slide.path)
    try:
        pages = read_pages(slide.path)
    except (SlideUnreadableError, OSError):  # another format, which its own reader has opened
        return None
    page = next((page for page in pages if page.shape == slide.level_shapes[0]), None)
    return None if page is None else _of_page(slide.path, page)


def _of_page(path: Path, page: Page) -> Compression:
    code = page.integer(COMPRESSION, 1)
    method = _TIFF_METHODS.get(code, f"TIFF compression {code}")
    try:
        offsets, sizes = page.segments()
    except OSError:  # NDPI keeps its tiles elsewhere
        return Compression(method)
    filled = np.flatnonzero(sizes)
    if not len(filled):
        return Compression(method)
    ratio = float(len(filled) * page.segment_bytes / sizes[filled].sum())
    if method != JPEG:
        return Compression(method, ratio=ratio)
    with open_regular_file(path) as file:
        file.seek(int(offsets[filled[0]]))
        data = file.read(min(int(sizes[filled[0]]), _HEADER_BYTES))
    return Compression(method, read_jpeg(data, page.content(JPEG_TABLES)), ratio, _phase(*page.segment_shape))


def _of_dicom(path: Path) -> Compression:
    found = read_elements(path, frozenset((_RATIO, _TILE_ROWS, _TILE_COLS)))
    syntax = element_text(found, TRANSFER_SYNTAX)
    method = _DICOM_METHODS.get(syntax, f"DICOM transfer syntax {printable(syntax, 64)}")
    ratio = _last_number(element_text(found, _RATIO))
    if method != JPEG:
        return Compression(method, ratio=ratio)
    rows, cols = (int.from_bytes(found.get(tag, b"")[:2], "little") for tag in (_TILE_ROWS, _TILE_COLS))
    return Compression(method, read_jpeg(_first_frame(path)), ratio, _phase(rows, cols))


def _phase(rows: int, cols: int) -> tuple[int, int] | None:
    """Blocks begin in every tile's corner: on one grid only where tiles hold whole blocks."""
    return (0, 0) if rows and cols and rows % _BLOCK_PX == cols % _BLOCK_PX == 0 else None


def _last_number(text: str) -> float | None:
    """Read the last of several ratios: each compression step adds one."""
    try:
        number = float(text.split("\\")[-1])
    except ValueError:
        return None
    return number if 0 < number < 1e6 else None


def _first_frame(path: Path) -> bytes:
    """Read the beginning of a DICOM file's first frame; empty where it is not found."""
    with open_regular_file(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(_PIXELS, 0, _SEARCHED_BYTES)
        if at < 0:
            return b""
        table = at + len(_PIXELS)
        (length,) = struct.unpack("<I", content[table + 4 : table + 8].ljust(4, b"\0"))
        start = table + 8 + length + 8
        return content[start : start + _HEADER_BYTES]
