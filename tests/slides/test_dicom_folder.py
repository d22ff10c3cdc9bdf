"""DICOM slides in folders, whatever their files are called."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import SeveralSlidesError, SlideUnreadableError
from napari_pathsrgan.slides.dicom_folder import SLIDE_IMAGE, dicom_slides, series_of_slide
from napari_pathsrgan.slides.open_slide import open_slide, slide_kind, slides_in

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
ITEM, END_OF_ITEM, END_OF_SEQUENCE = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)


def element(tag: tuple[int, int], vr: str, value: bytes, implicit: bool = False, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    if implicit or vr == "":
        return struct.pack("<HHI", *tag, length) + value
    if vr in ("SQ", "UN", "OB"):
        return struct.pack("<HH2sHI", *tag, vr.encode(), 0, length) + value
    return struct.pack("<HH2sH", *tag, vr.encode(), length) + value


def dicom(series: str = "1.2.3", sop_class: str = SLIDE_IMAGE, syntax: str = EXPLICIT, between: bytes = b"") -> bytes:
    """Write the head of a DICOM file."""
    implicit = syntax == IMPLICIT
    return (
        bytes(128)
        + b"DICM"
        + element((2, 2), "UI", b"1.9.9\0")
        + element((2, 0x10), "UI", syntax.encode())
        + element((8, 0x16), "UI", sop_class.encode(), implicit)
        + between
        + element((0x20, 0xE), "UI", series.encode(), implicit)
        + element((0x20, 0x11), "IS", b"1 ", implicit)
    )


def nested(implicit: bool = False) -> bytes:
    """Another series, named in a sequence of undefined length with an item of undefined length, and of known ones."""
    inner = element((0x20, 0xE), "UI", b"9.9.9\0", implicit)
    endless = 0xFFFFFFFF
    unknown = element(ITEM, "", inner, length=endless) + element(END_OF_ITEM, "", b"")
    known = element(ITEM, "", inner)
    return (
        element((8, 0x1115), "SQ", unknown + known, implicit, length=endless)
        + element(END_OF_SEQUENCE, "", b"")
        + element((8, 0x1140), "SQ", known, implicit)
        + element((9, 0x10), "UN", b"\1\2\3\4", implicit)
    )


@pytest.mark.parametrize(
    ("content", "series"),
    [
        (dicom("1.2.840.1\0"), "1.2.840.1"),
        (dicom(syntax=IMPLICIT), "1.2.3"),
        (dicom(between=nested()), "1.2.3"),
        (dicom(syntax=IMPLICIT, between=nested(implicit=True)), "1.2.3"),
        (dicom(sop_class=CT_IMAGE), None),
        (dicom(syntax=BIG_ENDIAN), None),
        (dicom()[:-40], None),
        (dicom()[:140], None),
        (b"\0" * 132, None),
        (b"", None),
        (dicom(between=element((8, 0x1115), "SQ", b"", length=0xFFFFFFFE)), None),
        (dicom(between=element(END_OF_ITEM, "", b"") * 50), None),
    ],
)
def test_the_series_of_a_slide_is_read_from_the_head(tmp_path: Path, content: bytes, series: str | None) -> None:
    (tmp_path / "a").write_bytes(content)
    assert series_of_slide(tmp_path / "a") == series


def test_any_bytes_for_a_head_end_in_an_answer(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(dicom(between=nested()))
        for at in rng.integers(132, len(content), 3):
            content[at] = rng.integers(256)
        (tmp_path / "a").write_bytes(content)
        series_of_slide(tmp_path / "a")


@pytest.fixture
def slide_bytes(shared_slide: Callable[[str], Path]) -> bytes:
    return shared_slide("sm_image.dcm").read_bytes()


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.dcm", "A.DCM", "IM000001", "1.2.840.113.1.0", "DICOM/S0/I0", "DICOM/2026/11/28/7"])
def test_a_folder_opens_whatever_its_files_are_called(tmp_path: Path, slide_bytes: bytes, name: str) -> None:
    put(tmp_path, name, slide_bytes)
    put(tmp_path, "DICOMDIR", bytes(128) + b"DICM")
    put(tmp_path, "0_readme.txt", b"read me")
    put(tmp_path, "scout.dcm", dicom(sop_class=CT_IMAGE))
    assert slide_kind(tmp_path) == "dicom folder"
    assert slides_in(tmp_path) == [tmp_path]
    with open_slide(tmp_path) as slide, open_slide(tmp_path / name) as same:
        assert slide.level_shapes == same.level_shapes == ((50, 50),)
        assert slide.file_fingerprint == same.file_fingerprint


def test_several_slides_in_a_folder_are_all_offered_and_none_is_opened_silently(
    tmp_path: Path, slide_bytes: bytes
) -> None:
    series = series_of_slide(put(tmp_path, "sub/a", slide_bytes))
    assert series is not None
    other = series[:-1] + ("1" if series[-1] != "1" else "2")
    put(tmp_path, "b", slide_bytes.replace(series.encode(), other.encode()))
    with pytest.raises(SeveralSlidesError, match="holds 2 slides: b, sub/a") as caught:
        open_slide(tmp_path)
    assert caught.value.choices == tuple(slides_in(tmp_path)) == (tmp_path / "b", tmp_path / "sub" / "a")
    assert str(tmp_path / "b") in caught.value.remedy
    assert pickle.loads(pickle.dumps(caught.value)).choices == caught.value.choices
    for path in slides_in(tmp_path):
        open_slide(path).close()


def test_a_pipe_beside_a_slide_is_never_waited_for(tmp_path: Path, slide_bytes: bytes) -> None:
    path = put(tmp_path, "a", slide_bytes)
    os.mkfifo(tmp_path / "0")
    for place in (tmp_path, path):
        with pytest.raises(SlideUnreadableError, match="a lies beside 0, which is no file"):
            open_slide(place)


def test_of_many_slides_some_are_named() -> None:
    error = SeveralSlidesError(Path("a"), [Path("a") / f"{number}.dcm" for number in range(300)])
    assert error.problem.endswith("8.dcm, 9.dcm and 290 more.")


def test_what_is_no_slide_in_a_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "ct/1", dicom(sop_class=CT_IMAGE))
    with pytest.raises(SlideUnreadableError, match="no slide is among them"):
        open_slide(tmp_path / "ct")
    for number in range(2):
        put(tmp_path, f"spread/{number}/image", dicom())
    assert not dicom_slides(tmp_path / "spread")[0].is_together
    with pytest.raises(SlideUnreadableError, match="several folders"):
        open_slide(tmp_path / "spread")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SlideUnreadableError, match="neither an OME-Zarr image nor a DICOM slide"):
        open_slide(tmp_path / "empty")
