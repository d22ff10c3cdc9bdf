"""Pairs from single sharp pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from napari_pathsrgan.registration.from_fields import append_field
from napari_pathsrgan.registration.pairs import PairsFile
from napari_pathsrgan.training.fields import make_field


@dataclass
class Field:
    lr: np.ndarray
    mr: np.ndarray
    hr: np.ndarray


def picture() -> np.ndarray:
    """Dark discs on white, 330 × 210 µm at 0.27 µm/px; the right third is glass."""
    image = np.full((780, 1220, 3), 245, np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(120):
        centre = (int(rng.integers(0, 800)), int(rng.integers(0, 780)))
        cv2.circle(image, centre, int(rng.integers(8, 40)), (150, int(rng.integers(80, 200)), 170), -1)
    return image


def simulate() -> Field:
    made = make_field("discs", picture(), 0.27, 1, 0)
    return Field(made.scans[0].lr, made.mr, made.hr)


def test_fields_become_simulated_pairs(tmp_path: Path) -> None:
    count = append_field(tmp_path / "p", "discs", picture().tobytes(), 0.27, simulate, split="train")
    file = PairsFile(tmp_path / "p")
    assert len(file) == count >= 2
    assert file.table["simulated"].all()
    assert (file.table["foreground"] >= 0.05).all()
    for row in range(count):
        lr, mr, hr = file[row]
        for finer, ratio in ((mr, 2), (hr, 4)):
            shrunk = finer.reshape(128, ratio, 128, ratio, 3).mean(axis=(1, 3))
            assert np.corrcoef(shrunk[..., 1].ravel(), lr[..., 1].ravel())[0, 1] > 0.9


def test_a_picture_is_taken_once(tmp_path: Path) -> None:
    for _ in range(2):
        append_field(tmp_path / "p", "discs", b"one", 0.27, simulate)
    assert len(PairsFile(tmp_path / "p").slides) == 1


def test_a_small_picture_gives_none(tmp_path: Path) -> None:
    def small() -> Field:
        return Field(*(np.zeros((side, side, 3), np.uint8) for side in (100, 200, 400)))

    assert append_field(tmp_path / "p", "small", b"two", 0.27, small) == 0
    assert len(PairsFile(tmp_path / "p")) == 0
