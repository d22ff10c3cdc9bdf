"""Pictures and slide files whose content is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile


def noise(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """(rows, cols, 3) uint8 in which every pixel differs from its neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (rows, cols, 3), dtype=np.uint8)


def write_pyramid(path: Path, levels: Sequence[np.ndarray], description: str | None = None, **options: Any) -> Path:
    """Write levels as the pages of a tiled TIFF; on each page the description, with `{h}` and `{w}` filled in."""
    settings: dict[str, Any] = {"tile": (256, 256), "compression": "deflate", "photometric": "rgb", **options}
    with tifffile.TiffWriter(path) as file:
        for level, image in enumerate(levels):
            text = None if description is None else description.format(h=image.shape[0], w=image.shape[1])
            file.write(image, subfiletype=min(level, 1), description=text, metadata=None, **settings)
    return path


def write_aperio(
    path: Path, levels: Sequence[np.ndarray], mpp: float | None = 1.465, power: int = 4, **options: Any
) -> Path:
    """Write a TIFF that OpenSlide takes for an Aperio slide."""
    rows, cols = levels[0].shape[:2]
    mpp_part = "" if mpp is None else f"|MPP = {mpp}"
    text = f"Aperio Image Library\n{cols}x{rows} [0,0 {{w}}x{{h}}] (256x256) JPEG/RGB Q=90|AppMag = {power}{mpp_part}"
    return write_pyramid(path, levels, text, **options)


def blob(mpp: float, rows: int, cols: int, centre_um: tuple[float, float], sigma_um: float) -> np.ndarray:
    """A dark Gaussian dot on white, sampled on the grid of pixel size mpp."""
    row = (np.arange(rows) + 0.5) * mpp - centre_um[0]
    col = (np.arange(cols) + 0.5) * mpp - centre_um[1]
    dot = np.exp(-(row[:, None] ** 2 + col[None, :] ** 2) / (2 * sigma_um**2))
    return np.repeat(np.rint(255 - 250 * dot).astype(np.uint8)[..., None], 3, axis=2)


def centre_px(image: np.ndarray) -> np.ndarray:
    """Centre of mass of what is dark, in pixel coordinates where pixel i's centre is i + 0.5."""
    dark = 255.0 - image[..., 0]
    row = (dark.sum(1) * (np.arange(dark.shape[0]) + 0.5)).sum()
    col = (dark.sum(0) * (np.arange(dark.shape[1]) + 0.5)).sum()
    return np.array([row, col]) / dark.sum()


def write_leica(path: Path, image: np.ndarray, corner_px: tuple[int, int], mpp: float = 1.465) -> Path:
    """Write a TIFF that OpenSlide takes for a Leica slide, of which one area was scanned: at so many pixels of it."""
    (rows, cols), (row, col) = image.shape[:2], corner_px

    def described(page: int, size_px: tuple[int, int], view_px: tuple[int, int], offset_px: tuple[int, int]) -> str:
        nm = [round(part * mpp * 1000) for part in (*view_px, *offset_px)]
        return (
            f'<image><pixels sizeX="{size_px[1]}" sizeY="{size_px[0]}">'
            f'<dimension sizeX="{size_px[1]}" sizeY="{size_px[0]}" r="0" ifd="{page}"/></pixels>'
            f'<view sizeY="{nm[0]}" sizeX="{nm[1]}" offsetY="{nm[2]}" offsetX="{nm[3]}"/><scanSettings>'
            "<objectiveSettings><objective>4</objective></objectiveSettings><illuminationSettings>"
            "<numericalAperture>0.16</numericalAperture><illuminationSource>brightfield</illuminationSource>"
            "</illuminationSettings></scanSettings></image>"
        )

    whole = row + rows + 100, col + cols + 100
    sizes = [round(part * mpp * 1000) for part in whole]
    images = described(0, (256, 256), whole, (0, 0)) + described(1, (rows, cols), (rows, cols), corner_px)
    text = (
        '<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection sizeY="{sizes[0]}" sizeX="{sizes[1]}">{images}</collection></scn>'
    )
    settings: dict[str, Any] = {"tile": (256, 256), "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(np.full((256, 256, 3), 220, np.uint8), description=text, **settings)
        file.write(image, resolution=(1e4 / mpp,) * 2, resolutionunit="CENTIMETER", **settings)
    return path
