"""Slides in a folder of DICOM files, whatever the files are called: as they leave an archive or lie on a disc.

Only the standard library is imported here, as a viewer asks before anything else of us is needed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_pathsrgan.bounded_json import open_regular_file

Tag = tuple[int, int]
"""Group and element number."""

SLIDE_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""SOP class "VL Whole Slide Microscopy Image Storage" (DICOM PS3.4, annex B)."""
_HEAD_BYTES = 1 << 18
"""The series is named among the first elements, before any pixels or profiles."""
_MOST_FILES, _FILES_LOOKED_AT, _MOST_DEPTH = 20_000, 200, 8
_IMPLICIT, _BIG_ENDIAN, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_LONG_VALUES = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_UNDEFINED = 0xFFFFFFFF
TRANSFER_SYNTAX, _SOP_CLASS, _SERIES = (0x0002, 0x0010), (0x0008, 0x0016), (0x0020, 0x000E)
_ITEM, _ITEM_GROUP = 0xE000, 0xFFFE


@dataclass(frozen=True)
class DicomSlide:
    """The files of one slide: a series of DICOM.

    Attributes
    ----------
    series : str
        Series Instance UID.
    files : tuple of Path
        In the order of their names; the first stands for the slide.
    """

    series: str
    files: tuple[Path, ...]

    @property
    def is_together(self) -> bool:
        """Whether all files lie in one folder, as OpenSlide wants them."""
        return len({file.parent for file in self.files}) == 1


def holds_dicom(folder: Path) -> bool:
    """Say whether one of a folder's first files, or of its sub-folders', is DICOM: fast, whatever is in it."""
    return any(is_dicom(file) for file in _files_below(folder, _FILES_LOOKED_AT))


def is_dicom(path: Path) -> bool:
    """Say whether a file begins as DICOM does; False where it can't be read."""
    return _head(path, 132)[128:] == b"DICM"


def dicom_slides(folder: Path) -> list[DicomSlide]:
    """List the slides in a folder and its sub-folders, in the order of their first files."""
    series: dict[str, list[Path]] = {}
    for file in _files_below(folder, _MOST_FILES):
        uid = series_of_slide(file)
        if uid is not None:
            series.setdefault(uid, []).append(file)
    slides = [DicomSlide(uid, tuple(files)) for uid, files in series.items()]
    return sorted(slides, key=lambda slide: slide.files[0])


def series_of_slide(path: Path) -> str | None:
    """Read the Series Instance UID of a DICOM file that belongs to a slide; None of any other file."""
    found = read_elements(path, frozenset((_SOP_CLASS, _SERIES)))
    is_slide = element_text(found, _SOP_CLASS) == SLIDE_IMAGE
    return element_text(found, _SERIES) if is_slide and _SERIES in found else None


def read_elements(path: Path, wanted: frozenset[Tag]) -> dict[Tag, bytes]:
    """Read some of a DICOM file's outermost elements, and its transfer syntax.

    Parameters
    ----------
    path : Path
    wanted : frozenset of (group, element)
        They lie within the first 256 KiB, before any pixels.

    Returns
    -------
    dict of (group, element) to bytes
        Empty where the file is not DICOM; without those that it does not hold.
    """
    head = _head(path, _HEAD_BYTES)
    found: dict[Tag, bytes] = {}
    if head[128:132] != b"DICM":
        return found
    with suppress(struct.error):  # it ends within an element
        found.update(_elements(head, wanted | {TRANSFER_SYNTAX}))
    return found


def element_text(found: dict[Tag, bytes], tag: Tag) -> str:
    """Return an element's text without its padding; empty where there is none."""
    return _text(found.get(tag, b""))


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip("\0 ")


def _elements(head: bytes, wanted: frozenset[Tag]) -> Iterator[tuple[Tag, bytes]]:
    """List the wanted ones of the outermost elements; sequences are passed over."""
    at, depth, last, syntax = 132, 0, max(wanted), ""
    while True:
        tag: Tag = struct.unpack_from("<HH", head, at)
        if depth == 0 and tag > last:
            return
        if tag[0] == _ITEM_GROUP:
            (length,) = struct.unpack_from("<I", head, at + 4)
            opens = tag[1] == _ITEM
            depth += 1 if opens and length == _UNDEFINED else 0 if opens else -1
            at += 8 + (length if opens and length != _UNDEFINED else 0)
            continue
        if tag[0] > 2 and syntax in (_BIG_ENDIAN, _DEFLATED):
            return
        start, length = _value(head, at, explicit=tag[0] <= 2 or syntax != _IMPLICIT)
        if length == _UNDEFINED:
            depth, length = depth + 1, 0
        elif depth == 0 and tag in wanted:
            value = head[start : start + length]
            syntax = _text(value) if tag == TRANSFER_SYNTAX else syntax
            yield tag, value
        at = start + length


def _value(head: bytes, at: int, explicit: bool) -> tuple[int, int]:
    """Return where an element's value starts, and its length."""
    if not explicit:
        return at + 8, struct.unpack_from("<I", head, at + 4)[0]
    if head[at + 4 : at + 6] in _LONG_VALUES:
        return at + 12, struct.unpack_from("<I", head, at + 8)[0]
    return at + 8, struct.unpack_from("<H", head, at + 6)[0]


def _files_below(folder: Path, most: int) -> Iterator[Path]:
    """List files in the order of their paths, up to a number and a depth; links to folders are not followed."""
    left = most
    for place, folders, names in os.walk(folder):
        folders.sort()
        if len(Path(place).relative_to(folder).parts) >= _MOST_DEPTH:
            folders.clear()
        for name in sorted(names)[:left]:
            yield Path(place, name)
        left -= len(names)
        if left <= 0:
            return


def _head(path: Path, size: int) -> bytes:
    try:
        with open_regular_file(path) as file:
            return file.read(size)
    except OSError:
        return b""
