"""A registration in a real viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_pathsrgan.plugin.registration.registration_view import show_registration
from napari_pathsrgan.registration.fine import PATCH_FIELDS
from napari_pathsrgan.slides.open_slide import open_slide


def test_patches_vectors_and_checkerboard_lie_on_the_scan(make_napari_viewer: Callable, slide_path: Path) -> None:
    table = np.zeros(4, PATCH_FIELDS)
    table["row_um"], table["col_um"] = (100, 100, 500, 500), (200, 600, 200, 600)
    table["correlation"] = (0.82, 0.9, 0.95, 0.99)
    viewer = make_napari_viewer()
    with open_slide(slide_path) as slide:
        scan, board, drift, patches = show_registration(viewer, slide, slide, table)
        assert [layer.name for layer in viewer.layers] == [scan.name, board.name, drift.name, patches.name]
        np.testing.assert_allclose(patches.data[:, 0], table["row_um"] + 75)
        assert len({tuple(colour) for colour in patches.face_color.round(3)}) == 4
        low, high = board.extent.world
        np.testing.assert_allclose(low, (100, 200), atol=1)
        assert (high >= (640, 740)).all()
        viewer.layers.clear()
