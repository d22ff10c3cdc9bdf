"""Registration of three scans against the truth, and of scans that do not belong together."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from napari_pathsrgan.errors import DifferentSlidesError, OptionError
from napari_pathsrgan.phantom.truth import PhantomTruth
from napari_pathsrgan.registration.accuracy import true_errors_px
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.fine import Registration, register_slides
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.slide import Slide


def test_patches_lie_where_the_truth_says(registration: Registration, truth: PhantomTruth) -> None:
    assert registration.accepted_share >= 0.9
    assert len(registration.patches) >= 10
    for power, mean_px, p95_px in ((10, 0.05, 0.12), (20, 0.1, 0.25)):
        errors = np.abs(true_errors_px(registration.patches, truth, power))
        assert errors.mean() < mean_px
        assert np.percentile(errors, 95) < p95_px


def test_a_wide_displacement_is_found_and_told(registration: Registration, truth: PhantomTruth) -> None:
    expected = np.subtract(truth.offsets[20].global_um, truth.offsets[4].global_um)
    assert np.abs(expected).max() > registration.config.coarse_search_um
    assert np.abs(np.subtract(registration.coarse_20x.offset_um, expected)).max() < 4
    assert any("widened" in note for note in registration.notes)


def test_cut_pixels_lie_beside_their_place(registration: Registration) -> None:
    patches = registration.patches
    for axis in ("row", "col"):
        in_high = (patches[f"{axis}_um"] + patches[f"offset_{axis}_um_20x"]) / registration.high.mpp
        np.testing.assert_allclose(in_high, patches[f"hr_{axis}_px"], atol=1e-3)
        in_mid = (patches[f"{axis}_um"] + patches[f"offset_{axis}_um_10x"]) / registration.mid.mpp
        assert np.abs(in_mid - patches[f"mr_{axis}_px"]).max() < 0.2501


def test_other_slide_is_refused(slides: list[Slide], stranger: Slide) -> None:
    with pytest.raises(DifferentSlidesError, match=r"do not seem to show the same slide.*patches; the overviews"):
        register_slides(stranger, *slides[1:])


def test_background_is_refused(slides: list[Slide], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    background = (rng.normal(240, 1, (600, 600, 3))).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "background.tiff", background, tile=(256, 256), photometric="rgb",
        resolution=(1e4 / 1.465,) * 2, resolutionunit="CENTIMETER",
    )  # fmt: skip
    with (
        open_slide(tmp_path / "background.tiff") as low,
        pytest.raises(DifferentSlidesError, match="nothing but background"),
    ):
        register_slides(low, *slides[1:])


def test_a_cropped_scan_of_another_stain_succeeds(slides: list[Slide], tmp_path: Path) -> None:
    low = slides[0]
    rows, cols = low.level_shapes[0]
    pixels = low.read_level(0, 0, 0, rows, cols)[60:, 90:]
    stained = cv2.LUT(pixels, (255 * (np.arange(256) / 255) ** 1.4 * 0.9).astype(np.uint8))
    tifffile.imwrite(
        tmp_path / "cropped.tiff", stained, tile=(256, 256), photometric="rgb",
        resolution=(1e4 / 1.465,) * 2, resolutionunit="CENTIMETER",
    )  # fmt: skip
    config = RegistrationConfig(max_patches=4)
    with open_slide(tmp_path / "cropped.tiff") as cropped:
        found = register_slides(cropped, *slides[1:], config)
    whole = register_slides(*slides, config)
    moved = np.subtract(found.coarse_20x.offset_um, whole.coarse_20x.offset_um)
    np.testing.assert_allclose(moved, [60 * 1.465, 90 * 1.465], atol=1.5)
    assert len(found.patches) > 0


def test_scans_in_the_wrong_order_are_told(slides: list[Slide]) -> None:
    with pytest.raises(OptionError, match="20× scan"):
        register_slides(slides[2], slides[1], slides[0])
    with pytest.raises(OptionError, match="10× scan as the second"):
        register_slides(slides[1], slides[0], slides[2])


def test_the_draw_of_places_is_repeatable(slides: list[Slide]) -> None:
    config = RegistrationConfig(max_patches=3, seed=5)
    one, other = (register_slides(*slides, config).patches for _ in range(2))
    assert one.tobytes() == other.tobytes()
    assert len(one) <= 3
