"""Rows read from the pages of an SQLite file one by one, however damaged the rest of the file is.

Follows the file format's description (https://www.sqlite.org/fileformat2.html): a leaf page of a table begins with the
byte 13, the number of its rows is at offset 3, their offsets within the page follow at 8. Rows that go on in another
page are passed over: no row of a rater's does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from napari_pathsrgan.review.schema import PAGE_BYTES

Value = int | float | str | bytes | None

_LEAF = 13
_HEADER_BYTES = 100
"""Of the file, before the first page's own."""
_MOST_ON_A_PAGE = PAGE_BYTES - 35
"""Bytes of a row that has no second page."""
_MOST_COLUMNS = 7
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class Row(NamedTuple):
    """A row and its number in its table."""

    number: int
    values: tuple[Value, ...]


def readable_rows(path: Path) -> Iterator[Row]:
    """Every row of every page that can be read, of whatever table; nothing where the file can't be opened."""
    try:
        with path.open("rb") as file:
            start = _HEADER_BYTES
            while page := file.read(PAGE_BYTES):
                yield from _rows_of(page, start)
                start = 0
    except OSError:
        return


def _rows_of(page: bytes, start: int) -> Iterator[Row]:
    if len(page) < start + 8 or page[start] != _LEAF:
        return
    (count,) = struct.unpack_from(">H", page, start + 3)
    for place in range(start + 8, min(start + 8 + 2 * count, len(page) - 1), 2):
        (offset,) = struct.unpack_from(">H", page, place)
        try:
            yield _row_at(page, offset)
        except (IndexError, ValueError, struct.error):
            continue


def _row_at(page: bytes, offset: int) -> Row:
    length, offset = _varint(page, offset)
    number, offset = _varint(page, offset)
    if length > _MOST_ON_A_PAGE or offset + length > len(page):
        raise ValueError("The row goes on elsewhere.")
    return Row(number, _values(page[offset : offset + length]))


def _values(record: bytes) -> tuple[Value, ...]:
    head, at = _varint(record, 0)
    kinds: list[int] = []
    while at < head:
        kind, at = _varint(record, at)
        kinds.append(kind)
    if at != head or len(kinds) > _MOST_COLUMNS:
        raise ValueError("This is no row of a review.")
    values = []
    for kind in kinds:
        value, at = _value(record, at, kind)
        values.append(value)
    return tuple(values)


def _value(record: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in (0, 8, 9):
        return (None, 0, 1)[max(kind - 7, 0)], at
    if kind in _INTEGER_BYTES:
        end = at + _INTEGER_BYTES[kind]
        return int.from_bytes(_cut(record, at, end), "big", signed=True), end
    if kind == 7:
        return float(struct.unpack(">d", _cut(record, at, at + 8))[0]), at + 8
    if kind < 12:
        raise ValueError("There is no such kind of value.")
    end = at + (kind - 12) // 2
    part = _cut(record, at, end)
    return (part.decode() if kind % 2 else part), end


def _cut(record: bytes, start: int, end: int) -> bytes:
    if end > len(record):
        raise ValueError("The row is cut off.")
    return record[start:end]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, 7 bits in each but the ninth; and where it ends."""
    value = 0
    for offset in range(8):
        byte = data[at + offset]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + offset + 1
    return value << 8 | data[at + 8], at + 9
