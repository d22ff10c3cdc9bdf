"""Tiles of the computed view with the trust map over it, made when they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from napari_pathsrgan.inference.tile_sources import ThreadSource

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.inference.trust_view import TrustView
    from napari_pathsrgan.tiles.grid import TileKey
    from napari_pathsrgan.tiles.product import Product
    from napari_pathsrgan.types import Pixels

_KEPT_VIEWS = 2


class TrustSource(ThreadSource):
    """Compares in a thread, one tile at a time: what is missing of the computed view takes the inference process.

    Parameters
    ----------
    slides, pool
        See `ThreadSource`.
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
        super().__init__(slides, pool)
        self._at_hand = at_hand
        self._views: dict[tuple[str, Product], TrustView] = {}

    def accepts(self, key: TileKey) -> bool:
        """Whether it is a tile under the trust map."""
        return key.product.content == "consistency"

    def make(self, key: TileKey, super_resolved: SuperResolvedSlide) -> Pixels:
        """Compare it with the scan; what was learnt of the last slides is kept."""
        from napari_pathsrgan.inference.trust_view import TrustView  # SciPy would make the window wait

        view = self._views.pop((key.slide, key.product), None)
        if view is None or view.super_resolved is not super_resolved:
            view = TrustView(super_resolved, self._at_hand)
        self._views[key.slide, key.product] = view
        while len(self._views) > _KEPT_VIEWS:
            del self._views[next(iter(self._views))]
        return view.tile(key.level, key.row, key.col)
