"""Exact pixels of a slide seen through a model, at 20× and 10×, and the slide's own beyond."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import dask.array as da
import numpy as np
from dask.base import tokenize

from napari_pathsrgan.inference.suitability import COARSEST_RATIO, refuse_unsuitable
from napari_pathsrgan.slides.foreground import SlideBackground, estimate_slide_background
from napari_pathsrgan.slides.resample import enlarge
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, PyramidGrid, TileKey, Window, block_window
from napari_pathsrgan.tiles.product import SCAN, Product
from napari_pathsrgan.tiles.viewport import split_index

if TYPE_CHECKING:
    from napari_pathsrgan.inference.execution import Execution
    from napari_pathsrgan.inference.network_parts import Pictures
    from napari_pathsrgan.models.card import ModelCard
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.types import Pixels

CHUNK_PX = 512


class Runner(Protocol):
    """Something that runs a model on windows: an `Engine`, or a `ProcessModel`."""

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""

    @property
    def product(self) -> Product:
        """Whose pixels it makes."""

    @property
    def halo(self) -> int:
        """Context needed around a window, input pixels."""

    def at_once(self) -> AbstractContextManager[int]:
        """How many windows may be computed at the same time, see `Engine.at_once`."""

    @property
    def execution(self) -> Execution | None:
        """How the network is computed; None where that is not settled."""

    def run(self, window: Pixels, stage: int, background: SlideBackground | None = None, halo: int = 0) -> Pictures:
        """Super-resolve a window, see `Engine.run`."""


class ExactLevels:
    """Exact, blocking access to every level of a super-resolved slide.

    Level 0 is stage 2 (0.293 µm/px), level 1 stage 1 (0.586 µm/px); level 2 (1.172 µm/px) and coarser ones are the
    slide's own pixels, so zooming out never runs a network.

    Parameters
    ----------
    slide : Slide
    runner : Runner
        From `load_model`, or a `ProcessModel`.
    skip_background : bool
        Whether empty background takes the bicubic path.

    Raises
    ------
    SlideTooCoarseError
        If the slide was scanned more coarsely than the model can make sense of.
    CardMismatchError
        If the model's pixel sizes contradict each other.
    ComputedSlideError
        If the slide is a computed image or a map.
    """

    def __init__(self, slide: Slide, runner: Runner, skip_background: bool = True) -> None:
        refuse_unsuitable(slide, runner.card)
        self.slide = slide
        self.runner = runner
        mpp_in = runner.card.mpp_in
        self.grid = PyramidGrid.over_slide(slide.grid_shape(mpp_in), mpp_in)
        self.background = estimate_slide_background(slide, mpp_in) if skip_background else None

    @property
    def resampling_note(self) -> str:
        """A sentence for slides that are finer than the scans the model was made for; empty for others."""
        card = self.runner.card
        if self.slide.mpp >= card.mpp_scan / COARSEST_RATIO:
            return ""
        return (
            f"This slide has {self.slide.mpp:.3g} µm/px, finer than the 4× scans the model was made for: "
            f"it is resampled to {card.mpp_in:g} µm/px first."
        )

    @property
    def levels(self) -> list[da.Array]:
        """Dask arrays of all levels, (rows, cols, 3) uint8, 20× first; computing them is exact and blocking."""
        name = f"pathsrgan-{tokenize(self.slide.cache_id, self.product, self.slide.mpp, self.background)}"
        return [
            da.from_array(
                LevelArray(self, level),
                chunks=(CHUNK_PX, CHUNK_PX, 3),
                name=f"{name}-{level}",
                asarray=False,
                fancy=False,
                meta=np.empty((0, 0, 0), np.uint8),
            )
            for level in range(self.grid.n_levels)
        ]

    def key(self, level: int, row: int, col: int) -> TileKey:
        """Identity of a tile; slide pixels are shared by all models."""
        product = self.product if level < SLIDE_LEVEL else SCAN
        return TileKey(self.slide.cache_id, product, level, row, col)

    @property
    def product(self) -> Product:
        """What the computed levels show."""
        return self.runner.product

    def makes(self, product: Product) -> bool:
        """Whether tiles of a product of this slide can be made through this model."""
        return not product.model or product._replace(content=self.product.content) == self.product

    def read(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a region of a level, computing what has to be computed.

        Parameters
        ----------
        level : int
        row, col, height, width : int
            In pixels of the level, inside it.

        Returns
        -------
        (height, width, 3) uint8
        """
        if level >= SLIDE_LEVEL:
            return self.slide.read_grid(self.grid.level_mpps[level], row, col, height, width)
        return assemble(self.grid, level, Window(row, col, height, width), partial(self.compute_tile, level))

    def read_bicubic(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a region of level 0 or 1 as the slide's input pixels enlarged by the bicubic kernel: no network.

        Parameters and result as for `read`.
        """
        factor = 2 ** (SLIDE_LEVEL - level)
        border = 2  # the kernel's reach
        top, left = row // factor - border, col // factor - border
        bottom, right = -(-(row + height) // factor) + border, -(-(col + width) // factor) + border
        window = self.slide.read_grid(self.grid.level_mpps[SLIDE_LEVEL], top, left, bottom - top, right - left)
        first_row, first_col = row - top * factor, col - left * factor
        return enlarge(window, factor)[first_row : first_row + height, first_col : first_col + width]

    def compute_tile(self, level: int, row: int, col: int) -> Pixels:
        """Compute one tile of the grid, cropped to the slide; exact and blocking."""
        if level >= SLIDE_LEVEL:
            rows, cols = self.grid.tile_slices(level, row, col)
            return self.read(level, rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)
        pictures = self.runner.run(
            self.read_window(row, col, 1, 1), stage=2 - level, background=self.background, halo=self.runner.halo
        )
        return dict(self.cut_tiles(row, col, 1, 1, pictures))[self.key(level, row, col)]

    def read_window(self, row_block: int, col_block: int, n_row_blocks: int, n_col_blocks: int) -> Pixels:
        """Read the network's input for a rectangle of blocks with its halo, reflected at the slide's edges."""
        return self.read_around(block_window(row_block, col_block, n_row_blocks, n_col_blocks, 0))

    def read_around(self, core: Window) -> Pixels:
        """Read the network's input for a window on the grid of `GRID_STEP`, with a halo, reflected at the edges."""
        row, col, height, width = core
        halo = self.runner.halo
        return self.slide.read_grid(
            self.runner.card.mpp_in, row - halo, col - halo, height + 2 * halo, width + 2 * halo
        )

    def cut_tiles(
        self,
        row_block: int,
        col_block: int,
        n_row_blocks: int,
        n_col_blocks: int,
        pictures: Pictures,
    ) -> Iterator[tuple[TileKey, Pixels]]:
        """Cut the pictures of a rectangle of blocks into tiles of levels 1 and 0, cropped to the slide."""
        n_rows, n_cols = self.grid.n_tiles(0)
        keys = (
            self.key(level, row, col)
            for level in ((1,) if pictures.hr is None else (1, 0))
            for row in range(row_block, min(row_block + n_row_blocks, n_rows))
            for col in range(col_block, min(col_block + n_col_blocks, n_cols))
        )
        return self.cut(pictures, block_window(row_block, col_block, n_row_blocks, n_col_blocks, 0), keys)

    def cut(self, pictures: Pictures, core: Window, keys: Iterable[TileKey]) -> Iterator[tuple[TileKey, Pixels]]:
        """Cut the pictures of a window, its halo left out, into tiles that lie in it, cropped to the slide."""
        for key in keys:
            picture = pictures.mr if key.level else pictures.hr
            assert picture is not None
            rows, cols = self.grid.tile_slices(*key.place, key.part)
            scale = 1 << SLIDE_LEVEL - key.level
            top, left = core.row * scale, core.col * scale
            yield key, picture[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left].copy()


class LevelArray:
    """One level as an array that computes what is indexed.

    Parameters
    ----------
    super_resolved : ExactLevels
    level : int
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, super_resolved: ExactLevels, level: int) -> None:
        self._super_resolved = super_resolved
        self._level = level
        self.shape = (*super_resolved.grid.level_shapes[level], 3)

    def __getitem__(self, index: Any) -> Pixels:
        rows, cols, rest = split_index(index, self.shape)
        region = self._super_resolved.read(
            self._level, rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start
        )
        return region[rest]


def assemble(grid: PyramidGrid, level: int, region: Window, tile: Callable[[int, int], Pixels]) -> Pixels:
    """Put a region of a level together from its tiles.

    Parameters
    ----------
    grid : PyramidGrid
    level : int
    region : Window
        In pixels of the level, inside it.
    tile : callable (row, col) -> (h, w, 3) uint8
        Gives a tile, cropped to the level.

    Returns
    -------
    (height, width, 3) uint8
    """
    row, col, height, width = region
    out = np.empty((height, width, 3), np.uint8)
    for tile_row, tile_col in grid.tiles_in(level, slice(row, row + height), slice(col, col + width)):
        rows, cols = grid.tile_slices(level, tile_row, tile_col)
        top, left = max(rows.start, row), max(cols.start, col)
        bottom, right = min(rows.stop, row + height), min(cols.stop, col + width)
        out[top - row : bottom - row, left - col : right - col] = tile(tile_row, tile_col)[
            top - rows.start : bottom - rows.start, left - cols.start : right - cols.start
        ]
    return out
