"""Metrics: right by definition, and sensitive to what they are meant for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from napari_pathsrgan.evaluation.metrics import consistency, psnr, psnr_shifted, spectrum_error, ssim, ssim_paper
from napari_pathsrgan.types import Pixels


def checks(height: int, width: int, seed: int = 0) -> Pixels:
    """Draw a picture with structure at all scales."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 230, (height // 4 + 1, width // 4 + 1, 3))
    return np.kron(coarse, np.ones((4, 4, 1), int))[:height, :width].astype(np.uint8)


@pytest.mark.parametrize(("step", "decibel"), [(1, 48.1308), (16, 24.0485), (255, 0.0)])
def test_psnr_of_a_uniform_difference(step: int, decibel: float) -> None:
    black = np.zeros((11, 12, 3), np.uint8)
    assert psnr(black, black + np.uint8(step)) == pytest.approx(decibel, abs=5e-4)


def test_identical_pictures_are_as_good_as_it_gets_and_finite() -> None:
    picture = checks(40, 50)
    assert psnr(picture, picture) == pytest.approx(98.13, abs=0.01)
    assert ssim(picture, picture) == pytest.approx(1.0)


def test_ssim_falls_with_structure_not_with_brightness() -> None:
    picture = checks(64, 64)
    brighter = np.clip(picture.astype(int) + 8, 0, 255).astype(np.uint8)
    noise = np.random.default_rng(1).choice([-8, 8], picture.shape)
    noisy = np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)
    assert ssim(noisy, picture) < ssim(brighter, picture) < 1


def test_the_papers_ssim_is_another_window() -> None:
    picture = checks(64, 64)
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.0)
    assert ssim_paper(picture, picture) == pytest.approx(1.0)
    assert 0 < ssim_paper(blurred, picture) < 1
    assert ssim_paper(blurred, picture) != pytest.approx(ssim(blurred, picture), abs=1e-3)


@pytest.mark.parametrize("shift", [(1, 0), (0, -1), (-1, 1)])
def test_a_shift_by_a_pixel_is_forgiven_one_by_two_is_not(shift: tuple[int, int]) -> None:
    picture = checks(64, 64)
    assert psnr_shifted(np.roll(picture, shift, (0, 1)), picture) > 98
    assert psnr_shifted(np.roll(picture, (2 * shift[0], 2 * shift[1]), (0, 1)), picture) < 40


def test_blur_and_grain_both_spoil_the_spectrum() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(checks(128, 128), (0, 0), 0.7)
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.5)
    grainy = np.clip(blurred + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
    assert spectrum_error(picture, picture) == 0
    assert spectrum_error(np.roll(picture, 16, 0), picture) < 1.5
    assert spectrum_error(blurred, picture) > 3
    assert spectrum_error(grainy, picture) > 3


def test_a_picture_that_invents_matter_is_less_consistent() -> None:
    hr = cv2.GaussianBlur(checks(512, 512), (0, 0), 4)
    lr = cv2.resize(hr, (128, 128), interpolation=cv2.INTER_AREA)
    invented = hr.copy()
    invented[200:260, 200:260] = 40
    assert consistency(hr, lr) > consistency(invented, lr) + 3
