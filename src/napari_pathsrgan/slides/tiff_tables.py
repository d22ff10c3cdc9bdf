"""The tables of a TIFF: each page's tags and what they point to, such as the offsets and byte counts of its tiles.

In a compressed TIFF they are as good as a hash of all pixels: another picture compresses to other lengths.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import BinaryIO

from napari_pathsrgan.slides.slide_kind import TIFF_HEADS

#: Bounds for files that are damaged or made to cost time: what lies beyond is not read.
MOST_PAGES, MOST_ENTRIES, MOST_TABLE_BYTES = 512, 4096, 16 << 20

_COMPRESSION, _DESCRIPTION, _SUB_IFDS = 259, 270, 330
_NOT_COMPRESSED = 1
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass
class TiffTables:
    """What was found.

    Attributes
    ----------
    parts : list of bytes
        The tables, as they are in the file.
    descriptions : bytes
        The pages' ImageDescriptions.
    compressed : bool
        Whether every page is compressed, and all tables were read.
    """

    parts: list[bytes] = field(default_factory=list)
    descriptions: bytes = b""
    compressed: bool = False


@dataclass(frozen=True)
class _Layout:
    """How a variant of TIFF writes its tables: `struct` formats of its numbers, and bytes of an entry's value."""

    order: str
    count: str
    offset: str
    inline: int

    def numbers(self, kind: str, content: bytes) -> list[int]:
        size = struct.calcsize(kind)
        return [number for (number,) in struct.iter_unpack(self.order + kind, content[: len(content) // size * size])]


def read_tables(stream: BinaryIO) -> TiffTables:
    """Read the tables of a TIFF or BigTIFF; damaged ones as far as they go, and nothing of another file.

    Parameters
    ----------
    stream : binary file

    Returns
    -------
    TiffTables
    """
    return _TableReader(stream).read()


class _TableReader:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._found = TiffTables()
        self._left = MOST_TABLE_BYTES
        self._complete = True
        self._compressions: list[int] = []
        self._waiting: deque[int] = deque()

    def read(self) -> TiffTables:
        head = self._take(0, 16)
        if not head.startswith(TIFF_HEADS):
            return self._found
        order, big = "<" if head.startswith(b"II") else ">", 43 in head[2:4]
        layout = _Layout(order, "Q", "Q", 8) if big else _Layout(order, "H", "I", 4)
        self._waiting.extend(layout.numbers(layout.offset, head[8:16] if big else head[4:8]))
        seen: set[int] = set()
        while self._waiting and len(seen) < MOST_PAGES:
            at = self._waiting.popleft()
            if at and at not in seen:
                seen.add(at)
                self._read_page(layout, at)
        complete = self._complete and not self._waiting and bool(self._compressions)
        self._found.compressed = complete and _NOT_COMPRESSED not in self._compressions
        return self._found

    def _read_page(self, layout: _Layout, at: int) -> None:
        count_bytes = struct.calcsize(layout.count)
        counted = layout.numbers(layout.count, self._take(at, count_bytes))
        entries = min(counted[0], MOST_ENTRIES) if counted else 0
        size = 4 + 2 * layout.inline
        table = self._take(at + count_bytes, entries * size + layout.inline)
        for start in range(0, min(entries * size, len(table) - size + 1), size):
            self._read_entry(layout, table[start : start + size])
        self._waiting.extend(layout.numbers(layout.offset, table[entries * size :]))

    def _read_entry(self, layout: _Layout, entry: bytes) -> None:
        tag, kind = layout.numbers("H", entry[:4])
        (count,) = layout.numbers(layout.offset, entry[4 : 4 + layout.inline])
        value = entry[4 + layout.inline :]
        size = count * _TYPE_BYTES.get(kind, 0)
        if size > layout.inline:
            value = self._take(layout.numbers(layout.offset, value)[0], size)
        if tag == _COMPRESSION:
            self._compressions += layout.numbers("H", value[:2])
        elif tag == _DESCRIPTION:
            self._found.descriptions += value[:size]
        elif tag == _SUB_IFDS:
            self._waiting.extend(layout.numbers(layout.offset, value[:size])[:MOST_PAGES])

    def _take(self, at: int, size: int) -> bytes:
        """Read a part of the file, as far as the bound allows."""
        self._complete &= size <= self._left
        self._stream.seek(min(at, (1 << 63) - 1))
        content = self._stream.read(min(size, self._left))
        self._left -= len(content)
        self._found.parts.append(content)
        return content
