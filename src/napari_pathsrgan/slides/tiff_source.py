"""TIFFs that are of no scanner's own kind: OME-TIFF, and plain ones in tiles or strips.

Only the tiles or strips that a window touches are decoded.
"""

from __future__ import annotations

import math
import re
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.level_geometry import level_factors
from napari_pathsrgan.slides.pixel_size import believable_pixel_size, um_per_unit
from napari_pathsrgan.slides.tiff_header import (
    ICC_PROFILE,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Page,
)
from napari_pathsrgan.slides.tiff_image import TiffFile, TiffImage
from napari_pathsrgan.slides.tiff_layout import TiffLayout, lay_out

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}
_INCH = 2
#: Printers and screens have up to 2400 dots per inch, 10.6 µm/px, and programs write that into any image.
_PRINTERS_FINEST_UM = 25_400.0 / 2_540
_IMAGEJ_UNIT = re.compile(r"^unit=(.+?)\s*$", re.MULTILINE)
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_MOST_ASSOCIATED_PX = 100_000_000


class TiffSource:
    """One TIFF; see `SlideSource`.

    Parameters
    ----------
    path : Path
    pages : list of Page
        From `read_pages`.

    Raises
    ------
    SlideUnreadableError
        If the TIFF is intact but its pixels aren't one image of gray or colours of up to 8 bits.
    OSError
        If it's damaged.
    """

    def __init__(self, path: Path, pages: list[Page]) -> None:
        layout = lay_out(pages, path.name)
        self._file = TiffFile(path)
        weakref.finalize(self, self._file.close)  # a viewer closes no slide: its layers just go
        try:
            self._levels = [TiffImage(self._file, page, path.name) for page in layout.levels]
        except BaseException:
            self._file.close()
            raise
        self.level_shapes = tuple(level.shape for level in self._levels)
        self.level_factors = tuple(level_factors(self.level_shapes[0], shape) for shape in self.level_shapes)
        self.reader = f"imagecodecs {imagecodecs.__version__}"
        self.vendor: str | None = "ome-tiff" if layout.is_ome else "tiff"
        self.pixel_size_um = self._pixel_size(layout)
        self.objective_power = None if layout.ome is None else layout.ome.objective_power
        self.bounds_level0: tuple[int, int, int, int] | None = None
        self.associated_images: Mapping[str, Callable[[], Pixels]] = {
            name: partial(self._read_associated, page, path.name) for name, page in layout.associated.items()
        }
        self.icc_profile: bytes | None = layout.levels[0].content(ICC_PROFILE) or None

    def read(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window inside the level: (height, width, 3) uint8, transparency on white; OSError if it can't."""
        return self._levels[level].read(row, col, height, width)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _pixel_size(self, layout: TiffLayout) -> tuple[float, float] | None:
        if layout.ome is not None and layout.ome.pixel_size_um is not None:
            return layout.ome.pixel_size_um
        size = resolution_pixel_size(layout.levels[0])
        return size[::-1] if size is not None and self._levels[0].turned else size

    def _read_associated(self, page: Page, name: str) -> Pixels:
        rows, cols = page.shape
        if rows * cols > _MOST_ASSOCIATED_PX:
            raise OSError("An image beside the slide is larger than any.")
        try:
            return TiffImage(self._file, page, name).read_whole()
        except SlideUnreadableError as error:
            raise OSError(str(error)) from error


def resolution_pixel_size(page: Page) -> tuple[float, float] | None:
    """Read a page's resolution as µm per pixel along stored rows and columns; None where missing or a printer's."""
    unit = _imagej_unit(page.description)
    if unit is None:
        unit = _UM_PER_RESOLUTION_UNIT.get(page.integer(RESOLUTION_UNIT, _INCH), math.nan)
    resolutions = [page.numbers(code) for code in (Y_RESOLUTION, X_RESOLUTION)]
    if not all(len(resolution) == 1 and resolution[0] > 0 for resolution in resolutions):
        return None
    sizes = believable_pixel_size(unit / resolutions[0][0], unit / resolutions[1][0])
    return sizes if sizes is not None and max(sizes) < _PRINTERS_FINEST_UM else None


def _imagej_unit(description: str) -> float | None:
    """Read the unit of length in which ImageJ means the resolution, in µm; None where it names none."""
    found = _IMAGEJ_UNIT.search(description) if description.startswith("ImageJ=") else None
    return None if found is None else um_per_unit(_ESCAPED.sub(lambda code: chr(int(code[1], 16)), found[1]))
