"""Trust over a whole slide: as an array that computes what is looked at, and as an OME-Zarr beside an export."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import dask.array as da
import numpy as np
import zarr

from napari_pathsrgan.errors import StoreMismatchError
from napari_pathsrgan.inference.super_resolved import assemble
from napari_pathsrgan.inference.trust import (
    MARGIN_PX,
    SCALE,
    Calibration,
    as_levels,
    calibrate,
    disagreement,
    model_difference,
)
from napari_pathsrgan.slides.foreground import foreground_weight
from napari_pathsrgan.slides.store_layout import OUR_KEY, ome_attributes
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, Pixels, Window
from napari_pathsrgan.whole_output import output_error

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

SCAN, MODEL = "disagrees with the scan", "differs from the other model"
_TILE_PX = 256
_CALIBRATION_PLACES, _PLACES_TRIED = 12, 240
_LEAST_CELLS = 0.3
_THREADS = 2
_KEPT_TILES = 64


class Picture(Protocol):
    """Something that gives the computed 20× picture."""

    def __call__(self, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a region inside level 0, (height, width, 3) uint8."""


class TrustMap:
    """Where a slide's computed picture disagrees with its scan, on the network's input grid.

    Indexing computes, a tile of 256 px at a time; `levels` wraps it for dask.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    picture : Picture, optional
        Where the 20× picture comes from: `stored` for an export; computed by default.
    other : SuperResolvedSlide, optional
        The same slide through another model: a second channel shows where the two pictures differ.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3
    tile_px = _TILE_PX

    def __init__(
        self,
        super_resolved: SuperResolvedSlide,
        picture: Picture | None = None,
        other: SuperResolvedSlide | None = None,
    ) -> None:
        self._super_resolved = super_resolved
        self._picture = picture or computed(super_resolved)
        self._other = None if other is None else computed(other)
        self._calibration: Calibration | None = None
        self.channels = (SCAN,) if other is None else (SCAN, MODEL)
        self.shape = (len(self.channels), *super_resolved.grid.level_shapes[SLIDE_LEVEL])

    @property
    def calibration(self) -> Calibration:
        """What is to be expected of this slide; found when first needed, from a dozen places with cells."""
        if self._calibration is None:
            scans, pictures = [], []
            tiles = np.random.default_rng(0).permutation(np.argwhere(np.ones(self.tile_counts, bool)))
            for row, col in tiles[:_PLACES_TRIED]:
                scan = self._scan(int(row), int(col))
                if self._cells(scan) >= _LEAST_CELLS:
                    scans.append(scan)
                    pictures.append(self._around(int(row), int(col)))
                if len(scans) == _CALIBRATION_PLACES:
                    break
            self._calibration = calibrate(scans, pictures, self._mpp)
        return self._calibration

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
        """Compute one tile, (channels, height, width) uint8, cropped to the map; 0 on glass.

        The first channel has 10 grey levels per expected deviation, the second one the difference in grey levels.
        """
        height, width = self._tile_shape(row, col)
        tile = np.zeros((len(self.channels), height, width), np.uint8)
        scan = self._scan(row, col)
        if self._cells(scan) == 0:
            return tile
        picture = self._around(row, col)
        tile[0] = as_levels(disagreement(scan, picture, self.calibration, self._mpp))
        if self._other is not None:
            border = MARGIN_PX * SCALE
            part = (row * _TILE_PX * SCALE, col * _TILE_PX * SCALE, height * SCALE, width * SCALE)
            apart = model_difference(picture[border:-border, border:-border], self._other(*part))
            tile[1] = np.clip(np.rint(apart), 0, 255)
        return tile

    @property
    def _mpp(self) -> float:
        return self._super_resolved.runner.card.mpp_in

    def _tile_shape(self, row: int, col: int) -> tuple[int, int]:
        return min(_TILE_PX, self.shape[1] - row * _TILE_PX), min(_TILE_PX, self.shape[2] - col * _TILE_PX)

    def _scan(self, row: int, col: int) -> Pixels:
        """Read what the network saw of a tile, with its margin."""
        height, width = self._tile_shape(row, col)
        return self._super_resolved.slide.read_grid(
            self._mpp,
            row * _TILE_PX - MARGIN_PX,
            col * _TILE_PX - MARGIN_PX,
            height + 2 * MARGIN_PX,
            width + 2 * MARGIN_PX,
        )

    def _cells(self, scan: Pixels) -> float:
        """Share of a tile that the network worked on."""
        glass = self._super_resolved.glass
        if glass is None:
            return 1.0
        core = slice(MARGIN_PX, -MARGIN_PX)
        return float((foreground_weight(scan, glass)[core, core] > 0).mean())

    def _around(self, row: int, col: int) -> Pixels:
        """Read the computed picture of a tile with its margin, mirrored at the slide's edges as the scan is."""
        height, width = self._tile_shape(row, col)
        index = []
        for start, size, length in ((row, height, self.shape[1]), (col, width, self.shape[2])):
            first = start * _TILE_PX - MARGIN_PX
            wanted = np.arange(first * SCALE, (first + size + 2 * MARGIN_PX) * SCALE)
            period = 2 * length * SCALE
            inside = np.minimum(wanted % period, period - 1 - wanted % period)
            index.append((int(inside.min()), int(inside.max()) + 1, inside))
        (top, bottom, rows), (left, right, cols) = index
        region = self._picture(top, left, bottom - top, right - left)
        return region.take(rows - top, axis=0).take(cols - left, axis=1)


def computed(super_resolved: SuperResolvedSlide, at_hand: Callable[[int, int], Pixels | None] | None = None) -> Picture:
    """Give a slide's 20× picture by computing it; the last tiles are kept, since neighbours want them again.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    at_hand : callable (row, col) -> tile or None, optional
        Knows tiles that are there already.
    """
    compute = lru_cache(_KEPT_TILES)(lambda row, col: super_resolved.compute_tile(0, row, col))

    def tile(row: int, col: int) -> Pixels:
        there = at_hand(row, col) if at_hand else None
        return compute(row, col) if there is None else there

    return _from_tiles(super_resolved, tile)


def stored(super_resolved: SuperResolvedSlide, store: PyramidStore) -> Picture:
    """Give a slide's 20× picture from a store; what is missing there is the scan, enlarged."""

    def tile(row: int, col: int) -> Pixels:
        try:
            return store.read(0, row, col)
        except KeyError:
            rows, cols = super_resolved.grid.tile_slices(0, row, col)
            return super_resolved.read_bicubic(
                0, rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start
            )

    return _from_tiles(super_resolved, tile)


def _from_tiles(super_resolved: SuperResolvedSlide, tile: Callable[[int, int], Pixels]) -> Picture:
    return lambda row, col, height, width: assemble(super_resolved.grid, 0, Window(row, col, height, width), tile)


def write_trust_map(
    super_resolved: SuperResolvedSlide,
    store: PyramidStore,
    path: Path,
    other: SuperResolvedSlide | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the trust map of an export as an OME-Zarr of its own; coarser levels keep the worst of four pixels.

    Parameters
    ----------
    super_resolved : SuperResolvedSlide
    store : PyramidStore
        The export.
    path : Path
        Folder to write; one that an earlier run left there is made anew.
    other : SuperResolvedSlide, optional
        See `TrustMap`.
    progress : callable, optional
        Given the 20× pixels done and to do.

    Raises
    ------
    StoreMismatchError
        If the folder holds something else.
    OutputError
        If the place is read-only or full.
    """
    trust = TrustMap(super_resolved, stored(super_resolved, store), other)
    if path.exists() and not _is_ours(path):
        raise StoreMismatchError(f"{path.name} is no trust map of ours.", "Remove it, or choose another output.")
    growing = path.with_name(f".{path.name}.partial")
    try:
        shutil.rmtree(growing, ignore_errors=True)
        arrays = _empty(growing, trust, super_resolved, store)
        n_rows, n_cols = trust.tile_counts
        with ThreadPoolExecutor(_THREADS) as pool:
            for row in range(n_rows):
                tiles = list(pool.map(trust.tile, [row] * n_cols, range(n_cols)))
                _write_row(arrays, row, np.concatenate(tiles, axis=2))
                if progress:
                    height, width = super_resolved.grid.level_shapes[0]
                    progress(min((row + 1) * _TILE_PX * SCALE, height) * width, height * width)
        shutil.rmtree(path, ignore_errors=True)
        growing.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        shutil.rmtree(growing, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    try:
        ours = zarr.open_group(path, mode="r", zarr_format=3).attrs.get(OUR_KEY)
        return isinstance(ours, dict) and "calibration" in ours
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _empty(
    path: Path, trust: TrustMap, super_resolved: SuperResolvedSlide, store: PyramidStore
) -> list[zarr.Array[Any]]:
    """Make the image with as many levels as a row of tiles can be halved."""
    mpps = [super_resolved.grid.level_mpps[SLIDE_LEVEL]]
    while max(trust.shape[1:]) > 512 * 2 ** (len(mpps) - 1) and 2 ** len(mpps) <= _TILE_PX:
        mpps.append(2 * mpps[-1])
    name = f"{store.identity.slide_name} · {store.identity.model_name} · trust"
    colours = dict(zip(trust.channels, ("FF0000", "00FFFF"), strict=False))
    attributes = {
        "ome": ome_attributes(name, mpps, colours),
        OUR_KEY: {"calibration": asdict(trust.calibration)},
    }
    group = zarr.create_group(path, zarr_format=3, attributes=attributes)
    return [
        group.create_array(
            str(level),
            shape=(trust.shape[0], *(-(-size // 2**level) for size in trust.shape[1:])),
            chunks=(1, _TILE_PX, _TILE_PX),
            dtype=np.uint8,
            fill_value=0,
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
