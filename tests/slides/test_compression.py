"""How a slide was compressed comes from its file's headers."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import pytest
import tifffile

from napari_pathsrgan.slides.compression import Compression, read_compression

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide

JPEG_BASELINE, JPEG_2000, UNKNOWN = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91", "1.2.3.4"


def compression_of(path: Path, shape: tuple[int, int] = (512, 512)) -> Compression | None:
    return read_compression(cast("Slide", SimpleNamespace(path=path, level_shapes=(shape,))))


def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", group, number, kind, len(value)) + value


def dicom(path: Path, syntax: str, frame: bytes, rows: int = 256, ratio: bytes = b"2.5\\17.3 ") -> Path:
    """Write a DICOM file of one compressed frame, with a table of offsets before it."""
    items = struct.pack("<HHII", 0xFFFE, 0xE000, 4, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame
    path.write_bytes(
        bytes(128) + b"DICM" + element(2, 0x10, b"UI", syntax.encode())
        + element(0x28, 0x10, b"US", struct.pack("<H", rows)) + element(0x28, 0x11, b"US", struct.pack("<H", rows))
        + element(0x28, 0x2112, b"DS", ratio)
        + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + items
    )  # fmt: skip
    return path


@pytest.mark.parametrize("quality", [35, 80])
def test_dicom_says_method_and_ratio_and_its_first_frame_the_tables(tmp_path: Path, quality: int) -> None:
    _, frame = cv2.imencode(".jpg", np.zeros((256, 256, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    found = compression_of(dicom(tmp_path / "a.dcm", JPEG_BASELINE, frame.tobytes()))
    assert found is not None
    assert found.jpeg is not None
    assert (found.method, found.ratio, found.jpeg.quality, found.jpeg.subsampling) == ("JPEG", 17.3, quality, "420")
    assert found.block_phase_px == (0, 0)


def test_dicom_of_other_methods_and_damaged_ones(tmp_path: Path) -> None:
    assert compression_of(dicom(tmp_path / "a.dcm", JPEG_2000, b"")) == Compression("JPEG 2000", ratio=17.3)
    assert compression_of(dicom(tmp_path / "b.dcm", UNKNOWN, b"")) == Compression(
        f"DICOM transfer syntax {UNKNOWN}", ratio=17.3
    )
    odd = compression_of(dicom(tmp_path / "c.dcm", JPEG_BASELINE, b"no JPEG", rows=250, ratio=b"many"))
    assert odd == Compression("JPEG")
    whole = dicom(tmp_path / "d.dcm", JPEG_BASELINE, b"").read_bytes()
    for end in range(132, len(whole), 3):
        (tmp_path / "cut.dcm").write_bytes(whole[:end])
        assert compression_of(tmp_path / "cut.dcm") is not None


def test_a_tiff_says_its_method_and_ratio(tmp_path: Path) -> None:
    image = np.zeros((512, 512, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", tile=(256, 256), compression="zlib")
    found = compression_of(tmp_path / "a.tif")
    assert found is not None
    assert found.method == "Deflate"
    assert found.ratio is not None
    assert found.ratio > 100
    tifffile.imwrite(tmp_path / "b.tif", image, photometric="rgb")
    assert compression_of(tmp_path / "b.tif") == Compression("none", ratio=1.0)


def test_other_files_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"something else")
    (tmp_path / "folder").mkdir()
    assert compression_of(tmp_path / "a.bin") is None
    assert compression_of(tmp_path / "folder") is None
