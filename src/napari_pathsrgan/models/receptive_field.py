"""How far a network looks: measured with the network itself, so that no formula has to be kept beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathsrgan.models.generator import Generator

LARGEST_CONTEXT_LR_PX = 224
"""What fits beside one block of 128 px into the largest window (`inference.window_buffer`)."""
_EDGE_PX = 8
_BREADTH_PX = 64
"""Enough for paddings and poolings; what the window shows across does not matter."""


def measure_context(network: Generator, alignment: int) -> int | None:
    """Measure how much context a tile needs for its pixels to be those of one big pass.

    Rows at both ends of a window are NaN, and so is whatever the network computes from them: the rows that stay finite
    are those that do not depend on the ends. Columns likewise.

    Parameters
    ----------
    network : Generator
        On the CPU.
    alignment : int
        The context is rounded up to a multiple of it, input pixels.

    Returns
    -------
    int or None
        Input pixels on each side; None if it is more than `LARGEST_CONTEXT_LR_PX`, as for networks that look at the
        whole window.
    """
    was_training = network.training
    network.eval()
    try:
        reaches = [_reach(network, by_columns) for by_columns in (False, True)]
    finally:
        network.train(was_training)
    if None in reaches:
        return None
    context = -(-max(reach for reach in reaches if reach is not None) // alignment) * alignment
    return context if context <= LARGEST_CONTEXT_LR_PX else None


def _reach(network: Generator, by_columns: bool) -> int | None:
    length = _BREADTH_PX
    while length <= 4 * LARGEST_CONTEXT_LR_PX:
        window = torch.full((1, 3, length, _BREADTH_PX), 0.5)
        window[:, :, :_EDGE_PX] = window[:, :, -_EDGE_PX:] = torch.nan
        with torch.inference_mode():
            images = network(window.transpose(2, 3) if by_columns else window)
        found = [_spread(image.transpose(2, 3) if by_columns else image, length) for image in images]
        if None not in found:
            return max(reach for reach in found if reach is not None)
        length *= 2
    return None


def _spread(image: Tensor, length: int) -> int | None:
    """How far NaN came from either end, input pixels; None where it came everywhere."""
    finite = torch.isfinite(image).all(dim=3).all(dim=1)[0].nonzero()
    if not len(finite):
        return None
    factor = image.shape[2] // length
    first, end = int(finite[0]), int(finite[-1]) + 1
    return max(-(-first // factor) - _EDGE_PX, length - _EDGE_PX - end // factor, 0)
