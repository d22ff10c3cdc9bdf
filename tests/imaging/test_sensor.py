"""The camera and the file: tone curve, noise, mosaic, sharpening, JPEG."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from tests.imaging.specimens import blob

from napari_pathsrgan.imaging.scanner import CLEAN, ScannerSettings, Subsampling
from napari_pathsrgan.imaging.sensor import compress, develop
from napari_pathsrgan.imaging.tone import CameraResponse


def developed(intensity: np.ndarray, settings: ScannerSettings) -> np.ndarray:
    return develop(intensity.astype(np.float32), settings, np.random.default_rng(0))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 1.5, 2.2, 2.6])
def test_a_flat_image_keeps_its_values_through_every_tone_curve(gamma: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    camera = CameraResponse(gamma=gamma, white=(1.0, 1.0, 1.0))
    intensity = camera.intensity((image / 255).astype(np.float32))
    assert np.array_equal(developed(intensity, ScannerSettings(camera=camera)), image)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.2])
def test_background_contrast_and_stray_light(gamma: float) -> None:
    image = np.full((4, 4, 3), 128, np.uint8)
    plain = CameraResponse(gamma=gamma, white=(1.0, 0.9, 0.8))
    value = 128 / 255
    assert plain.recolour(image)[0, 0] == pytest.approx([255 * white * value for white in plain.white], abs=0.51)
    darker = dataclasses.replace(plain, contrast=1.2).recolour(image)
    assert darker[0, 0] == pytest.approx([255 * white * value**1.2 for white in plain.white], abs=0.51)
    exponent = gamma or 1.0
    lit = ((value**exponent + 0.05) / 1.05) ** (1 / exponent)
    stray = dataclasses.replace(plain, stray_light=0.05).recolour(image)
    assert stray[0, 0] == pytest.approx([255 * white * lit for white in plain.white], abs=0.51)


def test_recolouring_an_image_equals_developing_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    camera = CameraResponse(gamma=1.7, white=(0.9, 0.95, 0.85), contrast=0.9, stray_light=0.02)
    intensity = camera.intensity((image / 255).astype(np.float32))
    assert np.array_equal(developed(intensity, ScannerSettings(camera=camera)), camera.recolour(image))


def test_light_beyond_white_is_clipped() -> None:
    assert np.all(developed(np.full((4, 4, 3), 1.4), CLEAN)[..., 0] == 255)


def test_shot_noise_is_that_of_the_full_well_and_the_tone_curve_scales_it() -> None:
    intensity = np.full((200, 200, 3), 0.25, np.float32)
    linear = CameraResponse(gamma=1.0, white=(1.0, 1.0, 1.0))
    deviation = developed(intensity, ScannerSettings(camera=linear, full_well=5000.0)).std()
    assert deviation == pytest.approx(255 * np.sqrt(0.25 / 5000), rel=0.03)
    read = developed(intensity, ScannerSettings(camera=linear, read_noise=1.5)).std()
    assert read == pytest.approx(1.5, rel=0.05)
    curved = dataclasses.replace(linear, gamma=2.0)
    slope = 0.5 * 0.25**-0.5  # of √x
    encoded = developed(intensity, ScannerSettings(camera=curved, full_well=5000.0)).std()
    assert encoded == pytest.approx(255 * slope * np.sqrt(0.25 / 5000), rel=0.03)


def test_the_mosaic_keeps_colours_and_places() -> None:
    intensity = 0.9 - 0.5 * blob(64, (30.0, 34.0), 6.0) * np.array([0.5, 1.0, 0.8], np.float32)
    plain = developed(intensity, CLEAN).astype(int)
    mosaic = developed(intensity, dataclasses.replace(CLEAN, mosaic=True)).astype(int)
    assert np.abs(plain - mosaic)[2:-2, 2:-2].max() <= 6
    assert np.abs((plain - mosaic)[2:-2, 2:-2].mean(axis=(0, 1))).max() < 0.3
    assert np.abs(plain - mosaic).any()


def test_sharpening_raises_contrast() -> None:
    intensity = 0.9 - 0.5 * blob(64, (32.0, 32.0), 2.0)
    sharp = developed(intensity, dataclasses.replace(CLEAN, sharpen_amount=1.0))
    assert sharp.min() < developed(intensity, CLEAN).min() - 10


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_jpeg_loses_more_at_lower_quality(subsampling: Subsampling) -> None:
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), (0, 0), 1.5)
    errors = [np.abs(compress(image, quality, subsampling).astype(int) - image).mean() for quality in (95, 60, 30)]
    assert 0 < errors[0] < errors[1] < errors[2]
    assert np.array_equal(compress(image, 0, subsampling), image)


def test_jpeg_subsampling_costs_colour() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = (200, 60, 60)
    image[:, 1::2] = (60, 60, 200)
    full, half = (np.abs(compress(image, 95, mode).astype(int) - image).mean() for mode in ("444", "420"))
    assert half > 5 * full


@pytest.mark.parametrize("phase", [(0, 0), (3, 5), (7, 1)])
def test_jpeg_blocks_lie_at_their_phase(phase: tuple[int, int]) -> None:
    """At a quality that keeps the mean of a block alone, steps lie on the edges of blocks and nowhere else."""
    ramp = np.add.outer(np.arange(48), np.arange(48))[..., None].repeat(3, axis=2).astype(np.uint8)
    coarse = compress(ramp, 1, "444", phase).astype(int)
    for axis, offset in enumerate(phase):
        steps = np.flatnonzero(np.abs(np.diff(coarse[..., 1], axis=axis)).sum(axis=1 - axis)) + 1
        assert len(steps)
        assert {(int(step) + offset) % 8 for step in steps} == {0}
