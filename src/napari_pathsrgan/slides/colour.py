"""From the colours in a file to opaque sRGB."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels


def on_white(rgba: Pixels) -> Pixels:
    """Put (H, W, 4) uint8 on white, as (H, W, 3) uint8: where a scanner left a gap, there is nothing."""
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(rgba[..., :3])
    blended = rgba[..., :3] * (alpha / np.float32(255)) + (np.float32(255) - alpha)
    return np.rint(blended).astype(np.uint8)


def srgb_transform(profile: bytes | None) -> Callable[[Pixels], Pixels] | None:
    """Make the transform from a file's ICC profile to sRGB, perceptual intent.

    Parameters
    ----------
    profile : bytes or None
        An ICC profile as it stands in the file.

    Returns
    -------
    callable (H, W, 3) uint8 -> (H, W, 3) uint8, or None
        None where nothing is to be done: no profile, one that is sRGB already, one that isn't RGB or is damaged (a
        viewer shows such a slide with its colours as they are).
    """
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), "RGB", "RGB", ImageCms.Intent.PERCEPTUAL
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None

    def to_srgb(pixels: Pixels) -> Pixels:
        if pixels.size == 0:
            return pixels
        converted = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(pixels)), transform)
        return np.array(converted, dtype=np.uint8)

    return to_srgb
