"""Pixels and calibration of TIFFs, against the standard and, where they agree with it, other readers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_pathsrgan.errors import MissingMppError, SlideUnreadableError
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.slide import Slide

from .synthetic import noise
from .tiff_bytes import DOUBLE, LONG, RATIONAL, SHORT, image_entries, strip_entries, with_tag, write_tiff

PIXELS = noise(70, 90)
PER_CM: dict[str, Any] = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER", "metadata": None}


def smooth(rows: int = 64, cols: int = 96) -> np.ndarray:
    """An image without sharp edges, which chroma of half the resolution shows as it is."""
    row, col = np.mgrid[:rows, :cols]
    return np.stack([150 + col // 4, 90 + row // 4, 190 - col // 8], -1).astype(np.uint8)


def whole(slide: Slide) -> np.ndarray:
    return slide.read_level(0, 0, 0, *slide.level_shapes[0])


def whole_of(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        return whole(slide)


def ycbcr(rgb: np.ndarray, luma: tuple[float, float, float] = (0.299, 0.587, 0.114)) -> np.ndarray:
    """Convert to YCbCr by TIFF 6.0 § 21, with codes 0 to 255 and 128 for no colour."""
    red, green, blue = np.moveaxis(rgb.astype(float), -1, 0)
    y = luma[0] * red + luma[1] * green + luma[2] * blue
    cb, cr = (blue - y) / (2 - 2 * luma[2]) + 128, (red - y) / (2 - 2 * luma[0]) + 128
    return np.clip(np.rint(np.stack([y, cb, cr], -1)), 0, 255).astype(np.uint8)


def subsampled(codes: np.ndarray, horizontal: int, vertical: int) -> bytes:
    """Pack YCbCr in units, the image grown by its edge to whole ones."""
    rows, cols = codes.shape[:2]
    grown = np.pad(codes, ((0, -rows % vertical), (0, -cols % horizontal), (0, 0)), mode="edge")
    down, across = grown.shape[0] // vertical, grown.shape[1] // horizontal
    units = grown.reshape(down, vertical, across, horizontal, 3).swapaxes(1, 2).reshape(down, across, -1, 3)
    luma, chroma = units[..., 0], np.rint(units[..., 1:].mean(2)).astype(np.uint8)
    return np.concatenate([luma, chroma], axis=2).tobytes()


# ---- YCbCr -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (32, 32)}, {"planarconfig": "separate"}])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "packbits", "lzma"])
def test_ycbcr_without_jpeg(tmp_path: Path, layout: dict[str, Any], compression: str | None) -> None:
    codes = ycbcr(smooth())
    data = np.moveaxis(codes, -1, 0) if "planarconfig" in layout else codes
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="ycbcr", subsampling=(1, 1), compression=compression, **layout, **PER_CM)
    with open_slide(path) as slide:
        np.testing.assert_allclose(whole(slide), smooth(), atol=2)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("subsampling", [(2, 2), (2, 1), (1, 2), (4, 1), (4, 2), (4, 4), (1, 1)])
@pytest.mark.parametrize("compression", [1, 5, 8])
def test_subsampled_ycbcr_in_strips(tmp_path: Path, order: str, subsampling: tuple[int, int], compression: int) -> None:
    rgb = smooth(50, 70)
    encode = {1: bytes, 5: imagecodecs.lzw_encode, 8: imagecodecs.zlib_encode}[compression]
    strips = [encode(subsampled(ycbcr(rgb[top : top + 16]), *subsampling)) for top in range(0, 50, 16)]
    entries = with_tag(
        image_entries(50, 70, photometric=6),
        (259, SHORT, [compression]),
        (278, LONG, [16]),
        (530, SHORT, subsampling),
        (273, LONG, range(len(strips))),
        (279, LONG, [len(strip) for strip in strips]),
    )
    path = write_tiff(tmp_path / "a.tif", [entries], strips, order)
    with open_slide(path) as slide:
        np.testing.assert_allclose(whole(slide), rgb, atol=3)
        np.testing.assert_array_equal(slide.read_level(0, 13, 7, 30, 40), whole(slide)[13:43, 7:47])
    if compression == 8:  # OpenCV's libtiff repeats chroma likewise
        np.testing.assert_allclose(np.asarray(cv2.imread(str(path)))[..., ::-1], whole_of(path), atol=1)


def test_chroma_is_halved_where_the_file_does_not_say_otherwise(tmp_path: Path) -> None:
    rgb = smooth(32, 32)
    coded = subsampled(ycbcr(rgb), 2, 2)
    path = write_tiff(tmp_path / "a.tif", [image_entries(32, 32, 6) + strip_entries(len(coded))], [coded])
    with open_slide(path) as slide:
        np.testing.assert_allclose(whole(slide), rgb, atol=3)


def test_subsampled_planes(tmp_path: Path) -> None:
    rgb = smooth(32, 48)
    codes = ycbcr(rgb)
    planes = [codes[..., 0].tobytes(), *(codes[::2, ::2, plane].tobytes() for plane in (1, 2))]
    entries = with_tag(
        image_entries(32, 48, 6),
        (284, SHORT, [2]),
        (530, SHORT, [2, 2]),
        (273, LONG, [0, 1, 2]),
        (279, LONG, [len(plane) for plane in planes]),
    )
    with open_slide(write_tiff(tmp_path / "a.tif", [entries], planes)) as slide:
        np.testing.assert_allclose(whole(slide), rgb, atol=3)


def test_coefficients_and_reference_black_and_white_of_the_file_itself(tmp_path: Path) -> None:
    luma = (0.2126, 0.7152, 0.0722)
    full = ycbcr(smooth(), luma).astype(float)
    codes = np.rint(full * [219 / 255, 224 / 255, 224 / 255] + [16, 128 * 31 / 255, 128 * 31 / 255]).clip(0, 255)
    codes = codes.astype(np.uint8).tobytes()
    entries = with_tag(
        image_entries(64, 96, 6),
        (530, SHORT, [1, 1]),
        (529, RATIONAL, [2126, 10_000, 7152, 10_000, 722, 10_000]),
        (532, RATIONAL, [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1]),
    )
    path = write_tiff(tmp_path / "a.tif", [entries + strip_entries(len(codes))], [codes])
    with open_slide(path) as slide:
        expected = np.asarray(cv2.imread(str(path)))[..., ::-1]
        np.testing.assert_allclose(whole(slide), expected, atol=3)
        np.testing.assert_allclose(whole(slide), smooth(), atol=4)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 32}, {"tile": (32, 32)}])
def test_jpeg_as_other_readers_have_it(tmp_path: Path, layout: dict[str, Any], subsampling: tuple[int, int]) -> None:
    path = tmp_path / "a.tif"
    options = {"photometric": "rgb", "compression": "jpeg", "subsampling": subsampling, **layout, **PER_CM}
    tifffile.imwrite(path, smooth(), **options)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(whole(slide), tifffile.imread(path))
        np.testing.assert_allclose(whole(slide), smooth(), atol=12)


def test_jpeg_that_is_not_converted_from_rgb(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    options = {"photometric": "rgb", "compression": "jpeg", "compressionargs": {"outcolorspace": "rgb"}}
    tifffile.imwrite(path, smooth(), tile=(32, 32), **options, **PER_CM)
    with open_slide(path) as slide:
        np.testing.assert_allclose(whole(slide), smooth(), atol=8)


# ---- gray, palettes, transparency, orientation -----------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [0, 1])
def test_gray_of_few_bits(tmp_path: Path, bits: int, photometric: int) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, (21, 37), dtype=np.uint8)
    lines = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :].reshape(21, -1)
    coded = np.packbits(lines, axis=1).tobytes()
    entries = image_entries(21, 37, photometric, 1, bits) + strip_entries(len(coded))
    path = write_tiff(tmp_path / "a.tif", [entries], [coded])
    expected = values * (255 // ((1 << bits) - 1))
    with open_slide(path) as slide:
        gray = expected if photometric == 1 else 255 - expected
        np.testing.assert_array_equal(whole(slide), np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("full_scale", [65_535, 255])
def test_a_palette(tmp_path: Path, bits: int, full_scale: int) -> None:
    size = 1 << bits
    palette = np.random.default_rng(0).integers(0, 256, (size, 3), dtype=np.uint8)
    palette[0] = 255
    values = np.random.default_rng(1).integers(0, size, (12, 20), dtype=np.uint8)
    coded = (values[:, ::2] << 4 | values[:, 1::2] if bits == 4 else values).tobytes()
    colours = palette.T.astype(int).ravel() * (full_scale // 255)
    entries = [*image_entries(12, 20, 3, 1, bits), *strip_entries(len(coded)), (320, SHORT, colours.tolist())]
    with open_slide(write_tiff(tmp_path / "a.tif", [entries], [coded])) as slide:
        np.testing.assert_array_equal(whole(slide), palette[values])


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
def test_transparency_is_put_on_white(tmp_path: Path, kind: str, gray: bool) -> None:
    alpha = np.linspace(0, 255, PIXELS.shape[1]).astype(np.uint8)[None, :, None].repeat(PIXELS.shape[0], 0)
    colours = PIXELS[..., :1] if gray else PIXELS
    stored = np.rint(colours * (alpha / 255)).astype(np.uint8) if kind == "assocalpha" else colours
    path = tmp_path / "a.tif"
    photometric = "minisblack" if gray else "rgb"
    data = np.concatenate([stored, alpha], axis=2)
    tifffile.imwrite(path, data, photometric=photometric, extrasamples=[kind], planarconfig="contig", **PER_CM)
    expected = colours * (alpha / 255) + 255 - alpha.astype(float)
    with open_slide(path) as slide:
        np.testing.assert_allclose(whole(slide), np.broadcast_to(expected, PIXELS.shape), atol=1)


@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (32, 48)}])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path: Path, orientation: int, layout: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    options = {**PER_CM, "resolution": (20_000, 10_000)}
    tifffile.imwrite(path, PIXELS, photometric="rgb", extratags=[(274, 3, 1, orientation, True)], **layout, **options)
    expected = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.swapaxes(0, 1),
        6: np.rot90(PIXELS, -1),
        7: PIXELS[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(PIXELS),
    }[orientation]
    with open_slide(path) as slide:
        np.testing.assert_array_equal(whole(slide), expected)
        np.testing.assert_array_equal(slide.read_level(0, 11, 22, 33, 21), expected[11:44, 22:43])
        assert slide.pixel_size_um == pytest.approx((1.0, 0.5) if orientation < 5 else (0.5, 1.0))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_byte_orders_and_bigtiff(tmp_path: Path, byteorder: str, bigtiff: bool) -> None:
    path = tmp_path / "a.tif"
    options = {"tile": (32, 32), "compression": "lzw", "predictor": True}
    tifffile.imwrite(path, PIXELS, photometric="rgb", byteorder=byteorder, bigtiff=bigtiff, **options, **PER_CM)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)
        np.testing.assert_array_equal(whole(slide), PIXELS)


@pytest.mark.parametrize("compression", ["jpeg2000", "webp", "jpegxl", "png"])
def test_codecs_of_images(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    lossless = {"webp": {"lossless": True}}.get(compression)
    options = {"compression": compression, "compressionargs": lossless} if lossless else {"compression": compression}
    tifffile.imwrite(path, noise(64, 96), photometric="rgb", tile=(32, 32), **options, **PER_CM)
    with open_slide(path) as slide:
        np.testing.assert_allclose(whole(slide), noise(64, 96), atol=0 if compression != "jpegxl" else 40)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "options", "problem"),
    [
        (PIXELS.astype(np.uint16), {"photometric": "rgb"}, "16-bit"),
        (PIXELS.astype(np.uint16), {"photometric": "rgb", "tile": (32, 32)}, "16-bit"),
        (PIXELS.view(np.int8), {"photometric": "rgb"}, "whole numbers"),
        (noise(60, 60)[..., :1].repeat(4, 2), {"photometric": "separated"}, "CMYK"),
        (PIXELS, {"photometric": "cielab"}, "CIELab"),
        (PIXELS, {"photometric": "minisblack", "planarconfig": "contig"}, "3 channels"),
        (np.moveaxis(PIXELS, -1, 0), {"photometric": "minisblack", "planarconfig": "separate"}, "3 channels"),
        (np.moveaxis(PIXELS, -1, 0), {"photometric": "minisblack"}, "stack of 3"),
        (
            PIXELS[..., [0, 1, 2, 0]],
            {"photometric": "rgb", "extrasamples": ["unspecified"]},
            "unknown meaning",
        ),
        (PIXELS[..., [0, 1, 2, 0, 1]], {"photometric": "rgb", "extrasamples": [0, 0]}, "unknown meaning"),
        (PIXELS[None].repeat(5, 0), {"photometric": "rgb"}, "stack of 5"),
        (PIXELS[None].repeat(5, 0), {"photometric": "rgb", "tile": (32, 32)}, "stack of 5"),
        (PIXELS[..., 0], {"photometric": "minisblack", "compression": "lerc"}, "compression 34887"),
    ],
)
def test_what_is_not_one_colour_image_is_refused(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options, **PER_CM)
    with pytest.raises(SlideUnreadableError, match=problem):
        open_slide(path)


def test_an_imagej_stack_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 30, 40), np.uint8), imagej=True)
    with pytest.raises(SlideUnreadableError, match="stack of 4"):
        open_slide(tmp_path / "a.tif", mpp=1.0)


# ---- which pages -----------------------------------------------------------------------------------------------------


def test_pyramids_of_other_factors_are_read_at_the_right_place(tmp_path: Path) -> None:
    row, col = np.mgrid[:601, :803]
    full = np.stack([col // 4, row // 4, np.zeros_like(row)], -1).astype(np.uint8)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for level, (down, across) in enumerate(((1, 1), (2, 4), (9, 9))):
            pixels = full[::down, ::across].copy()
            file.write(pixels, photometric="rgb", tile=(64, 64), subfiletype=min(level, 1), **PER_CM)
    with open_slide(path) as slide:
        assert slide.level_pixel_sizes_um == ((0.5, 0.5), (1.0, 2.0), (4.5, 4.5))
        for factor in (1, 2, 3, 4, 8, 9, 12):
            mpp = slide.mpp * factor
            at = [size // 2 for size in slide.grid_shape(mpp)]
            pixel = slide.read_grid(mpp, *at, 1, 1)[0, 0].astype(float)
            centre = (np.array(at) + 0.5) * factor
            # A level that was made by leaving pixels out shows each where its first pixel was.
            assert pixel[1] * 4 == pytest.approx(centre[0], abs=factor / 2 + 6)
            assert pixel[0] * 4 == pytest.approx(centre[1], abs=factor / 2 + 6)


def test_levels_in_subifds_without_ome_xml(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(PIXELS, photometric="rgb", tile=(32, 32), subifds=1, **PER_CM)
        file.write(PIXELS[::2, ::2], photometric="rgb", tile=(32, 32), subfiletype=1, metadata=None)
    with open_slide(path) as slide:
        assert slide.level_shapes == ((70, 90), (35, 45))


def test_pages_beside_the_slide_are_associated_images(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    label, other = noise(20, 30, 5), noise(25, 12, 6)
    with tifffile.TiffWriter(path) as file:
        file.write(label, photometric="rgb", description="label of the slide", metadata=None)
        file.write(PIXELS, photometric="rgb", tile=(32, 32), **PER_CM)
        file.write(other, photometric="rgb", metadata=None)
    with open_slide(path) as slide:
        assert slide.level_shapes == ((70, 90),)
        assert list(slide.associated_images) == ["label", "page 2"]
        np.testing.assert_array_equal(slide.associated_images["label"], label)
        np.testing.assert_array_equal(slide.associated_images["page 2"], other)


def test_images_of_one_file_are_never_taken_for_one_another(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    beside = [noise(20 + number, 30, number) for number in range(8)]
    with tifffile.TiffWriter(path) as file:
        file.write(PIXELS, photometric="rgb", tile=(32, 32), **PER_CM)
        for pixels in beside:
            file.write(pixels, photometric="rgb", metadata=None)
    with open_slide(path) as slide:
        for name, pixels in zip(slide.associated_images, beside, strict=True):
            np.testing.assert_array_equal(slide.associated_images[name], pixels)


# ---- pixel size ------------------------------------------------------------------------------------------------------


def write_with_resolution(path: Path, *changed: Any, description: bytes = b"") -> Path:
    text = [(270, 2, [*description, 0])] if description else []
    entries = with_tag(image_entries(8, 8), *changed, *text) + strip_entries(192)
    return write_tiff(path, [entries], [bytes(192)])


@pytest.mark.parametrize(
    ("kind", "values"),
    [(DOUBLE, [20_000.5]), (11, [20_000.0]), (LONG, [20_000]), (SHORT, [20_000]), (RATIONAL, [60_000, 3])],
)
def test_a_resolution_of_any_type(tmp_path: Path, kind: int, values: list[float]) -> None:
    path = write_with_resolution(tmp_path / "a.tif", (282, kind, values), (283, kind, values))
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("dpi", [72, 96, 150, 300, 600, 1200, 2400])
@pytest.mark.parametrize("unit", [2, 3, None])
def test_a_printers_resolution_is_no_pixel_size(tmp_path: Path, dpi: int, unit: int | None) -> None:
    value = (RATIONAL, [dpi * 100, 254] if unit == 3 else [dpi, 1])
    path = write_with_resolution(tmp_path / "a.tif", (282, *value), (283, *value), (296, SHORT, [unit or 2]))
    with pytest.raises(MissingMppError, match="--mpp"):
        open_slide(path)


@pytest.mark.parametrize("values", [[0.0], [-20_000.0], [math.nan], [math.inf], [1e-320], [1e300]])
def test_a_resolution_that_makes_no_sense_is_no_pixel_size(tmp_path: Path, values: list[float]) -> None:
    path = write_with_resolution(tmp_path / "a.tif", (282, DOUBLE, values), (283, DOUBLE, values))
    with pytest.raises(MissingMppError):
        open_slide(path)


@pytest.mark.parametrize(
    ("unit", "per_unit"),
    [
        (b"micron", 0.5), ("µm".encode(), 0.5), (b"um", 0.5), (rb"\u00B5m", 0.5), (b"mm", 500), (b"nm", 5e-4),
        (b"cm", 5000), (b"inch", 12_700),
    ],
)  # fmt: skip
def test_imagejs_units(tmp_path: Path, unit: bytes, per_unit: float) -> None:
    value = (DOUBLE, [2.0 * per_unit])
    path = write_with_resolution(
        tmp_path / "a.tif",
        (282, *value),
        (283, *value),
        (296, SHORT, [1]),
        description=b"ImageJ=1.54f\nimages=1\nunit=" + unit + b"\nloop=false\n",
    )
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(1.0)
