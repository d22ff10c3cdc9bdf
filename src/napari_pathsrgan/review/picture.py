"""Pictures as they are kept in a review: files that differ in their pixels and in nothing else."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

Pixels = npt.NDArray[np.uint8]


def encode(picture: Pixels) -> bytes:
    """Write a picture as PNG without compressing it: all pictures of one size have files of one length.

    Compressed, a smooth picture is a short file: enough to tell bicubic enlargement from a scan.

    Parameters
    ----------
    picture : (H, W, 3) uint8

    Returns
    -------
    bytes
    """
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG", compress_level=0)
    return file.getvalue()


def decode(file: bytes) -> Pixels:
    """Read a picture: (H, W, 3) uint8; ValueError if it's damaged."""
    try:
        with Image.open(io.BytesIO(file)) as image:
            return np.asarray(image.convert("RGB"), np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError("The picture is damaged.") from error
