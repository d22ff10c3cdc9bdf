"""TIFFs that are damaged, or made to harm: each is refused in a process of its own, within time and memory."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_pathsrgan.errors import OptionError, SlideNotFoundError, SlideUnreadableError
from napari_pathsrgan.slides import tiff_header
from napari_pathsrgan.slides.open_slide import open_slide

from .fuzzing import (
    FORMATS,
    GOOD,
    MEMORY_LIMIT_BYTES,
    Format,
    Nursery,
    damaged_files,
    tiff_structure,
    write_plain_tiff,
    write_svs,
)
from .synthetic import noise
from .tiff_bytes import LONG, SHORT, image_entries, strip_entries, with_tag, write_tiff

TRIES = 25
TIFFS = [kind for kind in FORMATS if kind.aim is tiff_structure]


@pytest.mark.parametrize("kind", TIFFS, ids=lambda kind: kind.name)
def test_damaged_files_are_opened_or_refused(nursery: Nursery, tmp_path: Path, kind: Format) -> None:
    for path in damaged_files(kind, tmp_path, TRIES, seed=19):
        outcome = nursery.watch(kind, path)
        assert outcome.kind in GOOD, outcome.detail
        assert outcome.peak_bytes < MEMORY_LIMIT_BYTES


@pytest.mark.parametrize("write", [write_plain_tiff, write_svs], ids=["plain", "SVS"])
def test_a_tiff_cut_anywhere_is_refused(nursery: Nursery, tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    kind = next(kind for kind in FORMATS if kind.name == "SVS")
    for left in (0, 1, 3, 4, 7, 8, 9, 15, *np.linspace(16, len(content) - 1, 12).astype(int)):
        path.write_bytes(content[:left])
        outcome = nursery.watch(kind, path)
        assert outcome.kind == "refused", (left, outcome.detail)


# ---- made by hand ----------------------------------------------------------------------------------------------------


def plain(path: Path, *changed: tiff_header.Page | object) -> Path:
    entries = with_tag(image_entries(8, 8) + strip_entries(192), *changed)  # type: ignore[arg-type]
    return write_tiff(path, [entries], [bytes(192)])


def pages_in_a_circle(path: Path) -> Path:
    content = bytearray(plain(path).read_bytes())
    first = struct.unpack_from("<I", content, 4)[0]
    entries = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)
    path.write_bytes(content)
    return path


def sub_page_in_a_circle(path: Path) -> Path:
    content = plain(path, (330, LONG, [0])).read_bytes()
    first = struct.unpack_from("<I", content, 4)[0]
    return plain(path, (330, LONG, [first]))


def a_million_pages(path: Path) -> Path:
    page = struct.pack("<H", 0)
    offsets = [8 + 6 * number for number in range(1_000_001)]
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8) + b"".join(page + struct.pack("<I", offset) for offset in offsets[1:])
    )
    return path


def a_huge_image(path: Path) -> Path:
    return plain(path, (256, LONG, [2**31]), (257, LONG, [2**31]))


def huge_tiles(path: Path) -> Path:
    tile = [(322, LONG, [1 << 20]), (323, LONG, [1 << 20]), (324, LONG, [0]), (325, LONG, [192])]
    return plain(path, *tile)


def tiles_of_no_size(path: Path) -> Path:
    return plain(path, (322, LONG, [0]), (323, LONG, [0]), (324, LONG, [0]), (325, LONG, [192]))


def a_huge_tile_in_an_svs(path: Path) -> Path:
    """What made GLib end the process."""
    content = bytearray(write_svs(path.parent).read_bytes())
    with tifffile.TiffFile(path.parent / "slide.svs") as file:
        tags = file.pages.first.tags
        for code in (322, 323):
            content[tags[code].offset + 2 : tags[code].offset + 12] = struct.pack("<HII", 4, 1, 1 << 30)
    path.write_bytes(content)
    return path


def a_deflate_bomb(path: Path) -> Path:
    """A strip of a few MB that decodes to three GB."""
    squeeze = zlib.compressobj(1)
    strip = b"".join([*(squeeze.compress(bytes(1 << 24)) for _ in range(20)), squeeze.flush()])
    entries = [(256, LONG, [40_000]), (257, LONG, [25_000]), (278, LONG, [25_000]), (259, SHORT, [8])]
    return write_tiff(path, [with_tag(image_entries(8, 8) + strip_entries(len(strip)), *entries)], [strip])


def a_tile_that_decodes_to_more_than_it_holds(path: Path) -> Path:
    strip = zlib.compress(bytes(1 << 26), 1)
    return write_tiff(path, [with_tag(image_entries(8, 8) + strip_entries(len(strip)), (259, SHORT, [8]))], [strip])


def a_jpeg_larger_than_its_tile(path: Path) -> Path:
    jpeg = bytearray(imagecodecs.jpeg8_encode(noise(8, 8)))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65_000, 65_000)
    return write_tiff(
        path, [with_tag(image_entries(8, 8) + strip_entries(len(jpeg)), (259, SHORT, [7]))], [bytes(jpeg)]
    )


def a_tag_larger_than_the_file(path: Path) -> Path:
    content = bytearray(plain(path, (320, SHORT, range(8))).read_bytes())
    at = content.index(struct.pack("<HHI", 320, 3, 8))
    struct.pack_into("<I", content, at + 4, 2**31 - 1)
    path.write_bytes(content)
    return path


def no_segments(path: Path) -> Path:
    return write_tiff(path, [image_entries(8, 8)], [])


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (pages_in_a_circle, "leads back to itself"),
        (sub_page_in_a_circle, "leads back to itself"),
        (a_million_pages, "more than 10,000 pages"),
        (a_huge_image, "larger than any slide"),
        (huge_tiles, "larger than any slide"),
        (tiles_of_no_size, "damaged"),
        (a_huge_tile_in_an_svs, "larger than any slide"),
        (a_deflate_bomb, "compressed in parts of 3.0 GB"),
        (a_tile_that_decodes_to_more_than_it_holds, "cannot be read at level 0"),
        (a_jpeg_larger_than_its_tile, "cannot be read at level 0"),
        (a_tag_larger_than_the_file, "damaged"),
        (no_segments, "damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_hostile_tiff_is_refused(
    nursery: Nursery, tmp_path: Path, write: Callable[[Path], Path], problem: str
) -> None:
    outcome = nursery.watch(FORMATS[0], write(tmp_path / "a.tif"))
    assert outcome.kind == "refused", outcome.detail
    assert problem in outcome.detail
    assert outcome.seconds < 5
    assert outcome.peak_bytes < 1 << 29


@pytest.mark.parametrize("size", [0, 3, 128, 500, 100_000])
def test_a_damaged_colour_profile_costs_only_the_profile(tmp_path: Path, size: int) -> None:
    profile = np.random.default_rng(size).bytes(size)
    for name in ("a.tif", "a.svs"):
        text = "Aperio Image Library\n64x64 (32x32)|AppMag = 4|MPP = 1.465" if name == "a.svs" else "plain"
        options = {"photometric": "rgb", "tile": (32, 32), "description": text, "metadata": None}
        tifffile.imwrite(tmp_path / name, noise(64, 64), iccprofile=profile or None, **options)
        with open_slide(tmp_path / name, mpp=1.465) as slide:
            np.testing.assert_array_equal(slide.read_level(0, 0, 0, 64, 64), noise(64, 64))


@pytest.mark.parametrize("compression", ["jpeg", "deflate", "lzw"])
def test_a_tile_damaged_deep_inside_is_named_and_the_others_are_read(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(256, 256), photometric="rgb", tile=(64, 64), compression=compression, metadata=None)
    with open_slide(path, mpp=1.0) as slide:
        before = slide.read_level(0, 0, 0, 256, 256)
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages.first.dataoffsets[6], file.pages.first.databytecounts[6]
    content = bytearray(path.read_bytes())
    content[offset + size // 2 : offset + size] = bytes(size - size // 2)
    path.write_bytes(content)
    with open_slide(path, mpp=1.0) as slide:
        with pytest.raises(SlideUnreadableError, match="level 0, row 70, column 140"):
            slide.read_level(0, 70, 140, 10, 10)
        np.testing.assert_array_equal(slide.read_level(0, 130, 0, 126, 256), before[130:])


# ---- what is no file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tif", "a.svs", "a.ome.tif"])
def test_a_pipe_in_place_of_a_file_is_refused(nursery: Nursery, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    outcome = nursery.watch(FORMATS[0], tmp_path / name)
    assert outcome.kind == "refused", outcome.detail


def test_a_device_in_place_of_a_file_is_refused(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "a.tif").symlink_to("/dev/zero")
    outcome = nursery.watch(FORMATS[0], tmp_path / "a.tif")
    assert outcome.kind == "refused", outcome.detail


@pytest.mark.parametrize("name", ["a\0b.tif", "a" * 5000])
def test_a_name_that_no_file_can_have_is_not_found(name: str) -> None:
    with pytest.raises(SlideNotFoundError):
        open_slide(name)


@pytest.mark.parametrize("mpp", [1e-320, 1e-9, 0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_pixel_size_that_no_pixel_has_is_refused(tmp_path: Path, mpp: float) -> None:
    with pytest.raises(OptionError, match="--mpp"):
        open_slide(plain(tmp_path / "a.tif"), mpp)
