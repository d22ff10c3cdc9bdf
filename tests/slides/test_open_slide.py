from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile
import zarr
from PIL import Image

from napari_pathsrgan.errors import (
    MissingMppError,
    OptionError,
    PathSRGANError,
    SlideNotFoundError,
    SlideUnreadableError,
)
from napari_pathsrgan.slides.open_slide import open_slide, slide_kind

from .synthetic import noise, write_aperio, write_pyramid

PIXELS = noise(300, 400)
PER_CM = (10_000 / 0.5, 10_000 / 0.5)


def write_ome_zarr(
    folder: Path,
    axes: str = "cyx",
    version: str = "0.5",
    unit: str | None = "micrometer",
    scale: float = 0.5,
    pixels: np.ndarray = PIXELS,
) -> Path:
    """Write two levels, the second half as large, as an OME-Zarr image."""
    group = zarr.open_group(folder, mode="w", zarr_format=3 if version == "0.5" else 2)
    channels = pixels.shape[2]
    datasets = []
    for level, image in enumerate((pixels, pixels[::2, ::2])):
        order = [axis for axis in axes if axis in "cyx"]
        planes = image[..., 0] if "c" not in order else image.transpose(["yxc".index(axis) for axis in order])
        planes = planes.reshape(
            [{"c": channels, "y": image.shape[0], "x": image.shape[1]}.get(axis, 1) for axis in axes]
        )
        chunks = tuple(64 if axis in "yx" else size for axis, size in zip(axes, planes.shape, strict=True))
        group.create_array(str(level), data=planes, chunks=chunks)
        step = [scale * 2**level if axis in "yx" else 1.0 for axis in axes]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": step}]})
    kinds = {"c": "channel", "t": "time"}
    described = [
        {"name": axis, "type": kinds.get(axis, "space")} | ({"unit": unit} if unit and axis in "zyx" else {})
        for axis in axes
    ]
    multiscales = [{"version": version, "axes": described, "datasets": datasets}]
    group.attrs.update(
        {"ome": {"version": "0.5", "multiscales": multiscales}} if version == "0.5" else {"multiscales": multiscales}
    )
    return folder


# ---- what opens ------------------------------------------------------------------------------------------------------


def test_a_real_svs(shared_slide: Callable[[str], Path]) -> None:
    with open_slide(shared_slide("CMU-1-Small-Region.svs")) as slide:
        assert slide.reader.startswith("openslide 4")
        assert slide.mpp == pytest.approx(0.499)
        assert slide.objective_power == 20.0
        assert slide.level_shapes == ((2967, 2220),)
        assert set(slide.associated_images) == {"label", "macro", "thumbnail"}
        assert slide.associated_images["macro"].shape[2] == 3
        assert slide.thumbnail(100).std() > 5


@pytest.mark.parametrize("as_folder", [False, True], ids=["file", "folder"])
def test_a_real_dicom(shared_slide: Callable[[str], Path], tmp_path: Path, as_folder: bool) -> None:
    path = tmp_path / "sm_image.dcm"
    path.write_bytes(shared_slide("sm_image.dcm").read_bytes())
    assert slide_kind(tmp_path) == "dicom folder"
    with open_slide(tmp_path if as_folder else path) as slide:
        assert slide.mpp == pytest.approx(0.499)
        assert slide.level_shapes == ((50, 50),)
        assert slide.vendor == "dicom"


@pytest.mark.parametrize("compression", ["jpeg", "deflate", None])
def test_a_generic_tiled_tiff_is_read_as_openslide_reads_it(tmp_path: Path, compression: str | None) -> None:
    options = {"resolution": PER_CM, "resolutionunit": "CENTIMETER", "compression": compression}
    path = write_pyramid(tmp_path / "a.tif", [PIXELS], **options)
    with open_slide(path) as slide, openslide.OpenSlide(path) as other:
        assert slide.mpp == pytest.approx(0.5)
        assert slide.objective_power is None
        expected = np.asarray(other.read_region((0, 0), 0, (400, 300)))[..., :3]
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 300, 400), expected)


@pytest.mark.parametrize(
    ("pixels", "options", "expected"),
    [
        (PIXELS, {"photometric": "rgb", "rowsperstrip": 16}, PIXELS),
        (PIXELS, {"photometric": "rgb", "rowsperstrip": 16, "compression": "deflate", "predictor": True}, PIXELS),
        (
            PIXELS.transpose(2, 0, 1),
            {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 32},
            PIXELS,
        ),
        (PIXELS[..., 0], {"photometric": "minisblack", "rowsperstrip": 16}, np.repeat(PIXELS[..., :1], 3, axis=2)),
        (
            np.dstack([PIXELS, np.where(np.arange(400) < 200, 255, 0)[None].repeat(300, 0).astype(np.uint8)]),
            {"photometric": "rgb", "extrasamples": ["unassalpha"], "rowsperstrip": 16},
            np.where((np.arange(400) < 200)[None, :, None], PIXELS, 255),
        ),
    ],
    ids=["strips", "deflate with predictor", "planes", "gray", "RGBA on white"],
)
def test_tiffs_that_openslide_refuses(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], expected: np.ndarray
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, resolution=PER_CM, resolutionunit="CENTIMETER", metadata=None, **options
    )
    with open_slide(tmp_path / "a.tif") as slide:
        assert slide.reader.startswith("imagecodecs")
        assert slide.mpp == pytest.approx(0.5)
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 300, 400), expected)
        np.testing.assert_array_equal(slide.read_level(0, 31, 77, 50, 60), expected[31:81, 77:137])


def test_an_ome_tiff_pyramid_with_unit_and_magnification(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        facts = {"axes": "YXS", "PhysicalSizeX": 500.0, "PhysicalSizeXUnit": "nm"}
        facts |= {"PhysicalSizeY": 0.0006, "PhysicalSizeYUnit": "mm"}
        file.write(PIXELS, photometric="rgb", tile=(128, 128), subifds=1, metadata=facts)
        file.write(PIXELS[:-1:2, ::2], photometric="rgb", tile=(128, 128), subfiletype=1)
    with open_slide(tmp_path / "a.ome.tif") as slide:
        assert slide.reader.startswith("imagecodecs")  # OpenSlide sees one level of it, and no pixel size
        assert slide.pixel_size_um == pytest.approx((0.6, 0.5))
        assert slide.level_shapes == ((300, 400), (150, 200))
        assert slide.level_pixel_sizes_um[1] == pytest.approx((1.2, 1.0))
        np.testing.assert_array_equal(slide.read_level(1, 10, 20, 100, 150), PIXELS[:-1:2, ::2][10:110, 20:170])


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [
        ((20_000, 20_000), "CENTIMETER", 0.5),
        ((50_800, 50_800), "INCH", 0.5),
        ((72, 72), "INCH", None),
        ((96, 96), "INCH", None),
        ((300, 300), "INCH", None),
        ((1, 1), "NONE", None),
    ],
    ids=["cm", "inch", "72 dpi", "96 dpi", "300 dpi", "no unit"],
)
@pytest.mark.parametrize("layout", [{"tile": (256, 256)}, {"tile": None, "rowsperstrip": 64}], ids=["tiles", "strips"])
def test_resolution_tags(
    tmp_path: Path, layout: dict[str, Any], resolution: tuple[int, int], unit: str, mpp: float | None
) -> None:
    path = write_pyramid(tmp_path / "a.tif", [PIXELS], resolution=resolution, resolutionunit=unit, **layout)
    if mpp is None:
        with pytest.raises(MissingMppError, match="--mpp"):
            open_slide(path)
    else:
        with open_slide(path) as slide:
            assert slide.mpp == pytest.approx(mpp)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["cyx", "yxc", "tczyx"])
def test_ome_zarr(tmp_path: Path, version: str, axes: str) -> None:
    path = write_ome_zarr(tmp_path / "a.ome.zarr", axes, version)
    assert slide_kind(path) == "zarr"
    with open_slide(path) as slide:
        assert slide.reader.startswith("zarr 3")
        assert slide.mpp == pytest.approx(0.5)
        assert slide.level_mpps == pytest.approx((0.5, 1.0))
        np.testing.assert_array_equal(slide.read_level(0, 31, 77, 150, 160), PIXELS[31:181, 77:237])
        np.testing.assert_array_equal(slide.read_level(1, 0, 0, 150, 200), PIXELS[::2, ::2])


def test_a_gray_ome_zarr(tmp_path: Path) -> None:
    with open_slide(write_ome_zarr(tmp_path / "a.ome.zarr", "yx")) as slide:
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 300, 400), np.repeat(PIXELS[..., :1], 3, axis=2))


def test_the_first_image_of_a_bioformats2raw_collection(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    write_ome_zarr(tmp_path / "a.zarr" / "0", version="0.4")
    with open_slide(tmp_path / "a.zarr") as slide:
        assert slide.level_shapes == ((300, 400), (150, 200))


@pytest.mark.parametrize(
    ("unit", "scale", "mpp"), [("nanometer", 500.0, 0.5), ("micrometer", 0.5, 0.5), ("millimeter", 0.0005, 0.5)]
)
def test_units_of_an_ome_zarr(tmp_path: Path, unit: str, scale: float, mpp: float) -> None:
    with open_slide(write_ome_zarr(tmp_path / "a.ome.zarr", unit=unit, scale=scale)) as slide:
        assert slide.mpp == pytest.approx(mpp)


@pytest.mark.parametrize("unit", [None, "second"])
def test_an_ome_zarr_without_unit_of_length_has_no_mpp(tmp_path: Path, unit: str | None) -> None:
    path = write_ome_zarr(tmp_path / "a.ome.zarr", unit=unit)
    with pytest.raises(MissingMppError):
        open_slide(path)
    with open_slide(path, mpp=0.25) as slide:
        assert slide.level_mpps == (0.25, 0.5)


# ---- what does not ---------------------------------------------------------------------------------------------------


def one_sentence(error: PathSRGANError, path: Path) -> None:
    """The problem names the file and is one sentence, and so is the remedy."""
    for text in (error.problem, error.remedy):
        assert text.endswith(".")
        assert "\n" not in text
        assert ". " not in text
    assert path.name in error.problem


def text_bytes() -> bytes:
    return b"patient;slide\n17;case-17.svs\n"


def jpeg_bytes(tmp_path: Path) -> bytes:
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg")
    return (tmp_path / "photo.jpg").read_bytes()


@pytest.mark.parametrize("suffix", [".svs", ".tif", ".ndpi", ".dcm"])
@pytest.mark.parametrize(
    "kind", ["a JPEG image", "a text file", "a Python pickle", "a ZIP archive", "empty", "damaged"]
)
def test_what_is_no_slide_is_named(tmp_path: Path, kind: str, suffix: str) -> None:
    content = {
        "a JPEG image": jpeg_bytes(tmp_path),
        "a text file": text_bytes(),
        "a Python pickle": pickle.dumps({"weights": [1, 2, 3]}),
        "a ZIP archive": b"PK\x03\x04" + bytes(100),
        "empty": b"",
        "damaged": zlib.compress(PIXELS.tobytes()),
    }[kind]
    path = tmp_path / f"case-17{suffix}"
    path.write_bytes(content)
    with pytest.raises(SlideUnreadableError, match=kind) as raised:
        open_slide(path)
    one_sentence(raised.value, path)


@pytest.mark.parametrize("left", [0.02, 0.3, 0.6, 0.9, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize(
    ("aperio", "layout"),
    [
        (True, {"compression": "jpeg"}),
        (True, {}),
        (False, {"compression": None}),
        (False, {"tile": None, "rowsperstrip": 64}),
        (False, {"tile": None, "compression": None}),
    ],
    ids=["svs jpeg", "svs deflate", "tiles", "strips deflate", "one strip"],
)
def test_a_slide_cut_short(tmp_path: Path, aperio: bool, layout: dict[str, Any], left: float) -> None:
    levels = [noise(711, 913, 1), noise(178, 229, 2), noise(44, 57, 3)]
    whole = (write_aperio if aperio else write_pyramid)(tmp_path / "whole.svs", levels, **layout)
    open_slide(whole, mpp=1.465).close()
    path = tmp_path / "case-17.svs"
    content = whole.read_bytes()
    path.write_bytes(content[: int(len(content) * left)])
    with pytest.raises(SlideUnreadableError, match=r"damaged|no slide format") as raised:
        open_slide(path, mpp=1.465)
    one_sentence(raised.value, path)


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.99])
def test_a_real_svs_cut_short(shared_slide: Callable[[str], Path], tmp_path: Path, left: float) -> None:
    content = shared_slide("CMU-1-Small-Region.svs").read_bytes()
    path = tmp_path / "case-17.svs"
    path.write_bytes(content[: int(len(content) * left)])
    with pytest.raises(SlideUnreadableError, match="damaged") as raised:
        open_slide(path)
    one_sentence(raised.value, path)


@pytest.fixture
def slide_with_a_damaged_tile(tmp_path: Path) -> Path:
    """An SVS of 4 × 4 tiles, the one at (1, 2) overwritten."""
    path = write_aperio(tmp_path / "case-17.svs", [noise(1000, 1000)])
    with tifffile.TiffFile(path) as file:
        offset, size = (part[6] for part in (file.pages.first.dataoffsets, file.pages.first.databytecounts))
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = bytes(size)
    path.write_bytes(content)
    return path


def test_after_a_damaged_tile_the_others_are_still_read(slide_with_a_damaged_tile: Path) -> None:
    with open_slide(slide_with_a_damaged_tile) as slide:
        for _ in range(2):
            with pytest.raises(SlideUnreadableError, match="level 0, row 300, column 600") as raised:
                slide.read_level(0, 300, 600, 10, 10)
            one_sentence(raised.value, slide_with_a_damaged_tile)
            np.testing.assert_array_equal(slide.read_level(0, 10, 10, 40, 50), noise(1000, 1000)[10:50, 10:60])


def test_one_threads_damaged_tile_does_not_fail_the_others(slide_with_a_damaged_tile: Path) -> None:
    picture = noise(1000, 1000)
    with open_slide(slide_with_a_damaged_tile) as slide:

        def read(number: int) -> bool:
            if number % 3:
                return np.array_equal(slide.read_level(0, 700, number, 9, 9), picture[700:709, number : number + 9])
            with pytest.raises(SlideUnreadableError):
                slide.read_level(0, 300, 600, 10, 10)
            return True

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(read, range(60)))


@pytest.mark.parametrize("tile", [(256, 256), None], ids=["tiles", "strips"])
def test_sixteen_bits_are_refused(tmp_path: Path, tile: tuple[int, int] | None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS.astype(np.uint16), tile=tile, photometric="rgb")
    with pytest.raises(SlideUnreadableError, match="16-bit") as raised:
        open_slide(path, mpp=0.5)
    one_sentence(raised.value, path)


@pytest.mark.parametrize(
    ("pixels", "options", "problem"),
    [
        (noise(300, 400)[None].repeat(5, 0), {"photometric": "rgb"}, "stack"),
        (PIXELS[..., [0, 1, 2, 0]], {"photometric": "separated"}, "CMYK"),
    ],
    ids=["stack", "CMYK"],
)
def test_other_pictures_are_refused(tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], problem: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options)
    with pytest.raises(SlideUnreadableError, match=problem):
        open_slide(path, mpp=0.5)


def test_a_mirax_index_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "case-17.mrxs"
    path.write_bytes(jpeg_bytes(tmp_path))
    with pytest.raises(SlideUnreadableError, match="folder case-17"):
        open_slide(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(SlideNotFoundError, match=r"nowhere\.svs"):
        open_slide(tmp_path / "nowhere.svs")


def test_a_folder_without_a_slide(tmp_path: Path) -> None:
    assert slide_kind(tmp_path) is None
    with pytest.raises(SlideUnreadableError, match="OME-Zarr"):
        open_slide(tmp_path)


def test_an_ome_zarr_whose_level_is_missing(tmp_path: Path) -> None:
    path = write_ome_zarr(tmp_path / "a.ome.zarr")
    (path / "1" / "zarr.json").unlink()
    with pytest.raises(SlideUnreadableError, match="damaged"):
        open_slide(path)


def test_an_ome_zarr_with_a_damaged_chunk(tmp_path: Path) -> None:
    path = write_ome_zarr(tmp_path / "a.ome.zarr")
    (path / "0" / "c" / "0" / "4" / "6").write_bytes(b"not compressed")
    with pytest.raises(SlideUnreadableError, match="level 0"):
        open_slide(path)


@pytest.mark.parametrize("problem", ["float32", "2 channels"])
def test_an_ome_zarr_of_something_else(tmp_path: Path, problem: str) -> None:
    pixels = PIXELS.astype(np.float32) if problem == "float32" else noise(300, 400)[..., :2]
    with pytest.raises(SlideUnreadableError, match=problem):
        open_slide(write_ome_zarr(tmp_path / "a.ome.zarr", pixels=pixels))


@pytest.mark.parametrize("mpp", [0.0, -1.0, float("nan"), float("inf")])
def test_a_told_mpp_must_make_sense(tmp_path: Path, mpp: float) -> None:
    with pytest.raises(OptionError, match="--mpp"):
        open_slide(tmp_path / "a.svs", mpp=mpp)


def test_a_slide_without_mpp_opens_when_told(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "a.svs", [PIXELS], mpp=None)
    with pytest.raises(MissingMppError) as raised:
        open_slide(path)
    one_sentence(raised.value, path)
    with open_slide(path, mpp=1.465) as slide:
        assert slide.mpp == 1.465
