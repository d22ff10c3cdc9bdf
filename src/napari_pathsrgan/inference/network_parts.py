"""Which parts of a window need the network, which are background, and what comes of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.slides.foreground import SlideBackground, foreground_weight
from napari_pathsrgan.tiles.covering import Rectangle, cover

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels


class Pictures(NamedTuple):
    """What a model gives for a window.

    Attributes
    ----------
    mr : (2h, 2w, 3) uint8
        The 10× picture of the window without its halo.
    hr : (4h, 4w, 3) uint8 or None
        The 20× picture, where asked for.
    computed : list of Rectangle
        Where the network ran, input pixels from the window's core.
    """

    mr: Pixels
    hr: Pixels | None
    computed: list[Rectangle]


class NetworkParts(NamedTuple):
    """A window's core, cut into rectangles.

    Attributes
    ----------
    weight : (H, W) float32 or None
        How much of the network's picture to take, over the whole window; None for all of it everywhere.
    computed, left : list of Rectangle
        Where the network runs, and the background that is only enlarged.
    """

    weight: npt.NDArray[np.float32] | None
    computed: list[Rectangle]
    left: list[Rectangle]


def network_parts(window: Pixels, background: SlideBackground | None, halo: int) -> NetworkParts:
    """Find where a network is needed.

    Parameters
    ----------
    window : (H, W, 3) uint8
        Input pixels, with `halo` of context on each side.
    background : SlideBackground, optional
        None where nothing is to be taken for background.
    halo : int
        Without one there is no context to compute a part with: it is all or nothing.
    """
    height, width = (size - 2 * halo for size in window.shape[:2])
    whole = [Rectangle(0, 0, height, width)]
    if background is None:
        return NetworkParts(None, whole, [])
    weight = foreground_weight(window, background)
    # Enlarged weights reach one pixel further.
    taken = cv2.dilate(weight, np.ones((3, 3), np.uint8))[halo : halo + height, halo : halo + width] > 0
    if halo:
        return NetworkParts(weight, *cover(taken, halo))
    return NetworkParts(weight, whole, []) if taken.any() else NetworkParts(weight, [], whole)
