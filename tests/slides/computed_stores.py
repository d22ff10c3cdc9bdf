"""Stores of computed tiles to write as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_pathsrgan.slides.computed_areas import ComputedAreas
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .synthetic import noise

SHAPES = [(2001, 1499), (1001, 750), (501, 375), (251, 188)]
MPPS = [0.293, 0.586, 1.172, 2.344]
MISSING = (0, 1, 1)
AREAS = ComputedAreas(False, ((0.0, 0.0, 300.0, 439.5), (300.0, 10.0, 286.0, 100.0)))


def make_store(path: Path) -> PyramidStore:
    """Write a store of smooth noise in four levels whose tile `MISSING` is missing."""
    store = PyramidStore.create(path, SHAPES, MPPS, [512, 256, 256, 256], "slide", "model", "Fäll & 17.svs", "lite")
    for level, (rows, cols) in enumerate(SHAPES):
        side = store.tile_px[level]
        for row, col in np.ndindex(store.grid_shape(level)):
            if (level, row, col) != MISSING:
                height, width = min(side, rows - row * side), min(side, cols - col * side)
                store.write(level, row, col, noise(height, width, 9 * row + col))
    return store


def level_pixels(store: PyramidStore, level: int) -> np.ndarray:
    """(rows, cols, 3) uint8."""
    return np.moveaxis(np.asarray(store.array(level)[:]), 0, -1)
