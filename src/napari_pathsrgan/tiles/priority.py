"""In which order tiles are fetched: what is in sight first, from the centre outward, and each view in its turn."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from napari_pathsrgan.tiles.viewport import PREFETCH_RING, prefetch_tiles, visible_tiles

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.grid import PyramidGrid

Item = TypeVar("Item", bound=Hashable)


def centre_outward(
    tiles: Iterable[tuple[int, int]], centre_row: float, centre_col: float, tile_px: int
) -> list[tuple[int, int]]:
    """Sort tiles by how far their centre lies from a point.

    Parameters
    ----------
    tiles : iterable of (row, col)
        Positions in a level's grid of tiles.
    centre_row, centre_col : float
        The point, in pixels of the level.
    tile_px : int
        Side of a tile, in pixels of the level.

    Returns
    -------
    list of (row, col)
        Nearest first; at equal distance by row, then column, so that an unmoved view gives an unchanged order.
    """

    def distance(tile: tuple[int, int]) -> tuple[float, int, int]:
        row, col = tile
        row_px, col_px = (row + 0.5) * tile_px - centre_row, (col + 0.5) * tile_px - centre_col
        return row_px * row_px + col_px * col_px, row, col

    return sorted(tiles, key=distance)


def by_urgency(
    grid: PyramidGrid, level: int, rows: slice, cols: slice, ring: int = PREFETCH_RING
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Tiles of a region in the order in which they are wanted.

    Parameters
    ----------
    grid : PyramidGrid
        Levels and tiles.
    level, rows, cols : int, slice, slice
        The region in sight, in pixels of `level`.
    ring : int
        How many tiles around it are fetched ahead.

    Returns
    -------
    visible, prefetch : list of (row, col)
        Each from the region's centre outward.
    """
    centre = ((rows.start + rows.stop) / 2, (cols.start + cols.stop) / 2)
    side = grid.tile_px[level]
    return (
        centre_outward(visible_tiles(grid, level, rows, cols), *centre, side),
        centre_outward(prefetch_tiles(grid, level, rows, cols, ring), *centre, side),
    )


def interleave(request_lists: Sequence[Sequence[Item]]) -> Iterator[Item]:
    """First of every list, then the second of every list, and so on; what several lists name comes once."""
    seen: set[Item] = set()
    for rank in range(max(map(len, request_lists), default=0)):
        for requests in request_lists:
            if rank < len(requests) and requests[rank] not in seen:
                seen.add(requests[rank])
                yield requests[rank]
