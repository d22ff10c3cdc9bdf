"""Background: found where it is, by whatever window one looks through."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.slides.foreground import REACH_PX, SlideBackground, estimate_slide_background, foreground_weight
from napari_pathsrgan.slides.open_slide import open_slide

from .conftest import write_aperio

WHITE = (238, 234, 240)


def scan(rows: int, cols: int, seed: int = 0, noise: float = 1.0) -> np.ndarray:
    """(rows, cols, 3) uint8: cells on background, a third of it covered."""
    rng = np.random.default_rng(seed)
    density = np.zeros((rows, cols), np.float32)
    for _ in range(rows * cols // 1500):
        centre = (int(rng.integers(cols)), int(rng.integers(rows)))
        cv2.circle(density, centre, int(rng.integers(6, 16)), float(rng.uniform(0.1, 0.5)), -1)
    density = cv2.GaussianBlur(density, (0, 0), 1.2)[..., None] * np.array([0.6, 1.0, 0.8], np.float32)
    image = np.asarray(WHITE) * 10**-density + rng.normal(0, noise, (rows, cols, 3))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


BACKGROUND = SlideBackground(tuple(map(float, WHITE)), 0.4)  # type: ignore[arg-type]
IMAGE = scan(420, 500)
WEIGHT = foreground_weight(IMAGE, BACKGROUND)


def test_the_picture_has_cells_background_and_borders() -> None:
    """Without all three the tests below could not fail."""
    assert np.mean(WEIGHT == 1) > 0.2
    assert np.mean(WEIGHT == 0) > 0.02
    assert np.mean((WEIGHT > 0) & (WEIGHT < 1)) > 0.05


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_weight_is_the_same_whatever_the_window(data: st.DataObject) -> None:
    rows, cols = WEIGHT.shape
    top = data.draw(st.integers(0, rows - 2 * REACH_PX - 1))
    left = data.draw(st.integers(0, cols - 2 * REACH_PX - 1))
    bottom = data.draw(st.integers(top + 2 * REACH_PX + 1, rows))
    right = data.draw(st.integers(left + 2 * REACH_PX + 1, cols))
    weight = foreground_weight(IMAGE[top:bottom, left:right], BACKGROUND)
    inside = slice(REACH_PX, -REACH_PX)
    wanted = WEIGHT[top:bottom, left:right]
    assert np.array_equal(weight[inside, inside], wanted[inside, inside])


def test_a_weight_looks_no_further_than_it_says() -> None:
    """One dark pixel on background moves weights up to 15 px away, so that enlarged ones move up to 16."""
    flat = np.full((65, 65, 3), WHITE, np.uint8)
    flat[::2] -= 1
    background = SlideBackground(tuple(map(float, WHITE)))  # type: ignore[arg-type]
    assert not foreground_weight(flat, background).any()
    flat[32, 32] = 60
    rows, cols = np.nonzero(foreground_weight(flat, background))
    reach = max(np.abs(rows - 32).max(), np.abs(cols - 32).max())
    assert reach == REACH_PX - 1


def test_cells_are_foreground_with_their_surroundings() -> None:
    image = np.full((101, 101, 3), WHITE, np.uint8)
    image[::2, ::2] -= 1
    cv2.circle(image, (50, 50), 10, (200, 190, 210), -1)
    weight = foreground_weight(image, BACKGROUND)
    distance = np.hypot(*(np.mgrid[:101, :101] - 50))
    assert np.all(weight[distance < 13] == 1)
    assert np.all(weight[distance > 40] == 0)
    assert np.abs(np.diff(weight, axis=1)).max() < 0.2  # a ramp, no step


@pytest.mark.parametrize("noise", [0.5, 1.0, 1.5])
def test_noise_on_background_is_not_foreground(tmp_path: Path, noise: float) -> None:
    image = np.clip(
        np.rint(np.asarray(WHITE) + np.random.default_rng(1).normal(0, noise, (600, 800, 3))), 0, 255
    ).astype(np.uint8)
    image[:, :300] = scan(600, 300, 2, noise)
    with open_slide(write_aperio(tmp_path / "noisy.svs", [image])) as slide:
        background = estimate_slide_background(slide, 1.172)
        window = slide.read_grid(1.172, 100, 500, 256, 256)
    assert background.white == pytest.approx(WHITE, abs=2)
    assert foreground_weight(window, background).mean() < 0.02


def test_faint_cytoplasm_is_foreground(tmp_path: Path) -> None:
    """A density of 0.02, five per cent of the light, is a folded cell's faint edge."""
    rng = np.random.default_rng(1)
    image = np.asarray(WHITE) + rng.normal(0, 0.7, (600, 800, 3))
    image[200:400, 200:400] *= 10**-0.02
    pixels = np.rint(image).astype(np.uint8)
    with open_slide(write_aperio(tmp_path / "faint.svs", [pixels])) as slide:
        background = estimate_slide_background(slide, 1.465)
    weight = foreground_weight(pixels, background)
    assert weight[210:390, 210:390].mean() > 0.95
    assert weight[450:, 450:].mean() < 0.02


@pytest.mark.parametrize("level", [255, 0, 128])
def test_a_scanners_filling_is_no_foreground(level: int) -> None:
    image = np.full((64, 64, 3), level, np.uint8)
    assert not foreground_weight(image, BACKGROUND).any()


def test_overexposed_background_is_background(tmp_path: Path) -> None:
    image = np.full((600, 800, 3), 255, np.uint8)
    image[:, :300] = scan(600, 300, 2)
    with open_slide(write_aperio(tmp_path / "bright.svs", [image])) as slide:
        weight = foreground_weight(slide.read_grid(1.172, 100, 500, 200, 200), estimate_slide_background(slide, 1.172))
    assert not weight.any()


def test_where_there_is_no_background_all_is_foreground(tmp_path: Path) -> None:
    crowded = (np.random.default_rng(0).random((500, 500, 3)) * 120).astype(np.uint8)
    with open_slide(write_aperio(tmp_path / "crowded.svs", [crowded])) as slide:
        background = estimate_slide_background(slide, 1.172)
    assert background.white is None
    assert np.all(foreground_weight(crowded, background) == 1)


def test_background_is_found_again_the_same(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "case.svs", [scan(700, 900)])
    found = []
    for _ in range(2):
        with open_slide(path) as slide:
            found.append(estimate_slide_background(slide, 1.172))
    assert found[0] == found[1]
    assert found[0].white == pytest.approx(WHITE, abs=1.5)
    assert 0 < found[0].noise < 0.6  # of the background, though most of the slide is cells


def test_tolerances_grow_with_noise() -> None:
    quiet, loud = SlideBackground((240.0, 240.0, 240.0), 0.1), SlideBackground((240.0, 240.0, 240.0), 3.0)
    assert (quiet.tint_tolerance, quiet.range_tolerance) == (5.0, 3.0)
    assert (loud.tint_tolerance, loud.range_tolerance) == (12.0, 21.0)
