"""TIFFs through tifffile: OME-TIFF, and those OpenSlide refuses (strips, odd layouts, gray).

Only the strips or tiles a window touches are decoded.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import tifffile
import zarr

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.level_geometry import level_factors
from napari_pathsrgan.slides.pixel_size import believable_pixel_size, um_per_unit
from napari_pathsrgan.slides.zarr_source import read_planes

if TYPE_CHECKING:
    from napari_pathsrgan.slides.resample import UInt8Image

_ICC_PROFILE_TAG = 34675
_PHOTOMETRICS = {tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR}
_UM_PER_RESOLUTION_UNIT = {tifffile.RESUNIT.INCH: 25_400.0, tifffile.RESUNIT.CENTIMETER: 10_000.0}


class TiffSource:
    """One TIFF opened by tifffile; see `SlideSource`. Its first series is the slide.

    Raises
    ------
    SlideUnreadableError
        If the TIFF is intact but its pixels aren't 8-bit gray, RGB or RGBA in one plane.
    OSError
        If it's damaged or no TIFF.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = tifffile.TiffFile(path)
        except (tifffile.TiffFileError, ValueError, KeyError, IndexError) as error:
            raise OSError(str(error)) from error
        weakref.finalize(self, self._file.close)  # a viewer closes no slide: its layers just go
        try:
            self._describe(path)
        except SlideUnreadableError:
            self._file.close()
            raise
        except Exception as error:  # damaged tags make tifffile fail in many ways
            self._file.close()
            raise OSError(str(error)) from error

    def _describe(self, path: Path) -> None:
        _refuse_cut_short(self._file)
        series = self._file.series[0]
        page = series.keyframe
        self._axes = series.get_axes(squeeze=True)
        refuse_unless_8_bit_colour(path, series.dtype, page.photometric, self._axes, series.get_shape(squeeze=True))
        self._file.filehandle.set_lock(True)  # all reads seek in one handle
        self._levels = [_open_level(level) for level in series.levels]
        rows, cols = self._axes.index("Y"), self._axes.index("X")
        self.level_shapes = tuple((level.shape[rows], level.shape[cols]) for level in self._levels)
        self.level_factors = tuple(level_factors(self.level_shapes[0], shape) for shape in self.level_shapes)
        self.reader = f"tifffile {tifffile.__version__}"
        self.vendor: str | None = "ome-tiff" if self._file.is_ome else "tiff"
        ome = ET.fromstring(self._file.ome_metadata) if self._file.ome_metadata else None
        self.pixel_size_um = ome_pixel_size(ome) if ome is not None else None
        if self.pixel_size_um is None:
            self.pixel_size_um = resolution_pixel_size(page)
        self.objective_power = None if ome is None else _ome_magnification(ome)
        self.bounds_level0: tuple[int, int, int, int] | None = None
        self.associated_images: Mapping[str, Callable[[], UInt8Image]] = {}
        profile = page.tags.get(_ICC_PROFILE_TAG)
        self.icc_profile: bytes | None = bytes(profile.value) if profile is not None else None

    def read(self, level: int, row: int, col: int, height: int, width: int) -> UInt8Image:
        """Read a window inside the level: (height, width, 3) uint8, transparency on white; OSError if it can't."""
        return read_planes(self._levels[level], self._axes, row, col, height, width)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def refuse_unless_8_bit_colour(
    path: Path, dtype: np.dtype[Any] | None, photometric: Any, axes: str, shape: tuple[int, ...]
) -> None:
    """Raise SlideUnreadableError, saying what is in the way, unless pixels are 8-bit gray, RGB or RGBA in one plane."""
    remedy = "Export it from its own software as an 8-bit RGB TIFF."
    if dtype != np.uint8:
        bits = "of an unknown kind" if dtype is None else f"{dtype.itemsize * 8}-bit {np.dtype(dtype).name}"
        raise SlideUnreadableError(f"{path.name} has pixels that are {bits}, not 8-bit.", remedy)
    if photometric not in _PHOTOMETRICS:
        name = getattr(photometric, "name", str(photometric)).lower()
        raise SlideUnreadableError(f"{path.name} stores its colours as {name}, not as gray or RGB.", remedy)
    sizes = dict(zip(axes, shape, strict=True))
    colours = [sizes.pop(axis) for axis in "SC" if axis in sizes and sizes[axis] in (3, 4)]
    planes = [size for axis, size in sizes.items() if axis not in "YX" and size > 1]
    if not {"Y", "X"} <= sizes.keys() or planes or len(colours) > 1:
        raise SlideUnreadableError(f"{path.name} holds a stack ({axes}: {shape}), not one colour picture.", remedy)


def ome_pixel_size(ome: ET.Element) -> tuple[float, float] | None:
    """Read PhysicalSizeY and PhysicalSizeX of the first image, µm; None where missing, in no length unit or absurd."""
    pixels = ome.find(".//{*}Pixels")
    if pixels is None:
        return None
    sizes = []
    for axis in "YX":
        unit = um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        text = pixels.get(f"PhysicalSize{axis}")
        if unit is None or text is None:
            return None
        sizes.append(float(text) * unit)
    return believable_pixel_size(*sizes)


def resolution_pixel_size(page: tifffile.TiffPage) -> tuple[float, float] | None:
    """Read the resolution tags (pixels per inch or cm) as µm per pixel; None where missing or a printer's default."""
    unit_tag = page.tags.get("ResolutionUnit")
    unit = _UM_PER_RESOLUTION_UNIT.get(unit_tag.value if unit_tag is not None else tifffile.RESUNIT.INCH)
    sizes = []
    for name in ("YResolution", "XResolution"):
        tag = page.tags.get(name)
        if unit is None or tag is None or 0 in tag.value:
            return None
        numerator, denominator = tag.value
        sizes.append(unit * denominator / numerator)
    return believable_pixel_size(*sizes)


def _ome_magnification(ome: ET.Element) -> float | None:
    objective = ome.find(".//{*}Objective")
    if objective is None:
        return None
    try:
        return float(objective.get("NominalMagnification", ""))
    except ValueError:
        return None


def _open_level(level: tifffile.TiffPageSeries) -> zarr.Array[Any]:
    # A tile the file leaves out is glass: white, not black.
    return zarr.open_array(level.aszarr(level=0, fillvalue=255, squeeze=True), mode="r")


def _refuse_cut_short(file: tifffile.TiffFile) -> None:
    """Raise OSError if pages or their pixels lie beyond the end of the file: tifffile itself goes on without them."""
    for page in file.pages:  # walks the chain to its end
        ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > file.filehandle.size:
            raise OSError("Pixels lie beyond the end of the file.")
    end = file.pages.next_page_offset
    if end is not None:
        file.filehandle.seek(end)
        if any(file.filehandle.read(file.tiff.offsetsize)):
            raise OSError("The list of pages is cut short.")
