"""Colour and noise of an empty background are found."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from napari_pathsrgan.imaging.estimate import Background, estimate_background
from napari_pathsrgan.imaging.jpeg import JpegFacts, read_jpeg
from napari_pathsrgan.imaging.measured import Measured, NotMeasurable
from napari_pathsrgan.imaging.scanner import CLEAN, ScannerSettings
from napari_pathsrgan.imaging.sensor import compress, develop
from napari_pathsrgan.imaging.tone import CameraResponse
from napari_pathsrgan.types import Pixels

SIDE = 400
EVERYWHERE = np.ones((SIDE, SIDE), bool)


def empty_scan(settings: ScannerSettings, seed: int = 0) -> Pixels:
    return develop(np.ones((SIDE, SIDE, 3), np.float32), settings, np.random.default_rng(seed))


def facts(quality: int) -> JpegFacts | None:
    _, data = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return read_jpeg(data.tobytes())


def noise_of(found: Background | NotMeasurable) -> float:
    assert isinstance(found, Background)
    assert isinstance(found.noise, Measured)
    return found.noise.value


@pytest.mark.parametrize("full_well", [1_000.0, 4_000.0])
@pytest.mark.parametrize("gamma", [1.0, 2.2])
@pytest.mark.parametrize("mosaic", [False, True])
def test_noise_is_found_to_a_fifth(full_well: float, gamma: float, mosaic: bool) -> None:
    camera = CameraResponse(gamma=gamma, white=(0.9, 0.85, 0.8))
    image = empty_scan(replace(CLEAN, camera=camera, full_well=full_well, mosaic=mosaic))
    found = estimate_background([image], [EVERYWHERE])
    assert isinstance(found, Background)
    assert [level.value for level in found.white] == pytest.approx([255 * white for white in camera.white], abs=1)
    assert noise_of(found) == pytest.approx(image[8:-8, 8:-8, 1].std(), rel=0.2)


@pytest.mark.parametrize(("quality", "full_well"), [(97, 8_000.0), (90, 5_000.0), (80, 3_000.0), (60, 1_000.0)])
def test_noise_is_found_to_a_fifth_though_compression_hides_most_of_it(quality: int, full_well: float) -> None:
    image = empty_scan(replace(CLEAN, full_well=full_well))
    found = estimate_background([compress(image, quality, "420", (3, 5))], [EVERYWHERE], facts(quality), (3, 5))
    assert noise_of(found) == pytest.approx(image[..., 1].std(), rel=0.2)


def test_noise_that_compression_hides_is_not_measurable() -> None:
    image = compress(empty_scan(replace(CLEAN, full_well=50_000.0)), 40)
    found = estimate_background([image], [EVERYWHERE], facts(40))
    assert isinstance(found, Background)
    assert found.noise == NotMeasurable("compression hides it")
    for level, true in zip(found.white, CLEAN.camera.white, strict=True):
        assert level.value == pytest.approx(255 * true, abs=2 * level.error)
        assert level.error > 0.5


def test_neither_a_gradient_nor_cells_beside_the_mask_are_noise() -> None:
    image = empty_scan(replace(CLEAN, full_well=4_000.0))
    lit = np.clip(image - np.linspace(0, 30, SIDE)[None, :, None], 0, 255).astype(np.uint8)
    lit[:40] = np.random.default_rng(0).integers(0, 200, (40, SIDE, 3))
    masked = EVERYWHERE.copy()
    masked[:40] = False
    plain = noise_of(estimate_background([image], [EVERYWHERE]))
    assert noise_of(estimate_background([lit], [masked])) == pytest.approx(plain, rel=0.2)


def test_too_little_background_gives_nothing() -> None:
    image = empty_scan(CLEAN)
    few = np.zeros((SIDE, SIDE), bool)
    few[:20, :20] = True
    for masks in ([np.zeros((SIDE, SIDE), bool)], [few]):
        assert estimate_background([image], masks) == NotMeasurable("too little background")
    assert estimate_background([], []) == NotMeasurable("too little background")
