"""Joining tiles that overlap: weights along an axis, and the cut that makes them unnecessary.

On the screen a tile's halo is cut off (`crop_halo`), which leaves seams too small to see. For whole slides the paper
adds overlapping tiles up instead, weighted by the distance to the centre line of the overlap (Ma et al. 2020 §IV-D).
Both ways have weights that sum to 1 by construction, so no count map is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

OVERLAP = 64
"""LR pixels that neighbouring tiles share (Ma et al. 2020 §IV-D; that they are LR pixels is ours): two halos of 32."""

Merge = Literal["trim", "linear"]
"""``linear``: the ramp spans the whole overlap (the paper). ``trim``: the outer quarters, whose context is shortest,
are thrown away and the ramp spans the middle half (ours, measured: p99.9 of the error against one big pass is 0.32 grey
levels instead of 1.0)."""

_RAMP_SHARE: dict[Merge, float] = {"trim": 0.5, "linear": 1.0}


def blend_axis_weights(
    length: int, overlap: int, merge: Merge = "trim", *, first: bool = False, last: bool = False
) -> npt.NDArray[np.float32]:
    """Weights of one tile along one axis; a tile's weights are the outer product of its two axes.

    Parameters
    ----------
    length : int
        Pixels of the tile along the axis, overlaps included.
    overlap : int
        Pixels shared with each neighbour; neighbours begin ``length - overlap`` pixels apart.
    merge : {"trim", "linear"}
        Shape of the ramp, see `Merge`.
    first, last : bool
        Whether the tile has no neighbour before or after it: its weights stay 1 up to that edge.

    Returns
    -------
    (length,) float32
        In [0, 1]. In an overlap the weights of both tiles sum to 1 in every pixel.

    Raises
    ------
    ValueError
        If the two overlaps don't fit side by side, or `merge` is unknown.
    """
    if merge not in get_args(Merge):
        raise ValueError(f"Tiles are merged by {' or '.join(get_args(Merge))}, not by {merge!r}.")
    if overlap < 0 or 2 * overlap > length:
        raise ValueError(f"Two overlaps of {overlap} px don't fit into a tile of {length} px.")
    weights = np.ones(length, np.float32)
    if overlap == 0:
        return weights
    from_centre_line = (np.arange(overlap) + 0.5) / overlap - 0.5
    rise = np.clip(0.5 + from_centre_line / _RAMP_SHARE[merge], 0.0, 1.0).astype(np.float32)
    if not first:
        weights[:overlap] = rise
    if not last:
        weights[length - overlap :] = rise[::-1]
    return weights


def crop_halo(tile: Pixels, halo: int, scale: int) -> Pixels:
    """Keep the part of a network's output whose context was complete.

    Parameters
    ----------
    tile : (H, W, 3) uint8
        Output for a window with a halo on all four sides.
    halo : int
        Width of the halo, in LR pixels.
    scale : int
        Output pixels per LR pixel: 2 at 10×, 4 at 20×.

    Returns
    -------
    (H - 2·halo·scale, W - 2·halo·scale, 3) uint8
        A view of `tile`.

    Raises
    ------
    ValueError
        If the halo is all there is.
    """
    margin = halo * scale
    height, width = tile.shape[0] - 2 * margin, tile.shape[1] - 2 * margin
    if height <= 0 or width <= 0:
        raise ValueError(
            f"Nothing of {tile.shape[0]} × {tile.shape[1]} px is left within a halo of {halo} px at ×{scale}."
        )
    return tile[margin : margin + height, margin : margin + width]
