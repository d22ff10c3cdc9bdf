"""The pages of a TIFF, read with bounds and checked before any library sees the file.

OpenSlide ends the whole process over some damaged headers, and other readers follow what a file says for as long as it
says so. What passes here has a finite list of pages whose sizes are a slide's and whose pixels lie inside the file.
Formats: TIFF 6.0 § 2 and 8, BigTIFF, and Hamamatsu's variant of TIFF (NDPI), of which only sizes are checked.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import SlideUnreadableError

MOST_PAGES = 10_000
MOST_SIDE_PX = 2_000_000
"""20 cm at 0.1 µm/px."""
MOST_SEGMENT_BYTES = 1 << 28
"""A strip or tile that decodes to more is not decoded: nobody writes tiles of 256 MiB."""
MOST_TAG_BYTES = 1 << 28
"""Of all values of all pages: those of a slide of 10 GB take 10 MB."""
_MOST_ENTRIES = 4096
_COPY_AGAIN = "Copy it again from the scanner or the archive."

# Tags, TIFF 6.0
SUBFILE_TYPE, OLD_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
FILL_ORDER, DESCRIPTION, STRIP_OFFSETS, ORIENTATION, SAMPLES = 266, 270, 273, 274, 277
ROWS_PER_STRIP, STRIP_BYTES = 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR, COLORMAP = 282, 283, 284, 296, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, SUB_IFDS = 322, 323, 324, 325, 330
EXTRA_SAMPLES, SAMPLE_FORMAT = 338, 339
JPEG_TABLES, YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE, ICC_PROFILE = 347, 529, 530, 532, 34675
_NDPI = 65420
_WANTED = frozenset(
    (SUBFILE_TYPE, OLD_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION,
     STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, X_RESOLUTION, Y_RESOLUTION, PLANAR,
     RESOLUTION_UNIT, PREDICTOR, COLORMAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, SUB_IFDS, EXTRA_SAMPLES,
     SAMPLE_FORMAT, JPEG_TABLES, YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE, ICC_PROFILE)
)  # fmt: skip
#: NumPy's name of each type of value; rationals are pairs.
_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8",
          13: "u4", 16: "u8", 17: "i8", 18: "u8"}  # fmt: skip
_RATIONALS = (5, 10)


@dataclass(frozen=True)
class Tag:
    """A value as it is in the file: type, count and bytes."""

    kind: int
    count: int
    content: bytes


@dataclass(frozen=True)
class Page:
    """One image of a TIFF (an IFD), its values in the file's byte order.

    Attributes
    ----------
    order : {"<", ">"}
    tags : mapping of int to Tag
    sub_pages : list of Page
        From the tag SubIFDs.
    """

    order: str
    tags: Mapping[int, Tag]
    sub_pages: list[Page] = field(default_factory=list)

    def integers(self, code: int) -> npt.NDArray[np.int64] | None:
        """Return a tag's whole numbers, or None where it's missing or holds others."""
        tag = self.tags.get(code)
        if tag is None or tag.kind in (*_RATIONALS, 11, 12):
            return None
        values = np.frombuffer(tag.content, self.order + _TYPES[tag.kind], tag.count)
        if tag.kind in (16, 18):
            values = np.minimum(values, np.uint64(np.iinfo(np.int64).max))
        return values.astype(np.int64)

    def integer(self, code: int, default: int) -> int:
        """Return a tag's first whole number."""
        values = self.integers(code)
        return default if values is None or not len(values) else int(values[0])

    def numbers(self, code: int) -> tuple[float, ...]:
        """Return a tag's numbers of any type; empty where it's missing, nan where one divides by 0."""
        tag = self.tags.get(code)
        if tag is None:
            return ()
        pairs = tag.kind in _RATIONALS
        values = np.frombuffer(tag.content, self.order + _TYPES[tag.kind], tag.count * (2 if pairs else 1))
        numbers = values.astype(np.float64).tolist()
        if not pairs:
            return tuple(numbers)
        return tuple(above / below if below else math.nan for above, below in zip(*[iter(numbers)] * 2, strict=True))

    def content(self, code: int) -> bytes:
        """Return a tag's bytes; empty where it's missing."""
        tag = self.tags.get(code)
        return b"" if tag is None else tag.content

    @property
    def description(self) -> str:
        """ImageDescription up to its first NUL, decoded as well as it can be."""
        return self.content(DESCRIPTION).partition(b"\0")[0].decode("utf-8", "replace")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns as stored."""
        return self.integer(HEIGHT, 0), self.integer(WIDTH, 0)

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return self.integer(SAMPLES, 1)

    @property
    def bits(self) -> tuple[int, ...]:
        """Bits of each sample."""
        values = self.integers(BITS)
        return (1,) if values is None else tuple(values.tolist())

    @property
    def planar(self) -> bool:
        """Whether each sample is a plane of its own."""
        return self.integer(PLANAR, 1) == 2 and self.samples > 1

    @property
    def tiled(self) -> bool:
        """Whether pixels are in tiles, not strips."""
        return TILE_WIDTH in self.tags or TILE_OFFSETS in self.tags

    @property
    def segment_shape(self) -> tuple[int, int]:
        """Rows and columns of a tile or strip."""
        if self.tiled:
            return self.integer(TILE_HEIGHT, 0), self.integer(TILE_WIDTH, 0)
        return min(self.integer(ROWS_PER_STRIP, 1 << 32), self.shape[0]), self.shape[1]

    @property
    def segment_bytes(self) -> int:
        """Size of a decoded tile or strip."""
        rows, cols = self.segment_shape
        samples = 1 if self.planar else self.samples
        return rows * -(-cols * samples * max(self.bits, default=1) // 8)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles or strips in one plane."""
        (rows, cols), (side_rows, side_cols) = self.shape, self.segment_shape
        return -(-rows // side_rows), -(-cols // side_cols)

    @property
    def reduced(self) -> bool:
        """Whether the page says that it's a smaller version of another."""
        return bool(self.integer(SUBFILE_TYPE, 0) & 1) or self.integer(OLD_SUBFILE_TYPE, 1) == 2

    @property
    def mask(self) -> bool:
        """Whether the page says which parts of another are transparent."""
        return bool(self.integer(SUBFILE_TYPE, 0) & 4) or self.integer(PHOTOMETRIC, 1) == 4

    def segments(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return offsets and byte counts of tiles or strips; a file may leave one out with 0.

        Raises
        ------
        OSError
            If there are too few.
        """
        codes = (TILE_OFFSETS, TILE_BYTES) if TILE_OFFSETS in self.tags else (STRIP_OFFSETS, STRIP_BYTES)
        offsets, counts = self.integers(codes[0]), self.integers(codes[1])
        number = math.prod(self.grid) * (self.samples if self.planar else 1)
        if offsets is not None and counts is None and self.integer(COMPRESSION, 1) == 1 and number == 1:
            counts = np.array([self.segment_bytes])  # some old writers leave them out
        if offsets is None or counts is None or min(len(offsets), len(counts)) < number:
            raise OSError("Fewer tiles or strips than the image needs.")
        return offsets[:number], counts[:number]


def read_pages(path: Path) -> list[Page]:
    """Read and check all pages of a TIFF, with their SubIFDs.

    Raises
    ------
    SlideUnreadableError
        If it has more pages or larger images than any slide.
    OSError
        If it's damaged or was cut short.
    """
    with path.open("rb") as stream:
        reader = _Reader(stream, path.name)
        pages = reader.read()
        for page in pages:
            for each in (page, *page.sub_pages):
                _check(each, path.name, reader.size, reader.ndpi)
    return pages


def read_description(path: Path) -> str:
    """Read the ImageDescription of a TIFF's first page; OSError if it's damaged."""
    with path.open("rb") as stream:
        return _Reader(stream, path.name, frozenset({DESCRIPTION})).read_first().description


class _Reader:
    def __init__(self, stream: BinaryIO, name: str, wanted: frozenset[int] = _WANTED) -> None:
        self._stream, self._name, self._wanted = stream, name, wanted
        self.size = stream.seek(0, 2)
        self._left = MOST_TAG_BYTES
        head = self._take(0, 16)
        self._order = "<" if head.startswith(b"II") else ">"
        self._big = 43 in head[2:4]
        if self._big and struct.unpack(self._order + "HH", head[4:8]) != (8, 0):
            raise OSError("A BigTIFF whose offsets aren't of 8 bytes.")
        self.ndpi = False
        self._head = head
        self._seen: set[int] = set()

    def read_first(self) -> Page:
        return self._read_page(self._find_first())[0]

    def read(self) -> list[Page]:
        pages, at = [], self._find_first()
        while at:
            page, at = self._read_page(at)
            pages.append(page)
            for sub_page in self._sub_offsets(page):
                page.sub_pages.append(self._read_page(sub_page)[0])
        if not pages:
            raise OSError("No page.")
        return pages

    def _find_first(self) -> int:
        order, head = self._order, self._head
        (first,) = struct.unpack(order + "Q", head[8:16]) if self._big else struct.unpack(order + "I", head[4:8])
        (first_ndpi,) = struct.unpack("<Q", head[4:12])
        if not self._big and order == "<" and first_ndpi < self.size and self._has_ndpi_tag(first_ndpi):
            self.ndpi, first = True, first_ndpi
        return int(first)

    def _sub_offsets(self, page: Page) -> list[int]:
        offsets = None if self.ndpi else page.integers(SUB_IFDS)
        return [] if offsets is None else offsets[: MOST_PAGES + 1].tolist()

    def _has_ndpi_tag(self, at: int) -> bool:
        return any(code == _NDPI for code, _ in self._entries(at)[0])

    def _read_page(self, at: int) -> tuple[Page, int]:
        if at in self._seen:
            raise SlideUnreadableError(f"{self._name} is damaged: its list of pages leads back to itself.", _COPY_AGAIN)
        self._seen.add(at)
        if len(self._seen) > MOST_PAGES:
            raise SlideUnreadableError(
                f"{self._name} has more than {MOST_PAGES:,} pages, which no slide has.",
                "Export the slide from its own software as a pyramidal TIFF.",
            )
        entries, following = self._entries(at)
        tags = {code: self._tag(*entry) for code, entry in entries if code in self._wanted and entry[0] in _TYPES}
        tags = {code: tag for code, tag in tags.items() if tag.count}
        return Page(self._order, tags), following

    def _entries(self, at: int) -> tuple[list[tuple[int, tuple[int, int, bytes]]], int]:
        """Read a page's entries, code and (type, count, value or its offset), and where the next page is."""
        size, inline = (8, 8) if self._big else (2, 4)
        (count,) = struct.unpack(self._order + ("Q" if self._big else "H"), self._take(at, size))
        if count > _MOST_ENTRIES:
            raise OSError("More tags than a page has.")
        form = f"{self._order}HH{'Q8s' if self._big else 'I4s'}"
        content = self._take(at + size, count * struct.calcsize(form))
        link_bytes = 8 if self._big or self.ndpi else inline
        link = self._take(at + size + len(content), link_bytes)
        (following,) = struct.unpack(self._order + ("Q" if link_bytes == 8 else "I"), link)
        return [
            (code, (kind, count, value)) for code, kind, count, value in struct.iter_unpack(form, content)
        ], following

    def _tag(self, kind: int, count: int, value: bytes) -> Tag:
        size = count * np.dtype(_TYPES[kind]).itemsize * (2 if kind in _RATIONALS else 1)
        if size <= len(value):
            return Tag(kind, count, value[:size])
        if self.ndpi:  # its offsets have their upper half elsewhere
            return Tag(kind, 0, b"")
        (at,) = struct.unpack(self._order + ("Q" if self._big else "I"), value)
        return Tag(kind, count, self._take(at, size))

    def _take(self, at: int, size: int) -> bytes:
        """Read a part of the file, or raise if it has none there."""
        self._left -= size
        if at + size > self.size or self._left < 0:
            raise OSError("A value lies beyond the end of the file, or is larger than any.")
        self._stream.seek(at)
        return self._stream.read(size)


def _check(page: Page, name: str, file_bytes: int, ndpi: bool) -> None:
    rows, cols = page.shape
    if min(rows, cols, *page.segment_shape, page.samples) < 1:
        raise OSError("A page without pixels.")
    if max(rows, cols) > MOST_SIDE_PX:
        raise SlideUnreadableError(f"{name} claims to be {rows:,} × {cols:,} px, larger than any slide.", _COPY_AGAIN)
    if ndpi:  # one strip for the whole slide, found by OpenSlide with tables of its own
        return
    tile_rows, tile_cols = page.segment_shape
    if page.tiled and max(page.segment_bytes, 4 * tile_rows * tile_cols) > MOST_SEGMENT_BYTES:
        raise SlideUnreadableError(
            f"{name} claims to have tiles of {tile_rows:,} × {tile_cols:,} px, larger than any slide's.", _COPY_AGAIN
        )
    offsets, counts = page.segments()
    if (offsets < 0).any() or (counts < 0).any() or (counts > file_bytes - offsets)[(offsets > 0) & (counts > 0)].any():
        raise OSError("Pixels lie beyond the end of the file.")
