"""What tells one slide from another: every part of its files, and how it is calibrated."""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_pathsrgan.errors import SlideChangedError
from napari_pathsrgan.slides import fingerprint, tiff_tables
from napari_pathsrgan.slides.dicom_folder import SLIDE_IMAGE
from napari_pathsrgan.slides.fingerprint import file_identity, zarr_identity
from napari_pathsrgan.slides.open_slide import open_slide

from .synthetic import noise, write_aperio


def print_of(path: Path) -> str:
    return file_identity(path).fingerprint


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no file be hashed whole."""
    monkeypatch.setattr(fingerprint, "WHOLE_BYTES", 0)


def flip(path: Path, at: int, keep_times: bool = False) -> None:
    """Change one byte in place."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(at)
        (byte,) = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte ^ 0xFF]))
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# ---- one file --------------------------------------------------------------------------------------------------------


def test_a_copy_under_another_name_has_the_same_fingerprint_and_another_cache_id(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "a.svs", [noise(300, 300)])
    copy = shutil.copy2(path, tmp_path / "b.svs")
    assert print_of(path) == print_of(copy)
    assert file_identity(path).cache_id == file_identity(path).cache_id != file_identity(copy).cache_id


@pytest.mark.parametrize("at", [0, 777, 12_345, 30_001])
def test_each_byte_of_a_small_file_counts(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(30_002))
    before = print_of(path)
    flip(path, at)
    assert print_of(path) != before


def smear(seed: int, shape: tuple[int, int] = (3000, 1000)) -> np.ndarray:
    """White but for some cells in the middle: equal margins whatever the seed."""
    image = np.full((*shape, 3), 255, np.uint8)
    rows, cols = np.random.default_rng(seed).integers(400, 600, (2, 100))
    for row, col in zip(rows * shape[0] // 1000, cols, strict=True):
        image[row : row + 12, col : col + 12] = 90
    return image


@pytest.mark.parametrize("tile", [(256, 256), None], ids=["tiles", "strips"])
def test_large_uncompressed_slides_with_equal_margins_differ(
    tmp_path: Path, sampled: None, tile: tuple[int, int] | None
) -> None:
    prints = set()
    for seed in range(4):
        tifffile.imwrite(tmp_path / "a.tif", smear(seed), photometric="rgb", tile=tile, metadata=None)
        prints.add(print_of(tmp_path / "a.tif"))
    assert len(prints) == 4


def test_blocks_do_not_all_fall_on_one_column() -> None:
    row_bytes = 3 * 1024
    columns = {place % row_bytes // 256 for place in fingerprint._spread(row_bytes * 1024 * 16, 1024)}
    assert len(columns) == 12


def test_a_repaired_copy_is_another_slide(tmp_path: Path, sampled: None) -> None:
    path = write_aperio(tmp_path / "a.svs", [noise(700, 700)], compression=None)
    whole = print_of(path)
    with path.open("r+b") as stream:  # as a copy looks whose transfer lost a part
        stream.seek(path.stat().st_size // 2)
        stream.write(bytes(100_000))
    assert print_of(path) != whole


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_compressed_tiff_counts_with_its_tables(tmp_path: Path, sampled: None, big: bool, order: str) -> None:
    image = noise(600, 900)
    options = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate", "metadata": None}
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, image, bigtiff=big, byteorder=order, **options)
        image[300:303, 400:410] = 0  # a few pixels of one tile
    with (tmp_path / "a.tif").open("rb") as stream:
        assert tiff_tables.read_tables(stream).compressed
    assert print_of(tmp_path / "a.tif") != print_of(tmp_path / "b.tif")


def test_a_description_changed_in_place_counts(tmp_path: Path, sampled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "BLOCKS_OF_COMPRESSED_TIFF", 1)
    monkeypatch.setattr(fingerprint, "END_BYTES", 16)
    path = write_aperio(tmp_path / "a.svs", [noise(900, 900)], mpp=1.465)
    before = print_of(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"MPP = 1.465", b"MPP = 0.465"))
    assert print_of(path) != before


def test_pages_of_sub_ifds_are_read_too(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(noise(256, 256), photometric="rgb", compression="deflate", subifds=1, metadata=None)
        file.write(noise(128, 128), photometric="rgb", subfiletype=1, metadata=None)
    with (tmp_path / "a.tif").open("rb") as stream:
        assert not tiff_tables.read_tables(stream).compressed, "the sub-IFD is stored plainly"


@pytest.mark.parametrize("kind", ["cycle", "cut short", "far away", "many entries", "huge value"])
def test_damaged_tables_are_read_as_far_as_they_go(tmp_path: Path, kind: str) -> None:
    entry = struct.pack("<HHII", 270, 2, 0xFFFF_FFFF if kind == "huge value" else 8, 40)
    count = 0xFFFF if kind == "many entries" else 1
    first = 0xFFFF_FFF0 if kind == "far away" else 8
    following = 8 if kind == "cycle" else 0
    content = b"II*\x00" + struct.pack("<I", first) + struct.pack("<H", count) + entry + struct.pack("<I", following)
    path = tmp_path / "a.tif"
    path.write_bytes(content[:17] if kind == "cut short" else content + bytes(60))
    began = time.process_time()
    assert len(print_of(path)) == 32
    assert time.process_time() - began < 1


def test_a_sparse_file_of_10_gb_takes_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    with path.open("wb") as stream:
        stream.truncate(10_000_000_000)
    spans = []
    for _ in range(9):  # the least: other programs cost time too
        began = time.process_time()
        print_of(path)
        spans.append(time.process_time() - began)
    assert min(spans) < 0.05


def test_a_write_that_leaves_size_and_time_alone_still_changes_the_cache_id(tmp_path: Path, sampled: None) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(30_000_000))
    before = file_identity(path)
    flip(path, 12_345_678, keep_times=True)
    assert file_identity(path).cache_id != before.cache_id


# ---- slides of several files -----------------------------------------------------------------------------------------


def mirax(folder: Path) -> Path:
    (folder / "case").mkdir(parents=True)
    (folder / "case.mrxs").write_bytes(b"\xff\xd8\xffpreview")
    for name in ("Slidedat.ini", "Index.dat", "Data0000.dat", "Data0001.dat"):
        (folder / "case" / name).write_bytes(name.encode() * 5000)
    return folder / "case.mrxs"


def dicom(folder: Path) -> Path:
    folder.mkdir()
    for name, series in (("1.dcm", b"1.2.3 "), ("2", b"1.2.3 "), ("3.dcm", b"1.2.99")):
        head = b"".join(
            struct.pack("<HH2sH", *tag, b"UI", len(value)) + value
            for tag, value in (((0x0008, 0x0016), SLIDE_IMAGE.encode()), ((0x0020, 0x000E), series))
        )
        (folder / name).write_bytes(bytes(128) + b"DICM" + head + name.encode() * 9000)
    return folder / "1.dcm"


def hamamatsu(folder: Path) -> Path:
    folder.mkdir()
    (folder / "case.vms").write_text("[Virtual Microscope Specimen]\nImageFile=a.jpg\nMapFile=map.jpg\n")
    for name in ("a.jpg", "map.jpg"):
        (folder / name).write_bytes(name.encode() * 9000)
    return folder / "case.vms"


def ome_tiff(folder: Path) -> Path:
    folder.mkdir()
    text = '<OME><UUID FileName="first.ome.tif">1</UUID><UUID FileName="second.ome.tif">2</UUID></OME>'
    tifffile.imwrite(folder / "first.ome.tif", noise(64, 64), photometric="rgb", description=text, metadata=None)
    tifffile.imwrite(folder / "second.ome.tif", noise(64, 64, 1), photometric="rgb", metadata=None)
    return folder / "first.ome.tif"


PARTS = [
    (mirax, "case/Data0001.dat"),
    (mirax, "case/Index.dat"),
    (dicom, "2"),
    (hamamatsu, "a.jpg"),
    (ome_tiff, "second.ome.tif"),
]


@pytest.mark.parametrize(("make", "part"), PARTS, ids=lambda value: getattr(value, "__name__", value))
def test_every_file_of_a_slide_counts(tmp_path: Path, make: Callable[[Path], Path], part: str) -> None:
    path = make(tmp_path / "slide")
    before = file_identity(path)
    shutil.copytree(tmp_path / "slide", tmp_path / "copy")
    assert print_of(tmp_path / "copy" / path.name) == before.fingerprint
    flip(tmp_path / "slide" / part, 3000)
    assert print_of(path) != before.fingerprint
    assert before.opened is not None
    assert before.opened.changed()


def test_a_renamed_mirax_slide_stays_the_same(tmp_path: Path) -> None:
    path = mirax(tmp_path / "slide")
    before = print_of(path)
    path.with_suffix("").rename(path.with_name("other"))
    assert print_of(path.rename(path.with_name("other.mrxs"))) == before


def test_another_dicom_slide_in_the_folder_does_not_count(tmp_path: Path) -> None:
    path = dicom(tmp_path / "slide")
    before = print_of(path)
    assert print_of(path.with_name("2")) == before, "whichever of its files is opened"
    flip(path.with_name("3.dcm"), 3000)
    assert print_of(path) == before != print_of(path.with_name("3.dcm"))


# ---- OME-Zarr --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[(2, "."), (2, "/"), (3, "/"), (3, "shards")], ids=str)
def chunked(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two levels in both versions of Zarr, with chunk files beside each other or in folders, or sharded."""
    version, separator = request.param
    group = zarr.create_group(tmp_path / "case.zarr", zarr_format=version)
    for level, side in enumerate((400, 200)):
        keys = {} if separator == "shards" else {"chunk_key_encoding": {"name": "v2" if version == 2 else "default",
                                                                       "separator": separator}}  # fmt: skip
        array = group.create_array(
            str(level), shape=(3, side, side), chunks=(3, 50, 50), dtype="u1", compressors=None,
            shards=(3, 100, 100) if separator == "shards" else None, **keys,
        )  # fmt: skip
        array[:] = noise(side, side).transpose(2, 0, 1)
    return tmp_path / "case.zarr"


def zarr_print(folder: Path) -> str:
    return zarr_identity(folder, ["0", "1"]).fingerprint


def test_each_chunk_and_all_metadata_count(chunked: Path) -> None:
    before = zarr_print(chunked)
    shutil.copytree(chunked, chunked.with_name("copy"))
    assert zarr_print(chunked.with_name("copy")) == before
    files = [file for file in chunked.rglob("*") if file.is_file() and file.name != ".zmetadata"]
    for file in files[:: max(1, len(files) // 12)]:
        flip(file, file.stat().st_size // 2)
        if file.name not in ("zarr.json", ".zarray", ".zgroup"):
            assert zarr_print(chunked) != before, file
        flip(file, file.stat().st_size // 2)
    assert zarr_print(chunked) == before
    max(files, key=lambda file: file.stat().st_size).unlink()
    assert zarr_print(chunked) != before


def test_attributes_of_an_ome_zarr_count(chunked: Path) -> None:
    before = zarr_identity(chunked, ["0", "1"])
    zarr.open_group(chunked).attrs["scale"] = 2.0
    assert zarr_print(chunked) != before.fingerprint
    assert before.opened is not None
    assert before.opened.changed()


def test_a_large_ome_zarr_is_sampled_at_every_level(chunked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "MOST_CHUNKS", 8)
    names = [name for name, _ in fingerprint._sampled_chunks(chunked, ["0", "1"])]
    assert {name[0] for name in names} == {"0", "1"}
    assert 6 <= len(set(names)) <= 8


# ---- while it is open ------------------------------------------------------------------------------------------------


def test_a_slide_replaced_while_it_is_open_gives_no_more_pixels(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "a.svs", [noise(600, 600)])
    other = write_aperio(tmp_path / "b.svs", [noise(600, 600, 1)])
    with open_slide(path) as slide:
        before = slide.read_level(0, 0, 0, 300, 300)
        path.chmod(0o600)
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 300, 300), before)
        other.replace(path)
        with pytest.raises(SlideChangedError, match=r"a.svs was changed or replaced .* Open it again"):
            slide.read_level(0, 300, 300, 100, 100)


def test_a_slide_written_to_while_it_is_open_gives_no_more_pixels(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "a.svs", [noise(600, 600)])
    with open_slide(path) as slide:
        flip(path, 1000)
        with pytest.raises(SlideChangedError):
            slide.read_grid(2.0, 0, 0, 10, 10)


def test_a_slide_that_is_meant_is_told_from_another_at_its_place(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "a.svs", [noise(300, 300)])
    with open_slide(path, 1.5) as slide:
        meant = slide.file_fingerprint
    open_slide(path, 2.5, meant).close()
    write_aperio(path, [noise(300, 300, 1)])
    with pytest.raises(SlideChangedError):
        open_slide(path, 1.5, meant)
