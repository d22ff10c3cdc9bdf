from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ImageCms

from napari_pathsrgan.errors import MissingMppError, OptionError, SlideGoneError, SlideUnreadableError
from napari_pathsrgan.slides.fingerprint import SlideIdentity
from napari_pathsrgan.slides.level_array import UNREADABLE_GREY
from napari_pathsrgan.slides.level_geometry import level_factors
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.slide import Slide

from .synthetic import blob, centre_px, noise, write_aperio, write_pyramid


class ArraySource:
    """A slide in memory, with every optional fact there is."""

    reader = "array 1.0"
    objective_power: float | None = 20.0
    vendor: str | None = "test"
    icc_profile: bytes | None = None

    def __init__(self, levels: list[np.ndarray], pixel_size_um: tuple[float, float] | None = (0.5, 0.25)) -> None:
        self.levels = levels
        self.level_shapes = tuple(level.shape[:2] for level in levels)
        self.level_factors = tuple(level_factors(self.level_shapes[0], shape) for shape in self.level_shapes)
        self.pixel_size_um = pixel_size_um
        self.bounds_level0: tuple[int, int, int, int] | None = (10, 20, 30, 40)
        self.associated_images: Mapping[str, Callable[[], np.ndarray]] = {"label": self._read_label}
        self.broken = False
        self.label_reads = 0

    def _read_label(self) -> np.ndarray:
        self.label_reads += 1
        if self.broken:
            raise OSError("gone")
        return noise(5, 6)

    def read(self, level: int, row: int, col: int, height: int, width: int) -> np.ndarray:
        if self.broken:
            raise OSError("gone")
        assert row >= 0
        assert col >= 0
        pixels = self.levels[level][row : row + height, col : col + width]
        assert pixels.shape == (height, width, 3)
        return pixels

    def close(self) -> None:
        self.broken = True


def test_facts_of_a_slide(tmp_path: Path) -> None:
    slide = Slide(tmp_path, ArraySource([noise(80, 100), noise(20, 25)]), SlideIdentity("f", "f"), open_slide)
    assert slide.mpp == pytest.approx(math.sqrt(0.5 * 0.25))
    assert slide.pixel_size_um == (0.5, 0.25)
    assert slide.level_mpps == pytest.approx((slide.mpp, slide.mpp * 4))
    assert slide.extent_um == (40.0, 25.0)
    assert slide.bounds_um == (5.0, 5.0, 15.0, 10.0)
    assert slide.objective_power == 20.0
    assert slide.grid_shape(1.0) == (40, 25)
    assert "20" in repr(slide)


def test_told_mpp_goes_before_the_files(tmp_path: Path) -> None:
    assert Slide(tmp_path, ArraySource([noise(8, 8)]), SlideIdentity("f", "f"), open_slide, mpp=0.3).pixel_size_um == (
        0.3,
        0.3,
    )


def test_another_pixel_size_makes_another_slide_of_the_same_file(tmp_path: Path) -> None:
    pixels = ArraySource([noise(8, 8)], (0.5, 0.5))
    as_scanned = Slide(tmp_path, pixels, SlideIdentity("f", "f"), open_slide).fingerprint
    assert Slide(tmp_path, pixels, SlideIdentity("f", "f"), open_slide, mpp=0.5).fingerprint == as_scanned
    assert (
        len(
            {
                as_scanned,
                *(
                    Slide(tmp_path, pixels, SlideIdentity("f", "f"), open_slide, mpp=told).fingerprint
                    for told in (0.3, 1.465)
                ),
            }
        )
        == 3
    )


def test_without_mpp_the_user_is_asked(tmp_path: Path) -> None:
    slide = Slide(tmp_path, ArraySource([noise(8, 8)], None), SlideIdentity("f", "f"), open_slide)
    assert not slide.is_calibrated
    np.testing.assert_array_equal(slide.read_level(0, 0, 0, 8, 8), noise(8, 8))
    for needs_size in ("mpp", "pixel_size_um", "extent_um", "bounds_um", "level_mpps", "level_pixel_sizes_um"):
        with pytest.raises(MissingMppError, match="--mpp"):
            getattr(slide, needs_size)


def test_associated_images_are_read_when_asked_for(tmp_path: Path) -> None:
    source = ArraySource([noise(8, 8)])
    slide = Slide(tmp_path, source, SlideIdentity("f", "f"), open_slide)
    assert list(slide.associated_images) == ["label"]
    assert len(slide.associated_images) == 1
    assert source.label_reads == 0
    assert slide.associated_images["label"].shape == (5, 6, 3)


def test_levels_of_a_file_are_its_own_pixels(aperio: Path, fractional_levels: list[np.ndarray]) -> None:
    with open_slide(aperio) as slide:
        assert slide.level_shapes == ((2011, 3013), (504, 755), (126, 189))
        assert slide.level_mpps[1] / slide.mpp == pytest.approx(3.9904, abs=1e-3)
        assert slide.objective_power == 4.0
        assert slide.mpp == pytest.approx(1.465)
        for level, image in enumerate(fractional_levels):
            whole = slide.read_level(level, 0, 0, *image.shape[:2])
            if level == 0:
                np.testing.assert_array_equal(whole, image)


def test_windows_of_a_level_with_fractional_downsample_agree(aperio: Path) -> None:
    """OpenSlide alone interpolates such a level differently in every window."""
    random = np.random.default_rng(3)
    with open_slide(aperio) as slide:
        for level in (1, 2):
            rows, cols = slide.level_shapes[level]
            whole = slide.read_level(level, 0, 0, rows, cols)
            for _ in range(30):
                top, left = int(random.integers(0, rows - 40)), int(random.integers(0, cols - 40))
                part = slide.read_level(level, top, left, 33, 37)
                np.testing.assert_array_equal(part, whole[top : top + 33, left : left + 37])


def test_levels_with_fractional_downsample_are_not_blurred(aperio: Path, fractional_levels: list[np.ndarray]) -> None:
    with open_slide(aperio) as slide:
        pixels = slide.read_level(1, 0, 0, 504, 755).astype(int)
    assert np.abs(pixels - fractional_levels[1]).max() <= 1


@pytest.mark.parametrize(
    "window", [(-5, -7, 20, 20), (2000, 3000, 40, 40), (-50, 100, 20, 20), (5000, 5000, 4, 4)], ids=str
)
def test_outside_a_level_its_edge_is_repeated(
    aperio: Path, fractional_levels: list[np.ndarray], window: tuple[int, int, int, int]
) -> None:
    row, col, height, width = window
    rows = np.clip(np.arange(row, row + height), 0, 2010)
    cols = np.clip(np.arange(col, col + width), 0, 3012)
    with open_slide(aperio) as slide:
        np.testing.assert_array_equal(slide.read_level(0, *window), fractional_levels[0][rows][:, cols])


def test_an_empty_window_is_empty(aperio: Path) -> None:
    with open_slide(aperio) as slide:
        assert slide.read_level(0, 5, 5, 0, 7).shape == (0, 7, 3)


@pytest.mark.parametrize("mpp", [0.293, 1.172, 1.465, 6.5, 40.0])
def test_windows_of_a_grid_agree_to_the_bit(aperio: Path, mpp: float) -> None:
    with open_slide(aperio) as slide:
        rows, cols = slide.grid_shape(mpp)
        row, col = rows - 60, cols - 90
        whole = slide.read_grid(mpp, row - 10, col - 10, 90, 120)
        np.testing.assert_array_equal(slide.read_grid(mpp, row, col, 64, 64), whole[10:74, 10:74])
        np.testing.assert_array_equal(slide.read_grid(mpp, row + 17, col + 31, 11, 13), whole[27:38, 41:54])


def test_a_dot_lies_at_the_same_place_on_every_grid(tmp_path: Path) -> None:
    centre = (203.4, 291.8)
    path = write_aperio(tmp_path / "dot.svs", [blob(0.293, 1400, 2000, centre, sigma_um=9.0)], mpp=0.293, power=20)
    with open_slide(path) as slide:
        for mpp in (0.293, 0.586, 1.172, 1.465):
            image = slide.read_grid(mpp, 0, 0, *slide.grid_shape(mpp))
            assert np.abs(centre_px(image) * mpp - centre).max() < 0.01 * mpp


def test_rows_and_columns_may_have_different_pixel_sizes(tmp_path: Path) -> None:
    slide = Slide(
        tmp_path,
        ArraySource([blob(1.0, 100, 100, (50.0, 50.0), sigma_um=8.0)], (0.5, 2.0)),
        SlideIdentity("f", "f"),
        open_slide,
    )
    image = slide.read_grid(0.5, 0, 0, *slide.grid_shape(0.5))
    assert image.shape == (100, 400, 3)
    np.testing.assert_allclose(centre_px(image), [50.0, 200.0], atol=0.02)


def test_a_rectangle_in_um_is_every_pixel_it_touches(aperio: Path) -> None:
    with open_slide(aperio) as slide:
        np.testing.assert_array_equal(
            slide.read_um(10.0, 20.0, 11.72, 5.0, 1.172), slide.read_grid(1.172, 8, 17, 11, 5)
        )
        assert slide.read_um(11.72, 11.72, 11.72, 11.72, 1.172).shape == (10, 10, 3)


def test_no_pixel_size_makes_no_sense(aperio: Path) -> None:
    with open_slide(aperio) as slide, pytest.raises(OptionError):
        slide.read_grid(0.0, 0, 0, 1, 1)


def test_the_pyramid_is_the_levels_and_names_last(aperio: Path) -> None:
    with open_slide(aperio) as slide:
        first = slide.pyramid()
        assert [level.shape for level in first] == [(2011, 3013, 3), (504, 755, 3), (126, 189, 3)]
        assert first[0].chunksize == (512, 512, 3)
        assert first[0].dtype == np.uint8
        part = first[0][500:600:3, 1000:1100, 1].compute(scheduler="synchronous")
        np.testing.assert_array_equal(part, slide.read_level(0, 500, 1000, 100, 100)[::3, :, 1])
    with open_slide(aperio) as slide:
        assert [level.name for level in slide.pyramid()] == [level.name for level in first]


def test_two_slides_never_share_a_name(tmp_path: Path) -> None:
    a = write_aperio(tmp_path / "a.svs", [noise(300, 300, 1)])
    b = write_aperio(tmp_path / "b.svs", [noise(300, 300, 2)])
    with open_slide(a) as one, open_slide(b) as other:
        assert one.fingerprint != other.fingerprint
        assert one.pyramid()[0].name != other.pyramid()[0].name


def test_coarser_levels_are_computed_where_the_file_has_none(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "one-level.svs", [blob(1.465, 1300, 2301, (900.0, 1500.0), sigma_um=40.0)])
    with open_slide(path) as slide:
        pyramid = slide.pyramid()
        assert [level.shape for level in pyramid] == [(1300, 2301, 3), (650, 1151, 3), (325, 576, 3)]
        assert slide.pyramid_mpps == pytest.approx((1.465, 2.93, 5.86))
        for level, mpp in zip(pyramid, slide.pyramid_mpps, strict=True):
            image = level.compute(scheduler="synchronous")
            assert np.abs(centre_px(image) * mpp - (900.0, 1500.0)).max() < 0.01 * mpp
        part = pyramid[1][100:200, 300:400].compute(scheduler="synchronous")
        np.testing.assert_array_equal(part, pyramid[1].compute(scheduler="synchronous")[100:200, 300:400])


def test_a_thumbnail_is_small_and_never_enlarged(aperio: Path) -> None:
    with open_slide(aperio) as slide:
        assert max(slide.thumbnail(200).shape) == 200
        assert slide.thumbnail(100_000).shape == (2011, 3013, 3)


def test_threads_read_what_one_thread_reads(aperio: Path) -> None:
    with open_slide(aperio) as slide:
        windows = [(level, 16 * step, 24 * step, 60, 70) for level in (0, 1) for step in range(16)]
        alone = [slide.read_level(*window) for window in windows]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda window: slide.read_level(*window), windows * 3))
    for index, pixels in enumerate(together):
        np.testing.assert_array_equal(pixels, alone[index % len(windows)])


def test_a_slide_travels_to_another_process(aperio: Path) -> None:
    with open_slide(aperio, mpp=1.5) as slide, pickle.loads(pickle.dumps(slide)) as copy:
        assert copy.mpp == 1.5
        assert copy.fingerprint == slide.fingerprint
        np.testing.assert_array_equal(copy.read_level(0, 3, 4, 5, 6), slide.read_level(0, 3, 4, 5, 6))


def test_reading_a_closed_slide_says_so(aperio: Path) -> None:
    slide = open_slide(aperio)
    slide.close()
    with pytest.raises(SlideUnreadableError, match="closed"):
        slide.read_level(0, 0, 0, 4, 4)


def test_a_file_that_went_away_is_said_to_have_gone(tmp_path: Path) -> None:
    path = tmp_path / "case-17.svs"
    path.touch()
    source = ArraySource([noise(80, 100)])
    slide = Slide(path, source, SlideIdentity("f", "f"), open_slide)
    path.unlink()
    source.broken = True
    with pytest.raises(SlideGoneError, match=r"case-17\.svs went away") as caught:
        slide.read_grid(1.0, 0, 0, 4, 4)
    travelled = pickle.loads(pickle.dumps(caught.value))
    assert (travelled.path, str(travelled)) == (path, str(caught.value))
    with pytest.raises(SlideUnreadableError, match="went away"):
        slide.associated_images["label"]


def test_damage_in_the_middle_is_said_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "case-17.svs"
    path.touch()
    source = ArraySource([noise(80, 100)])
    slide = Slide(path, source, SlideIdentity("f", "f"), open_slide)
    source.broken = True
    with pytest.raises(SlideUnreadableError, match="level 0, row 7, column 9"):
        slide.read_level(0, 7, 9, 4, 4)


def swapped_primaries() -> bytes:
    """An sRGB profile whose red and green colorants are exchanged, under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "Test".encode("utf-16-be")).replace(
        b"sRGB built", b"Test built"
    )
    return profile.replace(b"rXYZ", b"tXYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tXYZ", b"gXYZ", 1)


PURE_RED = np.full((300, 300, 3), (200, 10, 10), np.uint8)


@pytest.mark.parametrize("reader", ["openslide", "imagecodecs"])
def test_an_icc_profile_is_turned_into_srgb(tmp_path: Path, reader: str) -> None:
    write = write_aperio if reader == "openslide" else write_pyramid
    path = write(tmp_path / "icc.tif", [PURE_RED], iccprofile=swapped_primaries())
    with open_slide(path, mpp=0.5) as slide:
        assert slide.reader.startswith(reader)
        red, green, _ = slide.read_level(0, 5, 5, 1, 1)[0, 0]
    assert green > 150 > 100 > red


@pytest.mark.parametrize(
    "profile",
    [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"no profile at all" * 20],
    ids=["sRGB", "damaged"],
)
def test_an_srgb_or_damaged_profile_changes_nothing(tmp_path: Path, profile: bytes) -> None:
    path = write_pyramid(tmp_path / "icc.tif", [PURE_RED], iccprofile=profile, tile=None, rowsperstrip=64)
    with open_slide(path, mpp=0.5) as slide:
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 300, 300), PURE_RED)


def test_the_test_profile_is_valid() -> None:
    assert ImageCms.ImageCmsProfile(io.BytesIO(swapped_primaries())).profile.xcolor_space == "RGB "


def test_a_level_decodes_what_is_in_sight_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "slide.tiff"
    pixels = np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256))
    with open_slide(path, 1.465) as slide:
        asked: list[tuple[int, ...]] = []
        read = slide.read_level

        def note(*region: int) -> np.ndarray:
            if region[-1]:  # dask asks for nothing, to learn the dtype
                asked.append(region)
            return read(*region)

        monkeypatch.setattr(slide, "read_level", note)
        level = slide.pyramid()[0]
        np.testing.assert_array_equal(level[100:700, 90:600].compute(), pixels[100:700, 90:600])
        assert len(asked) == 4
        np.testing.assert_array_equal(level[130:800, 200:900].compute(), pixels[130:800, 200:900])
        assert len(asked) == 4
        np.testing.assert_array_equal(level[1024:, 1024:].compute(), pixels[1024:, 1024:])
        assert len(asked) == 5
        again = pickle.loads(pickle.dumps(level))
        np.testing.assert_array_equal(again[:64, :64].compute(), pixels[:64, :64])


def test_what_the_file_does_not_give_is_told_and_grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "slide.tiff"
    pixels = np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256))
    with open_slide(path, 1.465) as slide:
        read = slide.read_level

        def read_upper_half(level: int, row: int, *rest: int) -> np.ndarray:
            if row >= 512:
                raise SlideUnreadableError("slide.tiff cannot be read there.", "Copy it again.")
            return read(level, row, *rest)

        monkeypatch.setattr(slide, "read_level", read_upper_half)
        told: list[SlideUnreadableError] = []
        level = slide.pyramid(told.append)[0]
        seen = level[400:600, 90:200].compute()
        np.testing.assert_array_equal(seen[:112], pixels[400:512, 90:200])
        assert (seen[112:] == UNREADABLE_GREY).all()
        assert [error.problem for error in told] == ["slide.tiff cannot be read there."]
        monkeypatch.setattr(slide, "read_level", read)  # the file is back, and nothing grey was kept
        np.testing.assert_array_equal(level[400:600, 90:200].compute(), pixels[400:600, 90:200])
        monkeypatch.setattr(slide, "read_level", read_upper_half)
        with pytest.raises(SlideUnreadableError, match="cannot be read there"):
            slide.pyramid()[0][600:700, :100].compute()
