"""A turned slide shows what the slide shows, where it should, interpolated once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from napari_pathsrgan.registration.turned import Similarity, TurnedSlide
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.types import Pixels

MPP = 1.465


def smooth(rows: int, cols: int) -> Pixels:
    noise = np.random.default_rng(0).random((rows, cols, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip(150 + 900 * (soft - 0.5), 20, 250).astype(np.uint8)


def slide_file(path: Path, pixels: Pixels) -> Path:
    tifffile.imwrite(
        path, pixels, tile=(128, 128), photometric="rgb", resolution=(1e4 / MPP,) * 2, resolutionunit="CENTIMETER"
    )
    return path


def test_a_quarter_turn_moves_pixels_and_changes_none(tmp_path: Path) -> None:
    pixels = smooth(200, 300)
    with open_slide(slide_file(tmp_path / "a.tif", pixels)) as slide:
        for turn, expected in (
            (Similarity.of(90), np.rot90(pixels)),
            (Similarity.of(180), np.rot90(pixels, 2)),
            (Similarity.of(0, 1, mirrored=True), pixels[:, ::-1]),
            (Similarity.of(-90, 1, mirrored=True), np.rot90(pixels[:, ::-1], -1)),
        ):
            turned = TurnedSlide(slide, turn.matrix)
            assert turned.grid_shape(MPP) == expected.shape[:2]
            shown = turned.read_level(0, 20, 30, 100, 120)
            np.testing.assert_array_equal(shown, expected[20:120, 30:150])
            coarse = turned.read_grid(MPP, 20, 30, 100, 120).astype(int)
            assert np.abs(coarse - expected[20:120, 30:150]).max() <= 1


@pytest.mark.parametrize(("angle", "scale", "mirrored"), [(3.0, 1.02, False), (-127.0, 0.98, True)])
def test_turning_there_and_back_shows_the_slide(tmp_path: Path, angle: float, scale: float, mirrored: bool) -> None:
    pixels = smooth(260, 240)
    with open_slide(slide_file(tmp_path / "a.tif", pixels)) as slide:
        there = TurnedSlide(slide, Similarity.of(angle, scale, mirrored).matrix)
        whole = there.read_level(0, 0, 0, *there.grid_shape(MPP))
        middle = there.similarity.apply(np.array([[130.5, 120.5]]) * MPP)[0]
        green = there.sample_green(middle - 16 * MPP, MPP, 32)
        assert np.abs(green - there.sample(middle - 16 * MPP, MPP, (32, 32))[..., 1]).max() < 2.5
    with open_slide(slide_file(tmp_path / "b.tif", whole)) as slide:
        back = TurnedSlide(slide, np.linalg.inv(there.similarity.matrix))
        place = back.similarity.apply(middle[None])[0]
        shown = back.sample(place - 40.5 * MPP, MPP, (80, 80)).astype(int)
    assert np.abs(shown - pixels[90:170, 80:160]).mean() < 1.0


def test_places_go_there_and_back() -> None:
    turn = Similarity(Similarity.of(33, 1.01, mirrored=True).matrix, np.array([5.0, -7.0]))
    places = np.random.default_rng(0).uniform(0, 1000, (20, 2))
    np.testing.assert_allclose(turn.undo(turn.apply(places)), places)
    again = Similarity.from_record(turn.record())
    np.testing.assert_allclose(again.matrix, turn.matrix)
    np.testing.assert_allclose(again.shift_um, turn.shift_um)
    assert str(turn) == "mirrored and turned by 33.00°, scale 1.0100"


def test_a_turned_slide_is_empty_beyond_its_edges(tmp_path: Path) -> None:
    pixels = np.full((200, 200, 3), 230, np.uint8)
    pixels[60:140, 60:140] = 90
    with open_slide(slide_file(tmp_path / "a.tif", pixels)) as slide:
        turned = TurnedSlide(slide, Similarity.of(45).matrix)
        shape = turned.grid_shape(4 * MPP)
        shown = turned.read_grid(4 * MPP, 0, 0, *shape)
        inside = turned.contains(np.array([[0.0, 0.0], [150.0, 150.0]]), 60.0, 5.0)
    assert shown[0, 0].tolist() == [230, 230, 230]
    assert shown[shape[0] // 2, shape[1] // 2].tolist() == [90, 90, 90]
    assert inside.tolist() == [False, True]
