"""Which rectangles of a window a network runs on, so that it computes little that is thrown away.

A rectangle is computed with a halo around it. Large ones share more of it, but carry background along that nobody
wants, and take memory. Ours, measured with `benchmarks/tile_loops.py` on 8,960 × 8,960 px of 20×, two at a time:
rectangles of up to 384 px take 0.94 of the time of those of up to 256 px and 1.6 instead of 1.2 GB; up to 512 px, 1.00
and 1.9 GB.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.tiles.grid import CORE, GRID_STEP, PART_PX

LEAST_SIDE_PX = 3 * CORE
"""Side of the largest rectangle where the halo is narrow."""
MOST_REDUNDANCY = 1.3
"""Pixels computed per pixel kept that the largest rectangle may cost."""


class Rectangle(NamedTuple):
    """A rectangle of input pixels, or of squares, without its halo."""

    row: int
    col: int
    height: int
    width: int

    def computed_px(self, halo: int) -> int:
        """Input pixels that a network sees for it, halo included."""
        return (self.height + 2 * halo) * (self.width + 2 * halo)

    def slices(self, scale: int = 1, context: int = 0) -> tuple[slice, slice]:
        """Where its pixels are in a picture of the window, so many times as large and with so much more at its end."""
        rows, cols = (
            slice(scale * start, scale * (start + size) + context)
            for start, size in ((self.row, self.height), (self.col, self.width))
        )
        return rows, cols


def largest_side(halo: int) -> int:
    """Side of the largest rectangle, in whole blocks, input pixels: 384 for a halo of 17, 512 for one of 32."""
    side = LEAST_SIDE_PX
    while Rectangle(0, 0, side, side).computed_px(halo) > MOST_REDUNDANCY * side**2:
        side += CORE
    return side


def cover(wanted: npt.NDArray[np.bool_], halo: int) -> tuple[list[Rectangle], list[Rectangle]]:
    """Cut a window into rectangles to compute and others to leave, for the fewest computed pixels.

    The window is cut in two, again and again; every way of doing so is weighed, and no rectangle to compute is larger
    than `largest_side`. The same is always cut alike.

    Parameters
    ----------
    wanted : (rows, cols) bool
        Pixels of the window, its halo left out.
    halo : int
        Context around a rectangle, input pixels.

    Returns
    -------
    tuple of two lists of Rectangle
        Those to compute, which hold all that is wanted, and the others. All together are the window, each pixel once;
        they begin on multiples of `GRID_STEP`.
    """
    n_rows, n_cols = (-(-size // PART_PX) for size in wanted.shape)
    padded = np.zeros((n_rows * PART_PX, n_cols * PART_PX), bool)
    padded[: wanted.shape[0], : wanted.shape[1]] = wanted
    cells = padded.reshape(n_rows, PART_PX, n_cols, PART_PX).max(axis=3).max(axis=1)
    boxes = _Boxes(cells, halo)
    computed: list[Rectangle] = []
    left: list[Rectangle] = []
    for box, cost in boxes.cheapest(Rectangle(0, 0, n_rows, n_cols)):
        row, col, height, width = (PART_PX * part for part in box)
        height, width = min(height, wanted.shape[0] - row), min(width, wanted.shape[1] - col)
        whole = Rectangle(row, col, height, width)
        if cost:
            computed.append(_tight(whole, wanted))
            left += _around(computed[-1], whole)
        else:
            left.append(whole)
    return computed, left


def _tight(whole: Rectangle, wanted: npt.NDArray[np.bool_]) -> Rectangle:
    """Cut off what nobody wants at a rectangle's sides, in steps of the grid."""
    inside = wanted[whole.slices()]
    (top, height), (left, width) = (
        _extent(np.flatnonzero(inside.any(axis=axis)), inside.shape[1 - axis]) for axis in (1, 0)
    )
    return Rectangle(whole.row + top, whole.col + left, height, width)


def _extent(places: npt.NDArray[np.intp], side: int) -> tuple[int, int]:
    """Where the places that are wanted along a side begin, in steps of the grid, and how far they go."""
    first = int(places[0]) // GRID_STEP * GRID_STEP
    return first, min(-(-(int(places[-1]) + 1) // GRID_STEP) * GRID_STEP, side) - first


def _around(inner: Rectangle, outer: Rectangle) -> list[Rectangle]:
    """What remains of a rectangle around another: above, below, left and right of it."""
    row_end, col_end = inner.row + inner.height, inner.col + inner.width
    strips = (
        Rectangle(outer.row, outer.col, inner.row - outer.row, outer.width),
        Rectangle(row_end, outer.col, outer.row + outer.height - row_end, outer.width),
        Rectangle(inner.row, outer.col, inner.height, inner.col - outer.col),
        Rectangle(inner.row, col_end, inner.height, outer.col + outer.width - col_end),
    )
    return [strip for strip in strips if strip.height and strip.width]


class _Boxes:
    """What computing a box of cells costs at least, from the smallest boxes up."""

    def __init__(self, cells: npt.NDArray[np.bool_], halo: int) -> None:
        n_rows, n_cols = cells.shape
        self._halo, self._largest = halo, largest_side(halo)
        wanted = np.zeros((n_rows + 1, n_cols + 1), np.int64)
        wanted[1:, 1:] = cells.cumsum(axis=0).cumsum(axis=1)
        self._costs: dict[tuple[int, int], npt.NDArray[np.float64]] = {}
        for height, width in product(range(1, n_rows + 1), range(1, n_cols + 1)):
            below, above = wanted[height:], wanted[:-height]
            held = below[:, width:] - below[:, :-width] - above[:, width:] + above[:, :-width]
            costs = np.where(held > 0, self._in_one(height, width), 0.0)
            for cut in range(1, height):
                both = self._costs[cut, width][: len(costs)] + self._costs[height - cut, width][cut:]
                np.minimum(costs, both, out=costs)
            for cut in range(1, width):
                both = self._costs[height, cut][:, : costs.shape[1]] + self._costs[height, width - cut][:, cut:]
                np.minimum(costs, both, out=costs)
            self._costs[height, width] = costs

    def _in_one(self, height: int, width: int) -> float:
        """Cost of a box in one piece."""
        box = Rectangle(0, 0, PART_PX * height, PART_PX * width)
        return float("inf") if max(box) > self._largest else box.computed_px(self._halo)

    def _cost(self, box: Rectangle) -> float:
        return float(self._costs[box.height, box.width][box.row, box.col])

    def cheapest(self, box: Rectangle) -> list[tuple[Rectangle, float]]:
        """The pieces of a box, each with its cost, which is 0 for those to leave."""
        cost = self._cost(box)
        if cost in (0, self._in_one(box.height, box.width)):
            return [(box, cost)]
        cuts = [
            (box._replace(height=cut), box._replace(row=box.row + cut, height=box.height - cut))
            for cut in range(1, box.height)
        ] + [
            (box._replace(width=cut), box._replace(col=box.col + cut, width=box.width - cut))
            for cut in range(1, box.width)
        ]
        first, second = next(parts for parts in cuts if sum(map(self._cost, parts)) == cost)
        return self.cheapest(first) + self.cheapest(second)
