"""Slides kept as OME-Zarr 0.4 or 0.5 on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.colour import on_white
from napari_pathsrgan.slides.pixel_size import UM_PER_UNIT, believable_pixel_size
from napari_pathsrgan.slides.slide_kind import image_attributes

if TYPE_CHECKING:
    from napari_pathsrgan.slides.resample import UInt8Image

_REMEDY = "Open the folder of an OME-Zarr 0.4 or 0.5 image with 8-bit gray, RGB or RGBA pixels."


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
            self.folder = path / "0"
            attributes = image_attributes(self.folder)
        if attributes is None or not attributes.get("multiscales"):
            raise SlideUnreadableError(f"{path.name} is a folder without an OME-Zarr image in it.", _REMEDY)
        try:
            self._describe(path, attributes["multiscales"][0])
        except (SlideUnreadableError, OSError):
            raise
        except Exception as error:  # zarr's and our look-ups fail in many ways on damaged metadata
            raise OSError(str(error)) from error

    def _describe(self, path: Path, multiscale: dict[str, Any]) -> None:
        axes = [axis["name"].lower() for axis in multiscale["axes"]]
        self._axes = "".join(axes).upper()
        datasets = multiscale["datasets"]
        self.level_paths = [str(dataset["path"]) for dataset in datasets]
        self._levels = [zarr.open_array(self.folder / name, mode="r") for name in self.level_paths]
        _refuse_unless_colour_picture(path, self._axes, self._levels[0])
        rows, cols = axes.index("y"), axes.index("x")
        self.level_shapes = tuple((level.shape[rows], level.shape[cols]) for level in self._levels)
        whole = _scale(multiscale, len(axes)) or [1.0] * len(axes)
        scales = [_scale(dataset, len(axes)) for dataset in datasets]
        finest = scales[0]
        self.level_downsamples = tuple(
            math.sqrt(self.level_shapes[0][0] / shape[0] * self.level_shapes[0][1] / shape[1])
            if finest is None or scale is None
            else math.sqrt(scale[rows] / finest[rows] * scale[cols] / finest[cols])
            for shape, scale in zip(self.level_shapes, scales, strict=True)
        )
        units = [UM_PER_UNIT.get(multiscale["axes"][axis].get("unit", "")) for axis in (rows, cols)]
        self.pixel_size_um: tuple[float, float] | None = None
        if finest is not None and units[0] is not None and units[1] is not None:
            self.pixel_size_um = believable_pixel_size(
                finest[rows] * whole[rows] * units[0], finest[cols] * whole[cols] * units[1]
            )
        self.reader = f"zarr {zarr.__version__}"
        self.vendor: str | None = "ome-zarr"
        self.objective_power: float | None = None
        self.bounds_level0: tuple[int, int, int, int] | None = None
        self.associated_images: Mapping[str, Callable[[], UInt8Image]] = {}
        self.icc_profile: bytes | None = None

    def read(self, level: int, row: int, col: int, height: int, width: int) -> UInt8Image:
        """Read a window inside the level: (height, width, 3) uint8, transparency on white; OSError if it can't."""
        return read_planes(self._levels[level], self._axes, row, col, height, width)

    def close(self) -> None:
        """Nothing stays open between reads."""


def read_planes(array: zarr.Array[Any], axes: str, row: int, col: int, height: int, width: int) -> UInt8Image:
    """Read a window of an array with axes such as CYX, YXS, TCZYX as RGB.

    Parameters
    ----------
    array : zarr.Array of uint8
    axes : str
        One letter per axis; Y and X the picture, C or S of length 3 or 4 the colours, every other of length 1.
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
    pixels: UInt8Image = block.transpose(order + single).reshape(height, width, -1)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 4:
        return on_white(pixels)
    return np.ascontiguousarray(pixels)


def _refuse_unless_colour_picture(path: Path, axes: str, level: zarr.Array[Any]) -> None:
    if level.dtype != np.uint8:
        raise SlideUnreadableError(f"{path.name} has pixels of type {level.dtype}, not 8-bit.", _REMEDY)
    sizes = dict(zip(axes, level.shape, strict=True))
    colours = sizes.pop("C", 1)
    planes = [size for axis, size in sizes.items() if axis not in "YX" and size > 1]
    if planes or colours not in (1, 3, 4) or not {"Y", "X"} <= sizes.keys():
        raise SlideUnreadableError(f"{path.name} holds a stack ({axes}: {level.shape}), not one picture.", _REMEDY)


def _scale(holder: dict[str, Any], axes: int) -> list[float] | None:
    """Take the scale out of an object's coordinate transformations; None where there's none that fits the axes."""
    for transformation in holder.get("coordinateTransformations", []):
        if transformation.get("type") == "scale" and len(transformation.get("scale", [])) == axes:
            return [float(value) for value in transformation["scale"]]
    return None
