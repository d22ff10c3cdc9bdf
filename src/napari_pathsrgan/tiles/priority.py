"""In which order tiles are fetched: what is in sight first, from the centre outward, and each view in its turn."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

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


def interleave(request_lists: Sequence[Sequence[Item]]) -> Iterator[Item]:
    """First of every list, then the second of every list, and so on; what several lists name comes once."""
    seen: set[Item] = set()
    for rank in range(max(map(len, request_lists), default=0)):
        for requests in request_lists:
            if rank < len(requests) and requests[rank] not in seen:
                seen.add(requests[rank])
                yield requests[rank]
