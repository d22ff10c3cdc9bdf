"""Weights with which overlapping tiles are added up (Ma et al. 2020 §IV-D).

They fall with the distance to the centre line of the overlap, and sum to 1 by construction, so no count map is kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

OVERLAP = 64
"""LR pixels that neighbouring tiles share (Ma et al. 2020 §IV-D; that they are LR pixels is ours): two halos of 32."""


def blend_axis_weights(
    length: int, overlap: int, *, first: bool = False, last: bool = False
) -> npt.NDArray[np.float32]:
    """Weights of one tile along one axis; a tile's weights are the outer product of its two axes.

    Parameters
    ----------
    length : int
        Pixels of the tile along the axis, overlaps included.
    overlap : int
        Pixels shared with each neighbour; neighbours begin ``length - overlap`` pixels apart.
    first, last : bool
        Whether the tile has no neighbour before or after it: its weights stay 1 up to that edge.

    Returns
    -------
    (length,) float32
        In [0, 1]. In an overlap the weights of both tiles sum to 1 in every pixel.

    Raises
    ------
    ValueError
        If the two overlaps don't fit side by side.
    """
    if overlap < 0 or 2 * overlap > length:
        raise ValueError(f"Two overlaps of {overlap} px don't fit into a tile of {length} px.")
    weights = np.ones(length, np.float32)
    if overlap == 0:
        return weights
    rise = ((np.arange(overlap) + 0.5) / overlap).astype(np.float32)
    if not first:
        weights[:overlap] = rise
    if not last:
        weights[length - overlap :] = rise[::-1]
    return weights
