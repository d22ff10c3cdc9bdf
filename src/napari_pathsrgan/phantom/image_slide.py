"""A sharp image as a slide: scanned through the optics of an objective and written as a pyramidal TIFF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.atomic_write import atomic_write
from napari_pathsrgan.imaging.forward import scan_field
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.phantom.slide_file import TILE_PX, FileFormat, whole_shape, write_pyramid

if TYPE_CHECKING:
    from napari_pathsrgan.imaging.scanner import ScannerSettings
    from napari_pathsrgan.types import Pixels

_LOSSLESS_QUALITY = 98
"""JPEG quality where the settings ask for none: slide files are JPEG, and this is not to be seen."""


def write_image_slide(
    image: Pixels,
    image_mpp: float,
    path: Path,
    settings: ScannerSettings,
    rng: np.random.Generator,
    magnification: int = 4,
) -> None:
    """Scan an image and write it as a slide that openslide reads with pixel size and objective power.

    Parameters
    ----------
    image : (H, W, 3) uint8
        Sharp RGB, finer than the objective's pixels.
    image_mpp : float
        Its pixel size, µm.
    path : Path
        The TIFF to write; must not exist.
    settings : ScannerSettings
        The scanner; its JPEG quality is the file's.
    rng : numpy.random.Generator
        Source of the noise.
    magnification : {4, 10, 20}

    Raises
    ------
    OutputError
        If the file exists or cannot be written; nothing is left behind then.
    """
    with atomic_write(path) as partial:
        objective = OBJECTIVES[magnification]
        uncompressed = replace(settings, jpeg_quality=0)
        scan = scan_field(image, image_mpp, objective, uncompressed, rng)
        rows, cols = whole_shape(*scan.shape[:2])
        scan = np.pad(scan, ((0, rows - scan.shape[0]), (0, cols - scan.shape[1]), (0, 0)), mode="symmetric")
        quality = settings.jpeg_quality or _LOSSLESS_QUALITY
        file_format = FileFormat(magnification, objective.mpp, quality, settings.jpeg_subsampling)
        partial.parent.mkdir(parents=True, exist_ok=True)
        write_pyramid(partial, (rows, cols), _chunks(scan), file_format)


def _chunks(scan: Pixels) -> Iterator[tuple[int, int, Pixels]]:
    for row in range(0, scan.shape[0], TILE_PX):
        yield row, 0, scan[row : row + TILE_PX]
