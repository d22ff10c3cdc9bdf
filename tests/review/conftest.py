"""Small reviews of smooth and rough images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from napari_pathsrgan.review import store
from napari_pathsrgan.review.design import Design, PatchSet
from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.study import write_study

METHODS = ("bicubic", "lite", "paper", "real")


def patch_sets(count: int, side: int = 32, methods: tuple[str, ...] = METHODS) -> Iterator[PatchSet]:
    """Fields whose images are the rougher, the further back in the alphabet a method is."""
    for number in range(count):
        rng = np.random.default_rng(number)
        rough = rng.integers(0, 256, (side, side, 3), np.uint8)
        images = {
            method: cv2.GaussianBlur(rough, (0, 0), 0.3 + 1.5 * (len(methods) - 1 - rank))
            for rank, method in enumerate(methods)
        }
        measures = {method: {"psnr": 20.0 + rank, "ssim": 0.7} for rank, method in enumerate(methods[:-1])}
        yield PatchSet(f"field-{number}", images, ("NILM", "HSIL")[number % 2], f"case-{number % 3}", measures)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests kill processes, not machines."""
    monkeypatch.setattr(store, "SYNCHRONOUS", "OFF")


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the organiser's keys."""
    monkeypatch.setenv("PATHSRGAN_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture
def make_review(tmp_path: Path) -> Callable[..., tuple[Path, Key]]:
    """Write a review of so many fields; gives its path and key."""

    def make(patches: int = 5, name: str = "study.review", side: int = 32, **options: Any) -> tuple[Path, Key]:
        design = Design(**{"patches": patches, "repeats": 2, "warm_up": 1, "anchors": 1, **options})
        path = tmp_path / name
        key = write_study(path, path.with_suffix(".key.json"), design, patch_sets(100, side), ("bicubic", "real"))
        return path, key

    return make
