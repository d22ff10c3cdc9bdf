"""Images as a review keeps them: all of one length, and none shorter than another when it is compressed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels


def encode(image: Pixels, name: str) -> bytes:
    """Write an image's pixels, masked so that their bytes look random.

    A smooth image compresses better than a sharp one: enough to tell bicubic enlargement from a scan by the size of an
    archive. The mask follows from the name and is no secret; whoever removes it looks at pixels.

    Parameters
    ----------
    image : (H, W, 3) uint8
    name : str
        Of the image in the review.

    Returns
    -------
    bytes
        H · W · 3 of them.
    """
    return (np.ascontiguousarray(image).ravel() ^ _mask(name, image.size)).tobytes()


def decode(stored: bytes, name: str, rows: int, cols: int) -> Pixels:
    """Read an image: (rows, cols, 3) uint8; ValueError if it has another length."""
    if len(stored) != rows * cols * 3:
        raise ValueError("The image is damaged.")
    return (np.frombuffer(stored, np.uint8) ^ _mask(name, len(stored))).reshape(rows, cols, 3)


def digest(stored: bytes) -> bytes:
    """SHA-256 of a stored image, by which damage is noticed."""
    return hashlib.sha256(stored).digest()


def _mask(name: str, length: int) -> Pixels:
    return np.frombuffer(hashlib.shake_256(name.encode()).digest(length), np.uint8)
