from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from napari_pathsrgan import doctor
from napari_pathsrgan.slides.slide_kind import READ_BY, slide_kind


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


def test_the_manifest_the_doctor_and_the_docs_name_the_suffixes_that_are_read() -> None:
    root = Path(__file__).parents[2]
    manifest = yaml.safe_load((root / "src" / "napari_pathsrgan" / "napari.yaml").read_text(encoding="utf-8"))
    patterns = [pattern for reader in manifest["contributions"]["readers"] for pattern in reader["filename_patterns"]]
    assert sorted(patterns) == sorted(f"*{suffix}" for suffixes in READ_BY.values() for suffix in suffixes)
    documented = (root / "docs" / "slides.md").read_text(encoding="utf-8").partition("## Pixel size")[0]
    rows = {reader.strip().lower(): set(re.findall(r"`(\.\w+)`", files)) for files, reader in _table(documented)}
    assert rows == {reader: set(suffixes) for reader, suffixes in READ_BY.items()}
    found = {finding.name: finding.found for finding in doctor._readers()}
    for reader, suffixes in READ_BY.items():
        assert found[reader].endswith(": " + ", ".join(suffix[1:].upper() for suffix in suffixes))


def _table(text: str) -> list[tuple[str, str]]:
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [(files, reader) for files, reader in cells[1:]]


@pytest.mark.parametrize("suffix", READ_BY["imagecodecs"])
def test_a_tiff_of_any_suffix_is_claimed(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"II*\0")
    assert slide_kind(tmp_path / f"a{suffix}") is not None


def test_asking_loads_no_reader() -> None:
    code = (
        "import sys, napari_pathsrgan.slides.slide_kind; "
        "print([name for name in ('dask', 'numpy', 'openslide', 'tifffile', 'torch', 'zarr') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
