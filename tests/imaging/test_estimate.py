"""Estimators recover what a simulated scanner was set to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_pathsrgan.imaging.estimate import estimate_background
from napari_pathsrgan.imaging.scanner import CLEAN, ScannerSettings
from napari_pathsrgan.imaging.sensor import develop
from napari_pathsrgan.imaging.tone import CameraResponse

EVERYWHERE = np.ones((240, 240), bool)


def empty_scan(settings: ScannerSettings) -> np.ndarray:
    return develop(np.ones((240, 240, 3), np.float32), settings, np.random.default_rng(0))


@pytest.mark.parametrize("full_well", [1_000.0, 4_000.0])
@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_noise_is_found_to_a_fifth(full_well: float, gamma: float) -> None:
    camera = CameraResponse(gamma=gamma, white=(0.9, 0.85, 0.8))
    found = estimate_background(empty_scan(replace(CLEAN, camera=camera, full_well=full_well)), EVERYWHERE)
    assert found is not None
    for level, white, noise in zip(found.white, camera.white, found.noise, strict=True):
        assert level == pytest.approx(255 * white, abs=1)
        intensity = white**gamma
        wanted = 255 * white / gamma * np.sqrt(1 / (full_well * intensity))
        assert noise == pytest.approx(np.hypot(wanted, 12**-0.5), rel=0.2)


def test_neither_a_gradient_nor_cells_beside_the_mask_are_noise() -> None:
    image = empty_scan(replace(CLEAN, full_well=4_000.0))
    plain = estimate_background(image, EVERYWHERE)
    lit = np.clip(image - np.linspace(0, 30, 240)[None, :, None], 0, 255).astype(np.uint8)
    lit[:40] = np.random.default_rng(0).integers(0, 200, (40, 240, 3))
    masked = EVERYWHERE.copy()
    masked[:40] = False
    found = estimate_background(lit, masked)
    assert plain is not None
    assert found is not None
    assert found.noise == pytest.approx(plain.noise, rel=0.2)


def test_too_little_background_gives_nothing() -> None:
    image = empty_scan(CLEAN)
    assert estimate_background(image, np.zeros((240, 240), bool)) is None
    few = np.zeros((240, 240), bool)
    few[:20, :20] = True
    assert estimate_background(image, few) is None
