"""Where tiles lie: the absolute grid of network blocks, the levels of a super-resolved slide, and their pixels in µm.

Everything hangs on one grid that starts at the slide's upper-left corner. The network's input, "LR" at 1.172 µm/px, is
cut into blocks of `CORE` pixels a side. A block becomes one tile at level 0 (20×) and one at level 1 (10×), so both
carry the block's (row, col) and a 20× run delivers the 10× tile too. Level 2 is the LR grid itself and, like every
coarser level, is read from the slide; there a tile is `SLIDE_TILE` pixels a side.

Pixel i of a level with pixel size mpp has its centre at (i + 0.5) · mpp µm. A level is `ceil` of half the one before,
so that pixel i of level k + 1 covers pixels 2i and 2i + 1 of level k exactly, however odd the shapes are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.product import Product

LR_MPP = 1.172
"""µm per pixel of the network's input, the "5×" grid (Ma et al. 2020: 1.465 / 1.25)."""

SLIDE_LEVEL = 2
"""The first level that is the slide's own pixels: the network's input grid. Levels before it are computed."""

CORE = 128
"""Side of a network block, in LR pixels: the paper's tile, 150 µm. A multiple of `GRID_STEP`."""

HALO = 32
"""Context around a block, in LR pixels. Ours, measured: with 32 a seam is at most 0.7 grey levels."""

GRID_STEP = 8
"""Every network window begins and ends on a multiple of this many LR pixels: the generator halves its input three
times, and another phase of that halving gives the same pixel another value (ours, measured: up to 4.7 grey levels)."""

SLIDE_TILE = 256
"""Side of a tile of the slide's own pixels, in pixels of its level."""

PART_PX = 32
"""Side of the squares that a block may be computed in parts of, in LR pixels; a multiple of `GRID_STEP`."""

_ROUNDING = 1e-6
"""Share of a pixel by which a position in µm may miss a pixel's edge through floating point and still lie on it."""


class Window(NamedTuple):
    """A rectangle of pixels; it may begin before 0 and end past the slide."""

    row: int
    col: int
    height: int
    width: int


class RectangleUm(NamedTuple):
    """A rectangle on the slide, in µm from its upper-left corner."""

    row_um: float
    col_um: float
    height_um: float
    width_um: float


class TilePart(NamedTuple):
    """A rectangle of a block, in squares of `PART_PX` from its upper-left corner: all that is in sight of a tile."""

    top: int
    left: int
    bottom: int
    right: int

    def holds(self, other: TilePart) -> bool:
        """Whether it has all of another part of the same block."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and self.bottom >= other.bottom
            and self.right >= other.right
        )

    def pixels(self, level: int) -> tuple[slice, slice]:
        """Pixels of a computed level that it takes of its tile, not cropped to the slide."""
        step = PART_PX << SLIDE_LEVEL - level
        return slice(self.top * step, self.bottom * step), slice(self.left * step, self.right * step)


class TileKey(NamedTuple):
    """What makes one tile different from every other.

    A tuple, for the scheduler hashes hundreds of keys between two tiles.

    Attributes
    ----------
    slide : str
        Cache id of the slide: another one after every write to its file.
    product : Product
        Which image of the slide; the slide's own pixels are shared by all models.
    level, row, col : int
        Level of the pyramid and position in its grid of tiles.
    part : TilePart or None
        Which pixels of a computed tile; None for all of it.
    """

    slide: str
    product: Product
    level: int
    row: int
    col: int
    part: TilePart | None = None

    @property
    def whole(self) -> TileKey:
        """The tile that it is a part of."""
        return self._replace(part=None)

    @property
    def place(self) -> tuple[int, int, int]:
        """Level, row and column."""
        return self.level, self.row, self.col

    @property
    def core(self) -> Window:
        """What of the network's input grid a computed tile shows; at the slide's edge it goes past that."""
        top, left, bottom, right = self.part or _WHOLE_BLOCK
        return Window(
            self.row * CORE + top * PART_PX,
            self.col * CORE + left * PART_PX,
            (bottom - top) * PART_PX,
            (right - left) * PART_PX,
        )


_WHOLE_BLOCK = TilePart(0, 0, CORE // PART_PX, CORE // PART_PX)


@dataclass(frozen=True)
class PyramidGrid:
    """The levels of one super-resolved slide and how each is cut into tiles.

    Parameters
    ----------
    level_shapes : tuple of (rows, cols)
        Size of each level in its own pixels, finest first, each `ceil` of half the one before.
    level_mpps : tuple of float
        µm per pixel of each level, each twice the one before.
    tile_px : tuple of int
        Side of a tile of each level, in its own pixels; tiles at the lower and right edge are cropped to the level.

    Raises
    ------
    ValueError
        If the three don't speak of the same levels, or a level is not half the one before.
    """

    level_shapes: tuple[tuple[int, int], ...]
    level_mpps: tuple[float, ...]
    tile_px: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.level_shapes) == len(self.level_mpps) == len(self.tile_px) > 0:
            raise ValueError(
                f"{len(self.level_shapes)} shapes, {len(self.level_mpps)} pixel sizes and {len(self.tile_px)} tile "
                "sizes can't describe the same levels."
            )
        for level, (finer, coarser) in enumerate(zip(self.level_shapes, self.level_shapes[1:], strict=False), start=1):
            if coarser != _halved(finer):
                raise ValueError(f"Level {level} is {coarser} px, but half of {finer} is {_halved(finer)}.")

    @classmethod
    def over_slide(cls, lr_shape: tuple[int, int], lr_mpp: float = LR_MPP, coarsest_px: int = 512) -> PyramidGrid:
        """Lay the grid over a slide.

        Parameters
        ----------
        lr_shape : (rows, cols)
            The slide's size on the network's input grid, in LR pixels.
        lr_mpp : float
            µm per LR pixel, as the model's card says.
        coarsest_px : int
            Levels are added until one fits into a square of this side: a viewer keeps the last one whole in memory.
        """
        rows, cols = lr_shape
        if min(rows, cols) < 1:
            raise ValueError(f"A slide of {rows} × {cols} px has no tiles.")
        shapes = [(rows << SLIDE_LEVEL - level, cols << SLIDE_LEVEL - level) for level in range(SLIDE_LEVEL + 1)]
        while max(shapes[-1]) > coarsest_px:
            shapes.append(_halved(shapes[-1]))
        return cls(
            level_shapes=tuple(shapes),
            level_mpps=tuple(math.ldexp(lr_mpp, level - SLIDE_LEVEL) for level in range(len(shapes))),
            tile_px=tuple(
                CORE << SLIDE_LEVEL - level if level < SLIDE_LEVEL else SLIDE_TILE for level in range(len(shapes))
            ),
        )

    @property
    def n_levels(self) -> int:
        """How many levels there are."""
        return len(self.level_shapes)

    def n_tiles(self, level: int) -> tuple[int, int]:
        """Rows and columns of tiles of a level, cropped ones included."""
        rows, cols = self.level_shapes[level]
        side = self.tile_px[level]
        return -(-rows // side), -(-cols // side)

    def clip(self, level: int, rows: slice, cols: slice) -> tuple[slice, slice]:
        """Cut a region, in pixels of `level`, to that level; what lies outside becomes empty."""
        height, width = self.level_shapes[level]
        return _clip(rows, height), _clip(cols, width)

    def tiles_in(self, level: int, rows: slice, cols: slice) -> list[tuple[int, int]]:
        """Tiles that share a pixel with a region, row by row.

        Parameters
        ----------
        level : int
            Level whose pixels `rows` and `cols` count.
        rows, cols : slice
            The region, step 1; parts outside the level have no tiles.

        Returns
        -------
        list of (row, col)
            Positions in the level's grid of tiles.
        """
        rows, cols = self.clip(level, rows, cols)
        if rows.start == rows.stop or cols.start == cols.stop:
            return []
        side = self.tile_px[level]
        tile_cols = range(cols.start // side, -(-cols.stop // side))
        return [(row, col) for row in range(rows.start // side, -(-rows.stop // side)) for col in tile_cols]

    def tile_slices(self, level: int, row: int, col: int, part: TilePart | None = None) -> tuple[slice, slice]:
        """Pixels of a tile, or of a part of it, in its level's array, cropped to the level.

        Raises
        ------
        IndexError
            If the level has no such tile.
        """
        n_rows, n_cols = self.n_tiles(level)
        if not (0 <= row < n_rows and 0 <= col < n_cols):
            raise IndexError(f"Level {level} has {n_rows} × {n_cols} tiles, none at ({row}, {col}).")
        side = self.tile_px[level]
        rows, cols = (slice(0, side), slice(0, side)) if part is None else part.pixels(level)
        return self.clip(level, _moved(rows, row * side), _moved(cols, col * side))

    def tile_shape(self, level: int, row: int, col: int) -> tuple[int, int]:
        """Height and width of a tile in pixels, cropped to the level."""
        rows, cols = self.tile_slices(level, row, col)
        return rows.stop - rows.start, cols.stop - cols.start

    def parent(self, level: int, row: int, col: int, coarser_level: int) -> tuple[int, int]:
        """Tile of a coarser level that holds the upper-left pixel of this one (and, with our tile sizes, all of it)."""
        if not level <= coarser_level < self.n_levels:
            raise ValueError(f"Level {coarser_level} is no level at or above {level} of {self.n_levels}.")
        side, coarser_side = self.tile_px[level], self.tile_px[coarser_level]
        downsample = 1 << coarser_level - level
        return row * side // downsample // coarser_side, col * side // downsample // coarser_side

    def tile_um(self, level: int, row: int, col: int) -> RectangleUm:
        """Area of a tile on the slide."""
        rows, cols = self.tile_slices(level, row, col)
        mpp = self.level_mpps[level]
        return RectangleUm(
            rows.start * mpp, cols.start * mpp, (rows.stop - rows.start) * mpp, (cols.stop - cols.start) * mpp
        )

    def tile_at_um(self, level: int, row_um: float, col_um: float) -> tuple[int, int]:
        """Tile under a point of the slide.

        Raises
        ------
        IndexError
            If the point lies outside the level.
        """
        mpp, side = self.level_mpps[level], self.tile_px[level]
        row, col = math.floor(row_um / mpp + _ROUNDING), math.floor(col_um / mpp + _ROUNDING)
        height, width = self.level_shapes[level]
        if not (0 <= row < height and 0 <= col < width):
            raise IndexError(f"({row_um:g}, {col_um:g}) µm lies outside the slide.")
        return row // side, col // side

    def slices_um(self, level: int, rectangle: RectangleUm) -> tuple[slice, slice]:
        """Pixels of a level touched by a rectangle on the slide, cropped to the level."""
        mpp = self.level_mpps[level]
        row_um, col_um, height_um, width_um = rectangle
        return self.clip(level, _span(row_um, height_um, mpp), _span(col_um, width_um, mpp))


def block_window(row_block: int, col_block: int, n_row_blocks: int, n_col_blocks: int, halo: int = HALO) -> Window:
    """Network input for a rectangle of blocks: their cores and a halo on every side.

    Parameters
    ----------
    row_block, col_block : int
        The upper-left block, which is also the (row, col) of its tiles at levels 0 and 1.
    n_row_blocks, n_col_blocks : int
        How many blocks are computed in one go; neighbours share the halo between them.
    halo : int
        Context on each side, in LR pixels, a multiple of `GRID_STEP`.

    Returns
    -------
    Window
        In LR pixels. It overshoots the slide at the edges; who reads it reflects the pixels there.

    Raises
    ------
    ValueError
        If the halo would move the window off the grid, or there is no block.
    """
    if halo < 0 or halo % GRID_STEP:
        raise ValueError(f"A halo of {halo} px is no multiple of {GRID_STEP}.")
    if min(n_row_blocks, n_col_blocks) < 1:
        raise ValueError(f"{n_row_blocks} × {n_col_blocks} blocks are nothing to compute.")
    return Window(
        row_block * CORE - halo, col_block * CORE - halo, n_row_blocks * CORE + 2 * halo, n_col_blocks * CORE + 2 * halo
    )


def snap_window(row: int, col: int, height: int, width: int, step: int = GRID_STEP) -> Window:
    """Grow a window to the absolute grid, so that a pixel's value doesn't depend on the region it was asked with.

    Parameters
    ----------
    row, col, height, width : int
        Any window, in LR pixels; it may begin before 0.
    step : int
        Spacing of the grid, in LR pixels.

    Returns
    -------
    Window
        The smallest window that holds the given one and whose four edges are multiples of `step`.
    """
    top, left = row // step * step, col // step * step
    bottom, right = -(-(row + height) // step) * step, -(-(col + width) // step) * step
    return Window(top, left, bottom - top, right - left)


def _halved(shape: tuple[int, int]) -> tuple[int, int]:
    return -(-shape[0] // 2), -(-shape[1] // 2)


def _moved(pixels: slice, by: int) -> slice:
    return slice(pixels.start + by, pixels.stop + by)


def _clip(pixels: slice, length: int) -> slice:
    start = min(max(pixels.start, 0), length)
    return slice(start, max(start, min(pixels.stop, length)))


def _span(start_um: float, length_um: float, mpp: float) -> slice:
    return slice(math.floor(start_um / mpp + _ROUNDING), math.ceil((start_um + length_um) / mpp - _ROUNDING))
