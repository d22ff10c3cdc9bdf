"""Computed and read tiles, kept in memory up to a bound in bytes.

The tile used longest ago goes first. Tiles that a view has pinned, because they are on the screen, never go: throwing
them away would make the picture soft before the user's eyes and start the same work again at once. So the memory held
is at most the bound or what is on the screen, whichever is more.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.grid import TileKey
    from napari_pathsrgan.types import Pixels


class TileCache:
    """Least-recently-used tiles, bounded in bytes. Safe to use from any thread.

    Parameters
    ----------
    max_bytes : int
        Bound on the pixels held, in bytes. Only pinned tiles may exceed it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._lock = threading.Lock()
        self._tiles: OrderedDict[TileKey, Pixels] = OrderedDict()
        self._pins: dict[Hashable, frozenset[TileKey]] = {}
        self._pin_counts: Counter[TileKey] = Counter()
        self._nbytes = 0
        self._max_bytes = _checked(max_bytes)

    @property
    def max_bytes(self) -> int:
        """The bound, in bytes."""
        return self._max_bytes

    @property
    def nbytes(self) -> int:
        """Bytes of pixels held."""
        with self._lock:
            return self._nbytes

    def __len__(self) -> int:
        with self._lock:
            return len(self._tiles)

    def __contains__(self, key: object) -> bool:
        """Whether a tile is there; does not count as a use."""
        with self._lock:
            return key in self._tiles

    def missing(self, keys: Iterable[TileKey]) -> list[TileKey]:
        """Those of `keys` that aren't there, in their order; does not count as a use."""
        with self._lock:
            return [key for key in keys if key not in self._tiles]

    def get(self, key: TileKey) -> Pixels | None:
        """Return a tile, read-only, and count this as a use; None if it isn't there."""
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
            return tile

    def peek(self, key: TileKey) -> Pixels | None:
        """Return a tile, read-only, without counting it as a use; None if it isn't there."""
        with self._lock:
            return self._tiles.get(key)

    def put(self, key: TileKey, tile: Pixels) -> bool:
        """Keep a tile, as its most recent use, and make room for it.

        Parameters
        ----------
        key : TileKey
            A tile already there under this key is replaced.
        tile : (h, w, 3) uint8
            Handed over: it becomes read-only. A part of a bigger array is copied, or the bigger array would stay in
            memory uncounted.

        Returns
        -------
        bool
            Whether the tile was kept. It isn't when what is pinned leaves no room for it.
        """
        if tile.base is not None or not tile.flags.c_contiguous:
            tile = tile.copy()
        tile.setflags(write=False)
        with self._lock:
            self._remove(key)
            self._tiles[key] = tile
            self._nbytes += tile.nbytes
            self._evict()
            return key in self._tiles

    def pin(self, view: Hashable, keys: Iterable[TileKey]) -> None:
        """Say what a view shows, in place of what it showed before; an empty `keys` lets go of everything.

        Keys may be pinned before their tiles arrive.
        """
        pinned = frozenset(keys)
        with self._lock:
            self._pin_counts.update(pinned)
            self._pin_counts.subtract(self._pins.pop(view, ()))
            self._pin_counts = +self._pin_counts
            if pinned:
                self._pins[view] = pinned
            self._evict()

    def resize(self, max_bytes: int) -> None:
        """Set another bound, in bytes, and make it hold at once."""
        with self._lock:
            self._max_bytes = _checked(max_bytes)
            self._evict()

    def drop(self, predicate: Callable[[TileKey], bool]) -> int:
        """Throw away every tile that `predicate` is true of, pinned or not, and return how many there were."""
        with self._lock:
            keys = list(self._tiles)
        doomed = [key for key in keys if predicate(key)]  # foreign code: never run while the lock is held
        with self._lock:
            return sum(self._remove(key) for key in doomed)

    def clear(self) -> None:
        """Throw away every tile, pinned or not; pins stay."""
        with self._lock:
            self._tiles.clear()
            self._nbytes = 0

    def _remove(self, key: TileKey) -> bool:
        tile = self._tiles.pop(key, None)
        if tile is None:
            return False
        self._nbytes -= tile.nbytes
        return True

    def _evict(self) -> None:
        if self._nbytes <= self._max_bytes:
            return
        for key in [key for key in self._tiles if key not in self._pin_counts]:
            self._remove(key)
            if self._nbytes <= self._max_bytes:
                return


def _checked(max_bytes: int) -> int:
    if max_bytes < 0:
        raise ValueError(f"A cache can't hold {max_bytes} bytes.")
    return max_bytes
