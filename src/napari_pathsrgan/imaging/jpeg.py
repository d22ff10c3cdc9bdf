"""What a JPEG file says of how it was compressed: quality, and resolution of the colour difference.

The quantisation tables are those of the standard's Annex K scaled by a quality from 1 to 100, as the Independent JPEG
Group's library does it and nearly all scanners do; a table of another kind has no quality.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

_MARKERS_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_START_OF_FRAME = {0xC0, 0xC1, 0xC2, 0xC3}
_START_OF_SCAN, _END, _TABLES = 0xDA, 0xD9, 0xDB
_SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}

Table = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JpegFacts:
    """How a JPEG image was compressed.

    Attributes
    ----------
    quality : int, optional
        1 to 100; None where the tables are not the standard's, scaled.
    subsampling : str, optional
        "444", "422", "420", "440" or "411"; None for grey images and where it is not said.
    luminance, chrominance : tuple of 64 int, optional
        Quantisation steps in zigzag order.
    """

    quality: int | None
    subsampling: str | None
    luminance: Table | None
    chrominance: Table | None


def read_jpeg(data: bytes, tables: bytes = b"") -> JpegFacts | None:
    """Read the headers of a JPEG image; its pixels are not decoded.

    Parameters
    ----------
    data : bytes
        The image, or its beginning: some hundred bytes are enough.
    tables : bytes
        Tables that a TIFF keeps apart (tag 347).

    Returns
    -------
    JpegFacts or None
        None for data that is no JPEG or is damaged before its pixels begin.
    """
    found: dict[int, Table] = {}
    subsampling = None
    for part in (tables, data):
        for marker, segment in _segments(part):
            if marker == _TABLES:
                found |= _quantisation(segment)
            elif marker in _START_OF_FRAME:
                subsampling = _subsampling(segment)
    if not found:
        return None
    luminance, chrominance = found.get(0), found.get(1)
    return JpegFacts(_quality(luminance), subsampling, luminance, chrominance)


def in_rows(table: Table) -> npt.NDArray[np.int64]:
    """Order 64 zigzag values as rows of vertical frequency and columns of horizontal frequency: (8, 8)."""
    diagonals = sorted(np.ndindex(8, 8), key=lambda at: (sum(at), at[1] if sum(at) % 2 == 0 else at[0]))
    rows = np.empty((8, 8), np.int64)
    rows[tuple(np.transpose(diagonals))] = table
    return rows


@lru_cache(maxsize=100)
def standard_luminance(quality: int) -> Table:
    """Return quantisation steps of luminance at a quality of 1 to 100, zigzag, as OpenCV's JPEG library writes them."""
    written, data = cv2.imencode(".jpg", np.zeros((8, 8), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert written
    tables = [_quantisation(segment) for marker, segment in _segments(data.tobytes()) if marker == _TABLES]
    return tables[0][0]


def _segments(data: bytes) -> list[tuple[int, bytes]]:
    """Marker segments up to the pixels; none where the data does not begin as a JPEG does."""
    if data[:2] != b"\xff\xd8":
        return []
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _MARKERS_WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (_START_OF_SCAN, _END):
            break
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if length < 2:
            break
        found.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


def _quantisation(segment: bytes) -> dict[int, Table]:
    found: dict[int, Table] = {}
    at = 0
    while at < len(segment):
        wide, number = segment[at] >> 4, segment[at] & 15
        size = 64 * (2 if wide else 1)
        values = segment[at + 1 : at + 1 + size]
        if len(values) < size:
            break
        found[number] = struct.unpack(">64H", values) if wide else tuple(values)
        at += 1 + size
    return found


def _subsampling(segment: bytes) -> str | None:
    if len(segment) < 6 or segment[5] != 3 or len(segment) < 6 + 3 * 3:
        return None
    factors = [(segment[6 + 3 * index + 1] >> 4, segment[6 + 3 * index + 1] & 15) for index in range(3)]
    (across, down), *others = factors
    if set(others) != {(1, 1)}:
        return None
    return _SUBSAMPLINGS.get((across, down))


def _quality(luminance: Table | None) -> int | None:
    if luminance is None:
        return None
    return next((quality for quality in range(100, 0, -1) if standard_luminance(quality) == luminance), None)
