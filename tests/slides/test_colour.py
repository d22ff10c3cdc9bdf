from __future__ import annotations

import numpy as np

from napari_pathsrgan.slides.colour import on_white, srgb_transform


def test_transparency_shows_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], np.uint8)
    np.testing.assert_array_equal(on_white(rgba), [[[10, 20, 30], [255, 255, 255], [204, 224, 244]]])


def test_opaque_pixels_are_kept() -> None:
    rgba = np.dstack([np.arange(48, dtype=np.uint8).reshape(4, 4, 3), np.full((4, 4), 255, np.uint8)])
    np.testing.assert_array_equal(on_white(rgba), rgba[..., :3])


def test_without_a_profile_nothing_is_to_be_done() -> None:
    assert srgb_transform(None) is None
    assert srgb_transform(b"") is None
