"""Tiles of the computed view with the trust map over it, made when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.inference.trust_view import TrustView
    from napari_pathsrgan.tiles.grid import Pixels, TileKey
    from napari_pathsrgan.tiles.lane import Done

TRUST_PREFIX = "trust of "
"""Stands in a tile's key before the hash of the network whose picture it is."""
_KEPT_VIEWS = 2


class TrustLane:
    """Compares in a thread, one tile at a time: what is missing of the computed view takes the inference process.

    Parameters
    ----------
    slides : callable
        Finds the slide of a key; None where its layer was removed.
    pool : ThreadPoolExecutor
    at_hand : callable (TileKey) -> tile or None
        Knows computed tiles that are there already.
    """

    capacity = 1

    def __init__(
        self,
        slides: Callable[[TileKey], SuperResolvedSlide | None],
        pool: ThreadPoolExecutor,
        at_hand: Callable[[TileKey], Pixels | None],
    ) -> None:
        self._slides = slides
        self._pool = pool
        self._at_hand = at_hand
        self._views: dict[tuple[str, str], TrustView] = {}

    def accepts(self, key: TileKey) -> bool:
        """Whether it is a tile under the trust map."""
        return key.model.startswith(TRUST_PREFIX)

    def gather(self, first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        """One by one, so that each is seen as soon as it is there."""
        return (first,)

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        """Compare in a thread."""
        self._pool.submit(self._compare, keys[0], done)

    def _compare(self, key: TileKey, done: Done) -> None:
        super_resolved = self._slides(key)
        if super_resolved is None:
            done({}, None)
            return
        try:
            tile = self._view(key, super_resolved).tile(key.level, key.row, key.col)
        except Exception as error:  # whatever it is: a job that never ends would hold its lane for ever
            done({}, error)
            return
        done({key: tile}, None)

    def _view(self, key: TileKey, super_resolved: SuperResolvedSlide) -> TrustView:
        """Keep what was learnt of the last slides."""
        from napari_pathsrgan.inference.trust_view import TrustView  # SciPy would make the window wait

        view = self._views.pop((key.slide, key.model), None)
        if view is None or view.super_resolved is not super_resolved:
            view = TrustView(super_resolved, self._at_hand)
        self._views[key.slide, key.model] = view
        while len(self._views) > _KEPT_VIEWS:
            del self._views[next(iter(self._views))]
        return view
