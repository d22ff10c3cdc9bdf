"""TIFFs put together from bytes: what no library writes, by the rules or against them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

SHORT, LONG, RATIONAL, DOUBLE = 3, 4, 5, 12
_FORMS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 7: "B", 11: "f", 12: "d"}

Entry = tuple[int, int, Sequence[float]]
"""Tag, type and values; of rationals both numbers."""


def write_tiff(path: Path, pages: Sequence[Sequence[Entry]], segments: Sequence[bytes], order: str = "<") -> Path:
    """Write a TIFF whose segments follow its header; in the tags 273 and 324, value n stands for segment n's offset."""
    content = bytearray(struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 0))
    offsets = []
    for segment in segments:
        offsets.append(len(content))
        content += segment + bytes(len(segment) % 2)
    link = 4
    for entries in pages:
        table = []
        for tag, kind, values in sorted(entries):
            placed = [offsets[int(value)] for value in values] if tag in (273, 324) else values
            size = len(struct.pack(order + _FORMS[kind], *[0] * len(_FORMS[kind])))
            value = struct.pack(f"{order}{len(placed)}{_FORMS[kind][0]}", *placed)
            if len(value) > 4:
                at = len(content)
                content += value + bytes(len(value) % 2)
                value_field = struct.pack(order + "I", at)
            else:
                value_field = value.ljust(4, b"\0")
            table.append(struct.pack(order + "HHI", tag, kind, len(value) // size) + value_field)
        struct.pack_into(order + "I", content, link, len(content))
        content += struct.pack(order + "H", len(table)) + b"".join(table)
        link = len(content)
        content += bytes(4)
    path.write_bytes(content)
    return path


def image_entries(rows: int, cols: int, photometric: int = 2, samples: int = 3, bits: int = 8) -> list[Entry]:
    """List the tags of one uncompressed strip of 0.5 µm/px, without those of the strip's place and size."""
    return [
        (256, LONG, [cols]),
        (257, LONG, [rows]),
        (258, SHORT, [bits] * samples),
        (259, SHORT, [1]),
        (262, SHORT, [photometric]),
        (277, SHORT, [samples]),
        (278, LONG, [rows]),
        (282, RATIONAL, [20_000, 1]),
        (283, RATIONAL, [20_000, 1]),
        (296, SHORT, [3]),
    ]


def strip_entries(size: int, number: int = 0) -> list[Entry]:
    """List the tags of a page's only strip."""
    return [(273, LONG, [number]), (279, LONG, [size])]


def with_tag(entries: Sequence[Entry], *changed: Entry) -> list[Entry]:
    """Replace tags, or add them."""
    return [entry for entry in entries if entry[0] not in {tag for tag, _, _ in changed}] + list(changed)
