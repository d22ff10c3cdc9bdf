"""Trust over a whole slide: as an array that computes what is looked at, and as an OME-Zarr beside an export.

A map has values where the 20× image is computed, and there alone: `ABSENT` elsewhere. What is to be expected of the
slide is learnt on computed blocks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import dask.array as da
import numpy as np
import numpy.typing as npt
import zarr

from napari_pathsrgan.atomic_write import atomic_replace, output_error, remove_partial
from napari_pathsrgan.errors import SlideChangedError, SlideUnreadableError, StoreMismatchError
from napari_pathsrgan.inference.consistency import (
    MARGIN_PX,
    SCALE,
    Calibration,
    as_levels,
    calibrate,
    disagreement,
    model_difference,
)
from napari_pathsrgan.inference.exact_levels import assemble
from napari_pathsrgan.slides.foreground import foreground_weight
from napari_pathsrgan.slides.store_layout import MAP_KEY, OUR_KEY, ome_attributes
from napari_pathsrgan.tiles.grid import CORE, GRID_STEP, SLIDE_LEVEL, Window, snap_window

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.slides.pyramid_store import PyramidStore
    from napari_pathsrgan.types import Pixels

SCAN, MODEL = "disagrees with the scan", "differs from the other model"
ABSENT = 0
"""Value of a map where nothing is computed, or the scan cannot be read; values that say something begin at 1."""
_TILE_PX = 256
_CALIBRATION_BLOCKS, _BLOCKS_TRIED = 48, 960
_LEAST_CELLS = 0.3
_THREADS = 2


class Picture(Protocol):
    """Something that gives the computed 20× picture."""

    def __call__(self, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a region inside level 0, (height, width, 3) uint8."""


class ConsistencyMap:
    """Where a slide's computed picture disagrees with its scan, on the network's input grid.

    Indexing computes, a tile of 256 px at a time; `levels` wraps it for dask.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    picture : Picture, optional
        Where the 20× picture comes from: `stored` for an export; computed by default.
    other : SuperResolvedSlide, optional
        The same slide through another model: a second channel shows where the two pictures differ.
    has_block : callable (row, col) -> bool, optional
        Whether a tile of level 0 is computed; all of them by default.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3
    tile_px = _TILE_PX

    def __init__(
        self,
        super_resolved: SuperResolvedSlide,
        picture: Picture | None = None,
        other: SuperResolvedSlide | None = None,
        has_block: Callable[[int, int], bool] | None = None,
    ) -> None:
        self._super_resolved = super_resolved
        self._halo = max(one.runner.halo for one in (super_resolved, other) if one is not None)
        self._has_block = has_block or (lambda _row, _col: True)
        self._picture = picture or computed(super_resolved)
        self._other = None if other is None else computed(other)
        self._calibration: Calibration | None = None
        self.channels = (SCAN,) if other is None else (SCAN, MODEL)
        self.shape = (len(self.channels), *super_resolved.grid.level_shapes[SLIDE_LEVEL])

    @property
    def calibration(self) -> Calibration:
        """What is to be expected of this slide; found when first needed, from some computed blocks with cells."""
        if self._calibration is None:
            places = list(itertools.islice(self._places_with_cells(), _CALIBRATION_BLOCKS))
            scans, pictures = ([place[part] for place in places] for part in (0, 1))
            self._calibration = calibrate(scans, pictures, self._mpp)
        return self._calibration

    def _places_with_cells(self) -> Iterator[tuple[Pixels, Pixels]]:
        """Read scan and picture of computed blocks with cells, in random order."""
        blocks = np.argwhere(np.ones(self._super_resolved.grid.n_tiles(0), bool))
        computed = (place for place in np.random.default_rng(0).permutation(blocks) if self._has_block(*place))
        for row, col in itertools.islice(computed, _BLOCKS_TRIED):
            core = self._cropped(Window(int(row) * CORE, int(col) * CORE, CORE, CORE))
            scan = self._scan(core)
            if scan is not None and self._cells(scan) >= _LEAST_CELLS:
                yield scan, self._around(core)

    @property
    def tile_counts(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.shape[1] // _TILE_PX), -(-self.shape[2] // _TILE_PX)

    @property
    def level(self) -> da.Array:
        """The map as a dask array, (channels, rows, cols) uint8; nothing is computed yet."""
        chunks = (len(self.channels), _TILE_PX, _TILE_PX)
        from_array: Callable[..., da.Array] = da.from_array  # dask says nothing of its types
        return from_array(self, chunks=chunks, name=False, asarray=False, fancy=False)

    def __getitem__(self, index: Any) -> Pixels:
        channels, rows, cols = (
            index if isinstance(index, tuple) and len(index) == 3 else (slice(None), slice(None), slice(None))
        )
        (top, bottom, _), (left, right, _) = rows.indices(self.shape[1]), cols.indices(self.shape[2])
        out = np.zeros((len(self.channels), max(bottom - top, 0), max(right - left, 0)), np.uint8)
        for row in range(top // _TILE_PX, -(-bottom // _TILE_PX)):
            for col in range(left // _TILE_PX, -(-right // _TILE_PX)):
                tile = self.tile(row, col)
                at_row, at_col = row * _TILE_PX, col * _TILE_PX
                first, last = max(at_row, top), min(at_row + tile.shape[1], bottom)
                begin, end = max(at_col, left), min(at_col + tile.shape[2], right)
                part = tile[:, first - at_row : last - at_row, begin - at_col : end - at_col]
                out[:, first - top : last - top, begin - left : end - left] = part
        return out[channels]

    def tile(self, row: int, col: int) -> Pixels:
        """Compute one tile, (channels, height, width) uint8, cropped to the map.

        The first channel has 10 grey levels per expected deviation, the second one the difference in grey levels. Both
        are `ABSENT` where nothing is computed, and at least 1 elsewhere, as on background.
        """
        core = self._cropped(Window(row * _TILE_PX, col * _TILE_PX, _TILE_PX, _TILE_PX))
        computed = self._computed(core)
        scan = self._scan(core) if computed.any() else None
        if scan is None:
            return np.full((len(self.channels), core.height, core.width), ABSENT, np.uint8)
        tile = np.ones((len(self.channels), core.height, core.width), np.uint8)
        if self._cells(scan) > 0:
            picture = self._around(core)
            tile[0] = np.maximum(as_levels(disagreement(scan, picture, self.calibration, self._mpp)), 1)
            if self._other is not None:
                tile[1] = self._difference(core, picture, self._other)
        tile[:, ~computed] = ABSENT
        return tile

    def _difference(self, core: Window, picture: Pixels, other: Picture) -> Pixels:
        """Compare with the other model's picture, in whole grey levels from 1 on."""
        border = MARGIN_PX * SCALE
        theirs = other(*(side * SCALE for side in core))
        apart = model_difference(picture[border:-border, border:-border], theirs)
        return np.asarray(np.clip(np.rint(apart), 1, 255), np.uint8)

    def _computed(self, core: Window) -> npt.NDArray[np.bool_]:
        """Tell which pixels of a window lie in computed blocks."""
        rows, cols = (
            np.arange(start, start + size) // CORE for start, size in ((core.row, core.height), (core.col, core.width))
        )
        there = {place: self._has_block(*place) for place in itertools.product(set(rows.tolist()), set(cols.tolist()))}
        return np.array([[there[row, col] for col in cols.tolist()] for row in rows.tolist()], bool)

    @property
    def _mpp(self) -> float:
        return self._super_resolved.runner.card.mpp_in

    def _cropped(self, core: Window) -> Window:
        """Cut a window to the map."""
        row, col, height, width = core
        return Window(row, col, min(height, self.shape[1] - row), min(width, self.shape[2] - col))

    def _scan(self, core: Window) -> Pixels | None:
        """Read what the network saw of a window, with a margin and its own context; None where the slide is damaged."""
        context = MARGIN_PX + self._halo + GRID_STEP
        row, col, height, width = core
        around = (row - context, col - context, height + 2 * context, width + 2 * context)
        try:
            read = self._super_resolved.slide.read_grid(self._mpp, *around)
        except SlideUnreadableError as error:
            if isinstance(error, SlideChangedError) or not self._super_resolved.slide.path.exists():
                raise
            return None
        spare = context - MARGIN_PX
        return read[spare:-spare, spare:-spare]

    def _cells(self, scan: Pixels) -> float:
        """Share of a tile that the network worked on."""
        background = self._super_resolved.background
        if background is None:
            return 1.0
        core = slice(MARGIN_PX, -MARGIN_PX)
        return float((foreground_weight(scan, background)[core, core] > 0).mean())

    def _around(self, core: Window) -> Pixels:
        """Read the computed picture of a window with its margin, mirrored at the slide's edges as the scan is."""
        index = []
        for start, size, length in ((core.row, core.height, self.shape[1]), (core.col, core.width, self.shape[2])):
            first = start - MARGIN_PX
            wanted = np.arange(first * SCALE, (first + size + 2 * MARGIN_PX) * SCALE)
            period = 2 * length * SCALE
            inside = np.minimum(wanted % period, period - 1 - wanted % period)
            index.append((int(inside.min()), int(inside.max()) + 1, inside))
        (top, bottom, rows), (left, right, cols) = index
        region = self._picture(top, left, bottom - top, right - left)
        return region.take(rows - top, axis=0).take(cols - left, axis=1)


def computed(super_resolved: SuperResolvedSlide, at_hand: Callable[[int, int], Pixels | None] | None = None) -> Picture:
    """Give a slide's 20× picture: its tiles where all of them are at hand, else computed in one window.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    at_hand : callable (row, col) -> tile or None, optional
        Knows tiles that are there already.
    """
    grid = super_resolved.grid

    def picture(row: int, col: int, height: int, width: int) -> Pixels:
        places = grid.tiles_in(0, slice(row, row + height), slice(col, col + width))
        tiles: dict[tuple[int, int], Pixels] = {}
        for place in places if at_hand else ():
            tile = at_hand(*place) if at_hand else None
            if tile is None:
                break
            tiles[place] = tile
        if len(tiles) < len(places):
            return _compute(super_resolved, row, col, height, width)
        return assemble(grid, 0, Window(row, col, height, width), lambda *place: tiles[place])

    return picture


def _compute(super_resolved: SuperResolvedSlide, row: int, col: int, height: int, width: int) -> Pixels:
    """Compute a region of level 0 in one window."""
    top, left = row // SCALE, col // SCALE
    core = snap_window(top, left, -(-(row + height) // SCALE) - top, -(-(col + width) // SCALE) - left)
    runner = super_resolved.runner
    pictures = runner.run(
        super_resolved.read_around(core), stage=2, background=super_resolved.background, halo=runner.halo
    )
    assert pictures.hr is not None
    first_row, first_col = row - core.row * SCALE, col - core.col * SCALE
    return pictures.hr[first_row : first_row + height, first_col : first_col + width]


def stored(super_resolved: SuperResolvedSlide, store: PyramidStore) -> Picture:
    """Give a slide's 20× picture from a store; the context that is missing at the edge of its areas is computed."""

    def tile(row: int, col: int) -> Pixels | None:
        try:
            return store.read(0, row, col)
        except KeyError:
            return None

    return computed(super_resolved, tile)


def write_consistency_map(
    super_resolved: SuperResolvedSlide,
    store: PyramidStore,
    path: Path,
    other: SuperResolvedSlide | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the consistency map of an export as an OME-Zarr of its own; coarser levels keep the worst of four pixels.

    It has values where the export is computed; its attributes say which areas these are.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    store : PyramidStore
        The export.
    path : Path
        Folder to write; one that an earlier run left there is made anew.
    other : SuperResolvedSlide, optional
        See `ConsistencyMap`.
    progress : callable, optional
        Given the 20× pixels done and to do.

    Raises
    ------
    StoreMismatchError
        If the folder holds something else.
    OutputError
        If the place is read-only or full.
    """
    consistency = ConsistencyMap(super_resolved, stored(super_resolved, store), other, partial(store.has, 0))
    refuse_foreign_map(path)
    remove_partial(path)  # of a run that was killed
    try:
        with atomic_replace(path) as growing, ThreadPoolExecutor(_THREADS) as pool:
            arrays = _empty(growing, consistency, super_resolved, store)
            n_rows, n_cols = consistency.tile_counts
            for row in range(n_rows):
                tiles = list(pool.map(consistency.tile, [row] * n_cols, range(n_cols)))
                _write_row(arrays, row, np.concatenate(tiles, axis=2))
                if progress:
                    height, width = super_resolved.grid.level_shapes[0]
                    progress(min((row + 1) * _TILE_PX * SCALE, height) * width, height * width)
    except OSError as error:
        raise output_error(path, error) from error


def refuse_foreign_map(path: Path) -> None:
    """Raise StoreMismatchError if there is something at a place that is no map of ours."""
    if path.exists() and not _is_ours(path):
        raise StoreMismatchError(f"{path.name} is no consistency map of ours.", "Remove it, or choose another output.")


def _is_ours(path: Path) -> bool:
    try:
        ours = zarr.open_group(path, mode="r", zarr_format=3).attrs.get(OUR_KEY)
        return isinstance(ours, dict) and bool(ours.get(MAP_KEY))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _empty(
    path: Path, consistency: ConsistencyMap, super_resolved: SuperResolvedSlide, store: PyramidStore
) -> list[zarr.Array[Any]]:
    """Make the image with as many levels as a row of tiles can be halved."""
    mpps = [super_resolved.grid.level_mpps[SLIDE_LEVEL]]
    while max(consistency.shape[1:]) > 512 * 2 ** (len(mpps) - 1) and 2 ** len(mpps) <= _TILE_PX:
        mpps.append(2 * mpps[-1])
    name = f"{store.identity.slide_name} · {store.identity.model_name} · consistency"
    colours = dict(zip(consistency.channels, ("FF0000", "00FFFF"), strict=False))
    attributes = {
        "ome": ome_attributes(name, mpps, colours),
        OUR_KEY: {
            MAP_KEY: True,
            "identity": asdict(store.identity),
            "computed_areas": store.areas.record(),
            "absent": ABSENT,
            "calibration": asdict(consistency.calibration),
        },
    }
    group = zarr.create_group(path, zarr_format=3, attributes=attributes)
    return [
        group.create_array(
            str(level),
            shape=(consistency.shape[0], *(-(-size // 2**level) for size in consistency.shape[1:])),
            chunks=(1, _TILE_PX, _TILE_PX),
            dtype=np.uint8,
            fill_value=ABSENT,
            dimension_names=["c", "y", "x"],
        )
        for level in range(len(mpps))
    ]


def _write_row(arrays: list[zarr.Array[Any]], row: int, band: Pixels) -> None:
    """Write a row of tiles to every level."""
    at = row * _TILE_PX
    for array in arrays:
        array[:, at : at + band.shape[1], :] = band
        at //= 2
        uneven = [(0, size % 2) for size in band.shape[1:]]
        even = np.pad(band, [(0, 0), *uneven], mode="edge")
        halves = even.reshape(even.shape[0], even.shape[1] // 2, 2, even.shape[2] // 2, 2)
        band = halves.max(axis=(2, 4))
