"""Aperture and sharpening are found from fields whose spectrum is that of cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.imaging.specimens import cell_like_field

from napari_pathsrgan.imaging.forward import scan_field
from napari_pathsrgan.imaging.jpeg import standard_luminance
from napari_pathsrgan.imaging.measured import NotMeasurable
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import CLEAN, ScannerSettings
from napari_pathsrgan.imaging.sharpness import Optics, estimate_optics
from napari_pathsrgan.imaging.spectrum import WINDOW_PX, cut_windows, power_spectrum, radial
from napari_pathsrgan.imaging.tone import CameraResponse

PITCH = 0.54


def scanned(settings: ScannerSettings, seed: int) -> Optics | NotMeasurable:
    rng = np.random.default_rng(seed)
    cells = scan_field(cell_like_field(seed, 1080, PITCH), PITCH, OBJECTIVES[4], settings, rng)
    empty = scan_field(np.full((400, 400, 3), 255, np.uint8), PITCH, OBJECTIVES[4], settings, rng)
    steps = standard_luminance(settings.jpeg_quality) if settings.jpeg_quality else None
    windows = (cut_windows([image[..., 1] / 255]) for image in (cells, empty))
    return estimate_optics(*windows, OBJECTIVES[4].mpp, steps)


@pytest.mark.parametrize(
    ("seed", "na_scale", "gamma", "full_well", "quality"),
    [(0, 0.6, 2.2, 5e4, 0), (1, 0.75, 1.4, 2e4, 95), (2, 0.9, 1.8, 1e5, 90), (3, 1.05, 2.6, float("inf"), 0)],
)
def test_the_aperture_is_found_to_a_tenth(
    seed: int, na_scale: float, gamma: float, full_well: float, quality: int
) -> None:
    camera = CameraResponse(gamma=gamma, white=(0.95, 0.93, 0.9))
    settings = replace(CLEAN, na_scale=na_scale, camera=camera, full_well=full_well, jpeg_quality=quality)
    found = scanned(settings, seed)
    assert isinstance(found, Optics)
    assert found.aperture.value == pytest.approx(0.1 * na_scale, rel=0.1)
    assert found.sharpening is None
    assert found.amount_below <= 1.0


@pytest.mark.parametrize(("amount", "radius", "na_scale"), [(1.0, 1.2, 0.8), (1.4, 1.0, 0.95), (0.8, 1.5, 0.7)])
def test_an_unsharp_mask_is_found_to_four_tenths(amount: float, radius: float, na_scale: float) -> None:
    sharpening = {"sharpen_amount": amount, "sharpen_radius_px": radius}
    found = scanned(replace(CLEAN, na_scale=na_scale, full_well=60_000.0, **sharpening), 3)
    assert isinstance(found, Optics)
    assert found.sharpening is not None
    assert found.sharpening.amount.value == pytest.approx(amount, abs=0.4)
    assert found.sharpening.radius_px.value == pytest.approx(radius, abs=2.5 * found.sharpening.radius_px.error)
    assert found.aperture.value == pytest.approx(0.1 * na_scale, rel=0.15)


def test_what_cannot_be_measured_says_why() -> None:
    few, none = np.ones((8, WINDOW_PX, WINDOW_PX)), np.empty((0, WINDOW_PX, WINDOW_PX))
    assert estimate_optics(few, none, 1.465) == NotMeasurable("too few cells")
    assert estimate_optics(none, none, 1.465) == NotMeasurable("too few cells")
    many = np.random.default_rng(1).random((100, WINDOW_PX, WINDOW_PX))
    assert estimate_optics(many, none, 1.465) == NotMeasurable("too little background, so that noise is not known")
    assert estimate_optics(few, none, 0.25) == NotMeasurable("pixels of 0.25 µm")
    noise = np.random.default_rng(0).normal(0.9, 0.01, (100, WINDOW_PX, WINDOW_PX))
    assert estimate_optics(noise, noise, 1.465) == NotMeasurable("noise or compression covers the cells")


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    windows = np.random.default_rng(0).normal(0, 0.3, (400, WINDOW_PX, WINDOW_PX))
    power = radial(power_spectrum(windows))
    assert power[2:] == pytest.approx(0.09, rel=0.08)
    assert cut_windows([np.zeros((40, 200))]).shape == (0, WINDOW_PX, WINDOW_PX)
