"""Which rectangles of blocks a network runs on, so that it computes little that is thrown away.

A rectangle of blocks is computed with a halo around it. Large rectangles share more of it, but carry blocks along that
nobody wants; a light network is also fastest on small ones, whose features stay in the processor's caches.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from napari_pathsrgan.tiles.grid import CORE

MOST_REDUNDANCY = 1.3
"""Pixels computed per pixel kept that a full rectangle may cost (ours: leaves room for those at the edge of cells)."""

Blocks = frozenset[tuple[int, int]]


class BlockRectangle(NamedTuple):
    """A rectangle of blocks."""

    row: int
    col: int
    n_rows: int
    n_cols: int

    def holds(self, block: tuple[int, int]) -> bool:
        """Whether a block lies inside."""
        return 0 <= block[0] - self.row < self.n_rows and 0 <= block[1] - self.col < self.n_cols

    def computed_px(self, halo: int) -> int:
        """Input pixels that a network sees for it, halo included."""
        return (CORE * self.n_rows + 2 * halo) * (CORE * self.n_cols + 2 * halo)


def largest_side(halo: int) -> int:
    """Blocks a side at which a square costs no more than `MOST_REDUNDANCY`: 2 for a halo of 16 px, 4 for one of 32."""
    side = 1
    while BlockRectangle(0, 0, side, side).computed_px(halo) > MOST_REDUNDANCY * (CORE * side) ** 2:
        side += 1
    return side


def cover(blocks: Collection[tuple[int, int]], halo: int) -> list[BlockRectangle]:
    """Cover blocks by rectangles for the fewest computed pixels.

    Rectangles come from cutting the blocks' bounding box in two, again and again, wherever that is cheaper; none is
    larger than `largest_side`. The same blocks always give the same rectangles, wherever they lie.

    Parameters
    ----------
    blocks : collection of (row, col)
        At most some 4 × 4 of them; all ways of cutting are tried.
    halo : int
        Context around a rectangle, input pixels.

    Returns
    -------
    list of BlockRectangle
        They don't overlap and hold every block.
    """
    if not blocks:
        return []
    top, left = min(row for row, _ in blocks), min(col for _, col in blocks)
    _, found = _cheapest(frozenset((row - top, col - left) for row, col in blocks), halo, largest_side(halo))
    return [rectangle._replace(row=rectangle.row + top, col=rectangle.col + left) for rectangle in found]


@lru_cache(maxsize=1 << 14)
def _cheapest(blocks: Blocks, halo: int, most: int) -> tuple[float, tuple[BlockRectangle, ...]]:
    spans = [(min(block[axis] for block in blocks), max(block[axis] for block in blocks) + 1) for axis in (0, 1)]
    (top, bottom), (left, right) = spans
    whole = BlockRectangle(top, left, bottom - top, right - left)
    best: tuple[float, tuple[BlockRectangle, ...]] = (float("inf"), ())
    if max(whole.n_rows, whole.n_cols) <= most:
        best = (whole.computed_px(halo), (whole,))
    for axis, (start, stop) in enumerate(spans):
        for cut in range(start + 1, stop):
            before = frozenset(block for block in blocks if block[axis] < cut)
            parts = [_cheapest(part, halo, most) for part in (before, blocks - before)]
            cost = parts[0][0] + parts[1][0]
            if cost < best[0]:
                best = (cost, parts[0][1] + parts[1][1])
    return best
