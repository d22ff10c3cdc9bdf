"""Slides to measure on: the same cells in the middle of a small slide and of a huge one, made once and kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

from measure import say

from napari_pathsrgan.phantom.sparse import write_sparse_phantom

SMALL_PX, HUGE_PX = 4_000, 100_000
"""Sides in 4× pixels."""
CELLS_PX = 2048
"""Side of the place with cells, 4× pixels: 3 mm, in the middle of either slide."""
SCAN_MPP = 1.465

_SEED = 11
_TILE_PX = 256

_CELLS_SHARE = 0.3
_PLACES_APART_TILES = 11
_SPECIMEN_PX = 512

SLIDES_OPTION = (
    "--slides",
    {
        "type": Path,
        "default": Path(tempfile.gettempdir()) / "pathsrgan-benchmarks",
        "help": "folder where the synthetic slides are kept (default %(default)s)",
    },
)


def cells_origin_px(side_px: int) -> int:
    """First row and column of the place with cells, 4× pixels: on a tile of the file."""
    return (side_px - CELLS_PX) // 2 // _TILE_PX * _TILE_PX


def cells_origin_um(side_px: int) -> float:
    """First row and column of the place with cells, µm."""
    return cells_origin_px(side_px) * SCAN_MPP


def sample_slide(folder: Path, side_px: int) -> Path:
    """Make a slide unless it is there already.

    Parameters
    ----------
    folder : Path
        Where slides are kept; the huge one takes 0.7 GB and some minutes.
    side_px : int
        `SMALL_PX` or `HUGE_PX`.

    Returns
    -------
    Path
        A pyramidal TIFF. No background lies among its cells, so every tile there takes the network.
    """
    path = folder / f"sparse-{side_px}px-cells{CELLS_PX}-seed{_SEED}.tiff"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        say(f"Making {path}, once …")
        origin = cells_origin_px(side_px)
        write_sparse_phantom(path, side_px, _SEED, [(origin, origin, CELLS_PX, CELLS_PX)], background_share=0.0)
    return path


def mostly_empty_slide(folder: Path, side_px: int) -> tuple[Path, float]:
    """Make a slide of some 70 % background, its cells in places a few mm apart, unless it is there already.

    All places show one specimen, again and again: cells of their own would take hours to draw and cost a network the
    same.

    Parameters
    ----------
    folder : Path
        Where slides are kept.
    side_px : int
        4× pixels.

    Returns
    -------
    Path
        A pyramidal TIFF.
    float
        Share of its area that holds cells; whole tiles of the file, so it is not exactly 0.3.
    """
    n_tiles = -(-side_px // _TILE_PX)
    places = max(1, round(n_tiles / _PLACES_APART_TILES))
    wanted = _CELLS_SHARE * n_tiles**2 / places**2
    n_rows = max(1, round(wanted**0.5))
    n_cols = max(1, round(wanted / n_rows))
    share = places**2 * n_rows * n_cols / n_tiles**2
    path = folder / f"mostly_empty-{side_px}px-specimen{_SPECIMEN_PX}-seed{_SEED}.tiff"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        say(f"Making {path}, once …")
        firsts = [(2 * place + 1) * n_tiles // (2 * places) for place in range(places)]
        windows = [
            ((row - n_rows // 2) * _TILE_PX, (col - n_cols // 2) * _TILE_PX, n_rows * _TILE_PX, n_cols * _TILE_PX)
            for row in firsts
            for col in firsts
        ]
        write_sparse_phantom(path, n_tiles * _TILE_PX, _SEED, windows, background_share=0.0, specimen_px=_SPECIMEN_PX)
    return path, share
