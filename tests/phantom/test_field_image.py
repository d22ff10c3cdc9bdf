"""Synthetic fields as sharp images."""

from __future__ import annotations

import numpy as np

from napari_pathsrgan.phantom.field_image import PHANTOM_UM, phantom_field


def test_a_phantom_picture_shows_cells_on_white_background() -> None:
    image = phantom_field(3)
    assert image.shape == (int(PHANTOM_UM[0] / 0.293), int(PHANTOM_UM[1] / 0.293), 3)
    assert image.dtype == np.uint8
    assert np.mean(image.min(axis=2) > 250) > 0.05  # background
    assert np.mean(image.min(axis=2) < 110) > 0.002  # nuclei
    np.testing.assert_array_equal(image, phantom_field(3))
