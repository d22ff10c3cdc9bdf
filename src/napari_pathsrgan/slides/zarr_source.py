"""Slides kept as OME-Zarr 0.1 to 0.5 on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.colour import on_white
from napari_pathsrgan.slides.ngff import ContradictionError, Multiscale, channel_problem
from napari_pathsrgan.slides.slide_kind import image_attributes
from napari_pathsrgan.slides.zarr_array import UnsupportedArrayError, checked_folder, open_pixels

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

_REMEDY = "Open the folder of an OME-Zarr image with 8-bit gray, RGB or RGBA pixels."
_CONVERT = "Convert it to OME-Zarr 0.4 or 0.5 of 8-bit RGB pixels, for example with bioformats2raw or ome-zarr-py."
_ASK = "Ask whoever wrote it for a corrected file, or convert the original again."


class ZarrSource:
    """One OME-Zarr image; see `SlideSource`.

    Attributes
    ----------
    folder : Path
        The image's own folder: the one opened, or its first image where it's a collection.
    level_paths : list of str
        Path of each level in it.

    Raises
    ------
    SlideUnreadableError
        If the folder is no OME-Zarr image, or one of something else than colour pictures.
    OSError
        If it's damaged.
    """

    def __init__(self, path: Path) -> None:
        self.folder = path
        attributes = image_attributes(path)
        if attributes is not None and "multiscales" not in attributes:
            self.folder = checked_folder(path, "0")
            attributes = image_attributes(self.folder)
        if attributes is None or not attributes.get("multiscales"):
            raise SlideUnreadableError(
                f"{path.name} is a folder that holds neither an OME-Zarr image nor a DICOM slide.", _REMEDY
            )
        try:
            self._describe(path, attributes)
        except (SlideUnreadableError, OSError):
            raise
        except UnsupportedArrayError as error:
            raise SlideUnreadableError(f"{path.name} has {error}.", _CONVERT) from error
        except ContradictionError as error:
            raise SlideUnreadableError(f"{path.name} {error}.", _ASK) from error
        except Exception as error:  # zarr's and our look-ups fail in many ways on damaged metadata
            raise OSError(str(error)) from error

    def _describe(self, path: Path, attributes: dict[str, Any]) -> None:
        image = Multiscale.read(attributes["multiscales"][0])
        self._axes = image.axes
        self.level_paths = list(image.level_paths)
        self._levels = [open_pixels(self.folder, name) for name in self.level_paths]
        for level in self._levels:
            _refuse_unless_one_image(path, self._axes, level, attributes)
        rows, cols = self._axes.index("Y"), self._axes.index("X")
        self.level_shapes = tuple((level.shape[rows], level.shape[cols]) for level in self._levels)
        self.level_factors = image.level_factors(self.level_shapes)
        self.pixel_size_um = image.pixel_size_um
        self.reader = f"zarr {zarr.__version__}"
        self.vendor: str | None = "ome-zarr"
        self.objective_power: float | None = None
        self.bounds_level0: tuple[int, int, int, int] | None = None
        self.associated_images: Mapping[str, Callable[[], Pixels]] = {}
        self.icc_profile: bytes | None = None

    def read(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window inside the level: (height, width, 3) uint8, transparency on white; OSError if it can't."""
        return read_planes(self._levels[level], self._axes, row, col, height, width)

    def close(self) -> None:
        """Nothing stays open between reads."""


def read_planes(array: zarr.Array[Any], axes: str, row: int, col: int, height: int, width: int) -> Pixels:
    """Read a window of an array with axes such as CYX, YXS, TCZYX as RGB.

    Parameters
    ----------
    array : zarr.Array of uint8
    axes : str
        One letter per axis; Y and X the image, C or S of length 3 or 4 the colours, every other of length 1.
    row, col, height, width : int
        Window inside the array, pixels.

    Returns
    -------
    (height, width, 3) uint8
        Gray three times; RGBA on white.

    Raises
    ------
    OSError
        If a chunk cannot be decoded.
    """
    windows = {"Y": slice(row, row + height), "X": slice(col, col + width)}
    key = tuple(windows.get(axis, slice(None)) for axis in axes)
    try:
        block: npt.NDArray[np.uint8] = np.asarray(array[key])
    except Exception as error:  # each codec fails in its own way
        raise OSError(str(error)) from error
    colours = [at for at, axis in enumerate(axes) if axis in "CS" and array.shape[at] > 1]
    order = [axes.index("Y"), axes.index("X"), *colours]
    single = [at for at in range(len(axes)) if at not in order]
    pixels: Pixels = block.transpose(order + single).reshape(height, width, -1)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 4:
        return on_white(pixels)
    return np.ascontiguousarray(pixels)


def _refuse_unless_one_image(path: Path, axes: str, level: zarr.Array[Any], attributes: dict[str, Any]) -> None:
    if len(axes) != level.ndim:
        raise ValueError(f"an array of {level.ndim} axes is described as {axes}")
    if any(size > 1 for axis, size in zip(axes, level.shape, strict=True) if axis not in "YXC"):
        raise SlideUnreadableError(f"{path.name} holds a stack ({axes}: {level.shape}), not one image.", _REMEDY)
    channels = level.shape[axes.index("C")] if "C" in axes else 1
    problem = channel_problem(attributes, channels, interleaved=axes.endswith("C"))
    if problem is not None:
        raise SlideUnreadableError(f"{path.name} {problem}.", _REMEDY)
