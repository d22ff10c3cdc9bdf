"""What each view wants, and in whose turn. Plain bookkeeping: the scheduler calls it with its lock held."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pathsrgan.tiles.priority import interleave

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.grid import TileKey


@dataclass(slots=True, eq=False)
class ViewRequests:
    """What one view wants, most urgent first.

    Attributes
    ----------
    visible, prefetch : dict of TileKey to int
        Tiles in sight and tiles worth fetching ahead, each with its rank.
    served : set of TileKey
        Those of `prefetch` that have been fetched since they were first wanted. They aren't fetched again if the cache
        had no room for them, or there would be no end to it.
    last_turn : int
        When this list last had its turn; lists take turns.
    """

    visible: dict[TileKey, int]
    prefetch: dict[TileKey, int]
    served: set[TileKey]
    last_turn: int = 0

    def lacks(self, key: TileKey) -> bool:
        """Whether the list would have a tile computed that isn't in the cache."""
        return key in self.visible or (key in self.prefetch and key not in self.served)

    def rank(self, key: TileKey) -> tuple[bool, int]:
        """How urgent a tile of this list is; less is sooner."""
        in_sight = key in self.visible
        return not in_sight, self.visible[key] if in_sight else self.prefetch[key]


class RequestQueue:
    """The requests of all views."""

    def __init__(self) -> None:
        self._lists: dict[Hashable, ViewRequests] = {}
        self._turn = 0

    def replace(self, view: Hashable, visible: Sequence[TileKey], prefetch: Sequence[TileKey]) -> None:
        """Set a view's list; it keeps its place in the order of turns."""
        in_sight = {key: rank for rank, key in enumerate(dict.fromkeys(visible))}
        ahead = {key: rank for rank, key in enumerate(dict.fromkeys(prefetch)) if key not in in_sight}
        last = self._lists.get(view)
        if last is None:
            self._lists[view] = ViewRequests(in_sight, ahead, set())
        else:
            self._lists[view] = ViewRequests(in_sight, ahead, last.served.intersection(ahead), last.last_turn)

    def remove(self, view: Hashable) -> bool:
        """Drop a view's list and return whether it had one."""
        return self._lists.pop(view, None) is not None

    def views(self) -> list[Hashable]:
        """All views with a list."""
        return list(self._lists)

    def visible(self) -> set[TileKey]:
        """Tiles in sight of any view."""
        return {key for requests in self._lists.values() for key in requests.visible}

    def all(self) -> set[TileKey]:
        """Every tile that any list names."""
        return self.visible().union(*(requests.prefetch for requests in self._lists.values()))

    def lack(self, key: TileKey) -> bool:
        """Whether any list would have a tile computed that isn't in the cache."""
        return any(requests.lacks(key) for requests in self._lists.values())

    def in_order(self) -> list[TileKey]:
        """Every tile that is wanted, most urgent first: rank by rank in turns, what is in sight before the rest."""
        lists = sorted(self._lists.values(), key=lambda requests: requests.last_turn)
        in_sight = interleave([tuple(requests.visible) for requests in lists])
        ahead = interleave([tuple(key for key in requests.prefetch if requests.lacks(key)) for requests in lists])
        return list(dict.fromkeys([*in_sight, *ahead]))

    def take_turn(self, key: TileKey) -> ViewRequests:
        """Find the list to which a tile matters most, and put it last in the order of turns."""
        lists = [requests for requests in self._lists.values() if requests.lacks(key)]
        requests = min(lists, key=lambda requests: (requests.rank(key), requests.last_turn))
        self._turn += 1
        requests.last_turn = self._turn
        return requests

    def serve(self, keys: Iterable[TileKey]) -> None:
        """Note that tiles have been computed."""
        keys = frozenset(keys)
        for requests in self._lists.values():
            requests.served.update(keys.intersection(requests.prefetch))
