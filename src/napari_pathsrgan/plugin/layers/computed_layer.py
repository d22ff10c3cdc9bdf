"""Views of a slide that are drawn at once and get sharp: arrays that never compute, and exact ones beside them.

How an image comes about:

1. napari slices a level of the layer with the part it is about to draw; a `PreviewLevel` sees this and answers from the
   cache at once, sharp where there are tiles and softly enlarged where there are none.
2. What was missing goes to the scheduler as the view's new requests, the middle of the view first.
3. Tiles arrive in the cache, from whichever thread; the session refreshes the layers that show them, back to 1.
4. napari does not slice again while one zooms in within a level, nor for the coarsest one: the session tells the view
   what is in sight once the camera rests, back to 2. From then on, of the tiles at the edge only what is in sight comes
   first, and the whole of them later, with the tiles around: a third of a view's work is beyond its edge.

An `ExactLevel` computes what is asked of it, up to a bound: it is what ``layer.data`` holds (see `preview_layer`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

import numpy as np

from napari_pathsrgan.errors import LayerTooLargeError
from napari_pathsrgan.plugin.layers.preview_layer import LARGEST_COPY_PX
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, PyramidGrid, TileKey
from napari_pathsrgan.tiles.placeholder import Patch, compose
from napari_pathsrgan.tiles.priority import centre_outward
from napari_pathsrgan.tiles.scheduler import TileState
from napari_pathsrgan.tiles.viewport import ancestor_tiles, part_in_sight, prefetch_tiles, split_index, visible_tiles

if TYPE_CHECKING:
    from collections.abc import Set

    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.plugin.layers.view_kinds import ViewKind
    from napari_pathsrgan.tiles.cache import TileCache
    from napari_pathsrgan.tiles.scheduler import Scheduler
    from napari_pathsrgan.types import Pixels

CHUNK_PX = 128
"""napari grows what it asks for to whole chunks. Small ones keep it to what is visible; but each time a pan crosses
one, napari slices, uploads and draws twice: very small ones make it stutter (`benchmarks/panning.py` sees it)."""

LARGEST_READ_PX = 2**20
"""Pixels of the network's input, 1.2 mm a side, that whoever indexes an `ExactLevel` may have computed in one go: some
ten seconds on two cores of a CPU."""


class SlideView:
    """One slide shown as one kind of view: draws regions and requests the tiles that are missing.

    Parameters
    ----------
    kind : ViewKind
    super_resolved : SuperResolvedSlide
    overview : (rows, cols, 3) uint8
        The whole coarsest level.
    cache : TileCache
    scheduler : Scheduler
    """

    def __init__(
        self,
        kind: ViewKind,
        super_resolved: SuperResolvedSlide,
        overview: Pixels,
        cache: TileCache,
        scheduler: Scheduler,
    ) -> None:
        self.kind = kind
        self.super_resolved = super_resolved
        self.overview = overview
        self._cache = cache
        self._scheduler = scheduler
        self.requested: frozenset[TileKey] = frozenset()
        self._drawn: tuple[int, slice, slice] | None = None  # what napari sliced last
        self._parts: dict[tuple[int, int, int], TileKey] = {}  # asked for, of each tile that was not whole then

    @property
    def grid(self) -> PyramidGrid:
        """Levels and tiles of the slide."""
        return self.super_resolved.grid

    def levels(self) -> list[ExactLevel]:
        """Exact arrays for a layer, the finest first, each with its preview."""
        return [ExactLevel(self, level) for level in range(self.kind.finest_level, self.grid.n_levels)]

    def set_model(self, super_resolved: SuperResolvedSlide, scheduler: Scheduler) -> None:
        """Show another model's image, or use another scheduler, in the same arrays; the grid must be equal."""
        if super_resolved.grid != self.grid:
            raise ValueError("Another grid needs other arrays: make a new view.")
        self.cancel_requests()
        self.super_resolved, self._scheduler = super_resolved, scheduler

    def draw(self, level: int, rows: slice, cols: slice) -> Pixels:
        """Draw a region from what there is, and ask for what is missing; not anew where only tiles have come."""
        if self._drawn != (level, rows, cols):
            self._drawn = level, rows, cols
            self.request_visible(level, rows, cols)
        return self.compose(level, rows, cols)

    def compose(self, level: int, rows: slice, cols: slice) -> Pixels:
        """Draw a region from what there is."""
        return compose(level, rows, cols, self.grid, self._lookup, self.overview)

    def request_visible(self, level: int, rows: slice, cols: slice, at_rest: bool = False) -> None:
        """Ask for what a region needs to be sharp, the middle first; it replaces what was asked for before.

        Parameters
        ----------
        level, rows, cols : int, slice, slice
            The region, in pixels of the level.
        at_rest : bool
            Whether it is exactly what is in sight, and may stay so: then tiles at the edge come in parts.
        """
        sharp: list[TileKey] = []
        under: list[TileKey] = []
        around: list[TileKey] = []
        if level < self.grid.n_levels - 1:  # the coarsest level is there whole
            centre = (rows.start + rows.stop) / 2, (cols.start + cols.stop) / 2
            side = self.grid.tile_px[level]
            sharp = self._keys(level, centre_outward(visible_tiles(self.grid, level, rows, cols), *centre, side))
            around = self._keys(level, centre_outward(prefetch_tiles(self.grid, level, rows, cols), *centre, side))
        if at_rest and level < SLIDE_LEVEL and self.kind.derive is None:
            whole, sharp = sharp, [self._in_sight(key, rows, cols) for key in sharp]
            around = [key for key in whole if key not in sharp] + around
            self._parts = {place: key for place, key in self._parts.items() if key in self._cache or key in sharp}
        if level < SLIDE_LEVEL < self.grid.n_levels - 1:
            under = self._keys(SLIDE_LEVEL, ancestor_tiles(self.grid, level, rows, cols, SLIDE_LEVEL))
        self.requested = frozenset([*sharp, *under])
        self._scheduler.want((self, "under"), under)
        self._scheduler.want(self, sharp, around)

    def shows(self, keys: Set[TileKey]) -> bool:
        """Whether any of these tiles lies in what was drawn last."""
        return not (self.requested.isdisjoint(keys) and {key.whole for key in self.requested}.isdisjoint(keys))

    def cancel_requests(self) -> None:
        """Request nothing more, for a hidden or removed layer."""
        self.requested = frozenset()
        self._drawn = None
        self._scheduler.forget(self)
        self._scheduler.forget((self, "under"))

    def key(self, level: int, row: int, col: int) -> TileKey:
        """Identity of a tile of this view."""
        key = self.super_resolved.key(level, row, col)
        return key._replace(product=self.kind.product(key.product)) if level < SLIDE_LEVEL else key

    def read(self, level: int, rows: slice, cols: slice) -> Pixels:
        """Read a region exactly, computing what has to be computed.

        Raises
        ------
        LayerTooLargeError
            If that would keep the window waiting for too long.
        """
        self._refuse_too_large(level, rows.stop - rows.start, cols.stop - cols.start)
        if level == self.grid.n_levels - 1:
            return self.overview[rows, cols]
        region = rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start
        if level < SLIDE_LEVEL:
            return self.kind.open_reader(self.super_resolved, self._cache.get)(level, *region)
        return self.super_resolved.read(level, *region)

    def _refuse_too_large(self, level: int, n_rows: int, n_cols: int) -> None:
        input_px = max(n_rows, 0) * max(n_cols, 0) >> 2 * max(SLIDE_LEVEL - level, 0)
        if input_px > (LARGEST_READ_PX if level < SLIDE_LEVEL else LARGEST_COPY_PX):
            side = math.isqrt(LARGEST_READ_PX) << max(SLIDE_LEVEL - level, 0)
            raise LayerTooLargeError(
                f"{n_rows} × {n_cols} px of “{self.kind.title}” are too many to be computed while the window waits; "
                f"{side} × {side} px are not.",
                "Use a smaller region, or export the slide with the job “Super-resolve whole slide” or "
                "`pathsrgan upscale`, and open what it writes.",
            )

    def _in_sight(self, key: TileKey, rows: slice, cols: slice) -> TileKey:
        """Make a tile's key that of its part in sight, unless more of it is there or on its way."""
        part = part_in_sight(self.grid, *key.place, rows, cols)
        if part is None or self._is_begun(key):
            return key
        last = self._last_part(key)
        if last is not None and last.part is not None and self._is_begun(last):
            return last if last.part.holds(part) else key
        self._parts[key.place] = key._replace(part=part)
        return self._parts[key.place]

    def _is_begun(self, key: TileKey) -> bool:
        return self._scheduler.state(key) in (TileState.READY, TileState.RUNNING)

    def _last_part(self, key: TileKey) -> TileKey | None:
        """The part of a tile asked for last, if it was of this model's."""
        last = self._parts.get(key.place)
        return last if last is not None and last.whole == key else None

    def _lookup(self, level: int, row: int, col: int) -> list[Patch]:
        key = self.key(level, row, col)
        for there in filter(None, (key, self._last_part(key))):
            pixels = self._cache.get(there)
            if pixels is not None:
                return [Patch(*self.grid.tile_slices(*there.place, there.part), pixels)]
        return []

    def _keys(self, level: int, tiles: list[tuple[int, int]]) -> list[TileKey]:
        return [self.key(level, row, col) for row, col in tiles]


class _Level:
    """One level of a `SlideView` as napari wants arrays.

    Parameters
    ----------
    view : SlideView
    level : int
    """

    dtype = np.dtype(np.uint8)
    ndim = 3
    chunks = (CHUNK_PX, CHUNK_PX, 3)

    def __init__(self, view: SlideView, level: int) -> None:
        self._view = view
        self._level = level
        self.shape: tuple[int, int, int] = (*view.grid.level_shapes[level], 3)

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1] * 3


class PreviewLevel(_Level):
    """A level as it can be drawn now: nothing is computed, whoever asks."""

    def peek(self, rows: slice, cols: slice) -> Pixels:
        """Draw a region as it stands, and ask for nothing."""
        return self._view.compose(self._level, rows, cols)

    def __getitem__(self, index: Any) -> Pixels:
        """Draw a region as it stands, and have the scheduler fetch what is missing of it."""
        rows, cols, rest = split_index(index, self.shape)
        return self._view.draw(self._level, rows, cols)[rest]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Draw the whole level as it stands; napari does so for the coarsest."""
        return np.array(self.peek(slice(0, self.shape[0]), slice(0, self.shape[1])), dtype, copy=copy)


class ExactLevel(_Level):
    """A level whose pixels are computed when they are asked for, exactly and up to a bound.

    Attributes
    ----------
    preview : PreviewLevel
        The same level to be drawn.

    Raises
    ------
    LayerTooLargeError
        When more is indexed than can be computed while the window waits.
    """

    def __init__(self, view: SlideView, level: int) -> None:
        super().__init__(view, level)
        self.preview = PreviewLevel(view, level)
        self._whole: tuple[SuperResolvedSlide, ReferenceType[Pixels]] | None = None

    def __getitem__(self, index: Any) -> Pixels:
        """Compute a region and wait for it."""
        rows, cols, rest = split_index(index, self.shape)
        if (rows.start, rows.stop, cols.start, cols.stop) == (0, self.shape[0], 0, self.shape[1]):
            return self._read_whole()[rest]
        return self._view.read(self._level, rows, cols)[rest]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Compute the whole level."""
        return np.array(self._read_whole(), dtype, copy=copy)

    def _read_whole(self) -> Pixels:
        """Read the level, or give what was read of it before if somebody still holds that.

        A layer of napari's own that was made of this level draws it over and over, also once the slide was closed.
        """
        if self._whole is not None and self._whole[0] is self._view.super_resolved:
            held = self._whole[1]()
            if held is not None:
                return held
        pixels = self._view.read(self._level, slice(0, self.shape[0]), slice(0, self.shape[1]))
        pixels.flags.writeable = False
        self._whole = self._view.super_resolved, ref(pixels)
        return pixels
