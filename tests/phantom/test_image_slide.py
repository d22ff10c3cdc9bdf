"""A sharp image as a slide file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.imaging.forward import scan_field
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import CLEAN
from napari_pathsrgan.phantom import image_slide
from napari_pathsrgan.phantom.image_slide import write_image_slide
from napari_pathsrgan.slides.open_slide import open_slide


@pytest.fixture
def image() -> np.ndarray:
    """Smooth blobs, 600 × 900 px: 162 × 243 µm at 0.27 µm/px."""
    rows, cols = np.mgrid[0:600, 0:900]
    blobs = 120 + 60 * np.sin(rows / 40)[..., None] * np.cos(cols / 55)[..., None] * np.array([1.0, 0.8, 0.6])
    return blobs.astype(np.uint8)


def test_opens_with_pixel_size_power_and_the_scan_s_pixels(image: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "field.tiff"
    write_image_slide(image, 0.27, path, CLEAN, np.random.default_rng(0))
    scan = scan_field(image, 0.27, OBJECTIVES[4], CLEAN, np.random.default_rng(0))
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(1.465)
        assert slide.objective_power == 4
        read = slide.read_level(0, 0, 0, *scan.shape[:2])
    assert np.abs(read.astype(int) - scan).mean() < 1.5, "more than JPEG at its best quality loses"


def test_refuses_a_file_that_exists(image: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "field.tiff"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        write_image_slide(image, 0.27, path, CLEAN, np.random.default_rng(0))
    assert path.read_bytes() == b"mine"


def test_leaves_nothing_behind_on_a_full_disk(
    image: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(partial: Path, *_: object) -> None:
        partial.write_bytes(b"half a slide")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_slide, "write_pyramid", fill_up)
    with pytest.raises(OutputError, match="no room left"):
        write_image_slide(image, 0.27, tmp_path / "field.tiff", CLEAN, np.random.default_rng(0))
    assert list(tmp_path.iterdir()) == []
