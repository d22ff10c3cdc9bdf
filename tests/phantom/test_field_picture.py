"""Synthetic fields as sharp pictures."""

from __future__ import annotations

import numpy as np

from napari_pathsrgan.phantom.field_picture import PHANTOM_UM, phantom_picture


def test_a_phantom_picture_shows_cells_on_white_glass() -> None:
    picture = phantom_picture(3)
    assert picture.shape == (int(PHANTOM_UM[0] / 0.293), int(PHANTOM_UM[1] / 0.293), 3)
    assert picture.dtype == np.uint8
    assert np.mean(picture.min(axis=2) > 250) > 0.05  # glass
    assert np.mean(picture.min(axis=2) < 110) > 0.002  # nuclei
    np.testing.assert_array_equal(picture, phantom_picture(3))
