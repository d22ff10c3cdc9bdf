from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_pathsrgan.slides.slide_kind import slide_kind


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.svs", b"whatever", "openslide"),
        ("a.MRXS", b"whatever", "openslide"),
        ("a.tif", b"II*\x00 and more", "tiff"),
        ("a.tiff", b"MM\x00+ and more", "tiff"),
        ("a.tif", b"text", None),
        ("a.png", b"\x89PNG", None),
        ("a.json", b"{}", None),
        ("1.2.840.113.1.0", bytes(128) + b"DICM", "openslide"),
        ("IM000001", bytes(128) + b"DICM", "openslide"),
        ("IM000001", b"", None),
    ],
)
def test_slide_kind(tmp_path: Path, name: str, content: bytes, kind: str | None) -> None:
    (tmp_path / name).write_bytes(content)
    assert slide_kind(tmp_path / name) == kind


def test_slide_kind_of_nothing(tmp_path: Path) -> None:
    assert slide_kind(tmp_path / "nowhere.svs") is None


@pytest.mark.parametrize(
    ("file", "content", "kind"),
    [
        (".zattrs", '{"multiscales": []}', "zarr"),
        (".zattrs", '{"bioformats2raw.layout": 3}', "zarr"),
        ("zarr.json", '{"attributes": {"ome": {"multiscales": []}}}', "zarr"),
        ("zarr.json", '{"attributes": {}}', None),
        ("zarr.json", "[1, 2]", None),
        ("zarr.json", "no json", None),
        ("a.DCM", "\0" * 128 + "DICM", "dicom folder"),
        ("IM000001", "\0" * 128 + "DICM", "dicom folder"),
        ("a.dcm", "", None),
        ("notes.txt", "", None),
    ],
)
def test_slide_kind_of_a_folder(tmp_path: Path, file: str, content: str, kind: str | None) -> None:
    (tmp_path / file).write_text(content)
    assert slide_kind(tmp_path) == kind


def test_asking_loads_no_reader() -> None:
    code = (
        "import sys, napari_pathsrgan.slides.slide_kind; "
        "print([name for name in ('dask', 'numpy', 'openslide', 'tifffile', 'torch', 'zarr') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
