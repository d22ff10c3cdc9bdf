"""A JPEG compression is found in the pixels that it left."""

from __future__ import annotations

import numpy as np
import pytest
from tests.imaging.specimens import cell_like_field

from napari_pathsrgan.imaging.forward import scan_field
from napari_pathsrgan.imaging.jpeg_grid import JpegGrid, find_jpeg_grid
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import CLEAN, Subsampling
from napari_pathsrgan.imaging.sensor import compress
from napari_pathsrgan.types import Pixels


@pytest.fixture(scope="module")
def scan() -> Pixels:
    field = cell_like_field(0, 1000, 0.54)
    return scan_field(field, 0.54, OBJECTIVES[4], CLEAN, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("quality", "subsampling", "phase"),
    [(30, "444", (0, 0)), (42, "420", (3, 7)), (61, "422", (5, 0)), (75, "420", (0, 1)), (90, "444", (6, 2))],
)
def test_quality_and_blocks_are_found_exactly(
    scan: Pixels, quality: int, subsampling: Subsampling, phase: tuple[int, int]
) -> None:
    assert find_jpeg_grid([compress(scan, quality, subsampling, phase)]) == JpegGrid(quality, phase)


def test_parts_are_judged_together(scan: Pixels) -> None:
    whole = compress(scan, 70)
    parts = [whole[row : row + 96, col : col + 96] for row in (0, 104, 200) for col in (0, 160)]
    assert find_jpeg_grid(parts) == JpegGrid(70, (0, 0))


def test_pixels_without_compression_show_none(scan: Pixels) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert find_jpeg_grid([scan]) is None
    assert find_jpeg_grid([noisy]) is None
    assert find_jpeg_grid([np.full((200, 200, 3), 240, np.uint8)]) is None
    assert find_jpeg_grid([]) is None
