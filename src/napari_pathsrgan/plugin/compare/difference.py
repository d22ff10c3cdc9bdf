"""The layer that shows how much two images on screen differ: |a − b|, from the pixels that are there already.

The layer has the pixels of the finer image. napari asks it for what is in sight; it makes that of what both images
would draw there, the coarser one interpolated as the screen does. So it never waits for a network: where an image is
soft still, so is its difference, and both sharpen together. Whoever else asks for the layer's data gets the difference
of exact pixels (see `preview_layer`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.plugin.layers.computed_layer import CHUNK_PX, PreviewLevel
from napari_pathsrgan.plugin.layers.names import LABEL_KEY, NAME_KEY, safe_name, short_label
from napari_pathsrgan.plugin.layers.preview_layer import PreviewImage, preview
from napari_pathsrgan.tiles.viewport import split_index
from napari_pathsrgan.types import Pixels

if TYPE_CHECKING:
    from napari.layers import Image

Read = Callable[[Any, slice, slice], Pixels]
"""How pixels of a level are come by: (level, rows, cols) → what there is of it or what it is."""

_LIMITS = (0.0, 64.0)
"""Grey levels from black to bright at first: a quarter of what there is, for most differences are small."""
_COARSEST_PX = 1024
"""Longest side of the coarsest level, which napari holds whole."""


class Operand:
    """One of the two images, at any pixel size.

    Parameters
    ----------
    layer : Image
        RGB or grey, in µm, neither turned nor sheared.
    """

    def __init__(self, layer: Image) -> None:
        self._levels = list(layer.data) if layer.multiscale else [layer.data]
        origin = np.array(layer.data_to_world((0.0, 0.0)))
        self.pixel_um: npt.NDArray[np.float64] = np.array(layer.data_to_world((1.0, 1.0))) - origin
        self.corner_um: npt.NDArray[np.float64] = origin - self.pixel_um / 2
        shapes = np.array([level.shape[:2] for level in self._levels], float)
        self.end_um: npt.NDArray[np.float64] = self.corner_um + shapes[0] * self.pixel_um
        self._level_um = shapes[0] / shapes * self.pixel_um  # as napari stretches levels over the whole

    def sample(
        self, corner_um: npt.NDArray[np.float64], pixel_um: npt.NDArray[np.float64], size: Any, read: Read
    ) -> Pixels:
        """Resample a region on any grid; beyond the image's edge, the nearest pixels are repeated.

        Parameters
        ----------
        corner_um, pixel_um : (2,) float64
            Upper-left corner and pixel size of the grid, µm.
        size : (rows, cols)
        read : callable
            `drawn` or `exact`.

        Returns
        -------
        (rows, cols, 3) uint8
        """
        fine_enough = [i for i, level_um in enumerate(self._level_um) if (level_um <= 1.01 * pixel_um).all()]
        index = fine_enough[-1] if fine_enough else 0
        level, level_um = self._levels[index], self._level_um[index]
        step = pixel_um / level_um
        first = (corner_um + pixel_um / 2 - self.corner_um) / level_um - 0.5  # of our pixels' centres, in its pixels
        last = first + (np.array(size) - 1) * step
        limit = np.array(level.shape[:2])
        start = np.clip(np.floor(first).astype(int), 0, limit - 1)
        stop = np.clip(np.ceil(last).astype(int) + 1, start + 1, limit)
        pixels = _rgb(read(level, slice(start[0], stop[0]), slice(start[1], stop[1])))
        rows, cols = (first[axis] - start[axis] + step[axis] * np.arange(size[axis]) for axis in (0, 1))
        if step[0] == 1 and step[1] == 1 and np.allclose([rows[0], cols[0]], 0, atol=1e-6):
            inside = pixels[: size[0], : size[1]]
            if inside.shape[:2] == tuple(size):
                return inside
        matrix = np.array([[step[1], 0, cols[0]], [0, step[0], rows[0]]])
        warped = cv2.warpAffine(
            pixels,
            matrix,
            (size[1], size[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(warped, np.uint8)


def drawn(level: Any, rows: slice, cols: slice) -> Pixels:
    """Pixels as they can be drawn now; only ours would have to be computed otherwise."""
    shown = preview(level)
    return shown.peek(rows, cols) if isinstance(shown, PreviewLevel) else np.asarray(shown[rows, cols])


def exact(level: Any, rows: slice, cols: slice) -> Pixels:
    """Pixels as they are, computed where they must be."""
    return np.asarray(level[rows, cols])


def _rgb(pixels: Pixels) -> Pixels:
    if pixels.dtype != np.uint8:
        pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return np.ascontiguousarray(np.broadcast_to(pixels[..., :3], (*pixels.shape[:2], 3)))


class DifferenceLevel:
    """One level of the difference, as napari wants it: (rows, cols) uint8 grey levels.

    Parameters
    ----------
    first, second : Operand
    corner_um, pixel_um : (2,) float64
        Of this level, µm.
    shape : (rows, cols)
    read : callable
        `drawn` or `exact`.
    """

    dtype = np.dtype(np.uint8)
    ndim = 2
    chunks = (CHUNK_PX, CHUNK_PX)

    def __init__(
        self, first: Operand, second: Operand, corner_um: Any, pixel_um: Any, shape: tuple[int, int], read: Read = exact
    ) -> None:
        self._operands = first, second
        self._corner_um, self._pixel_um = corner_um, pixel_um
        self.shape = shape
        self._read = read

    @property
    def preview(self) -> DifferenceLevel:
        """The difference of what both images would draw."""
        return DifferenceLevel(*self._operands, self._corner_um, self._pixel_um, self.shape, drawn)

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, index: Any) -> Pixels:
        """Find the difference of a region: the largest of red's, green's and blue's."""
        rows, cols, rest = split_index(index, (*self.shape, 1))
        corner_um = self._corner_um + np.array([rows.start, cols.start]) * self._pixel_um
        size = rows.stop - rows.start, cols.stop - cols.start
        a, b = (operand.sample(corner_um, self._pixel_um, size, self._read) for operand in self._operands)
        return np.asarray(cv2.absdiff(a, b).max(axis=2)[rest[:2]], np.uint8)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Find the difference over the whole level; napari does so for the coarsest, drawn."""
        return np.array(self[:, :], dtype, copy=copy)


def difference_levels(first: Image, second: Image) -> tuple[list[DifferenceLevel], Any, Any]:
    """Make the arrays of a difference layer, over what both images show.

    Parameters
    ----------
    first, second : Image

    Returns
    -------
    levels : list of DifferenceLevel
        Exact ones, the finest first; one of a single pixel where the images don't meet.
    pixel_um, corner_um : (2,) float64
        Of the finest level, µm.
    """
    a, b = Operand(first), Operand(second)
    fine = a if (a.pixel_um <= b.pixel_um).all() else b
    start = np.ceil((np.maximum(a.corner_um, b.corner_um) - fine.corner_um) / fine.pixel_um - 1e-6).astype(int)
    stop = np.floor((np.minimum(a.end_um, b.end_um) - fine.corner_um) / fine.pixel_um + 1e-6).astype(int)
    shape = np.maximum(stop - start, 1)
    corner_um = fine.corner_um + start * fine.pixel_um
    levels, pixel_um = [], fine.pixel_um
    while True:
        levels.append(DifferenceLevel(a, b, corner_um, pixel_um, (int(shape[0]), int(shape[1]))))
        if shape.max() <= _COARSEST_PX:
            return levels, fine.pixel_um, corner_um
        halved = -(-shape // 2)
        pixel_um = pixel_um * shape / halved
        shape = halved


def difference_layer(first: Image, second: Image) -> PreviewImage:
    """Make the layer that shows how much two images differ, in grey levels."""
    levels, pixel_um, corner_um = difference_levels(first, second)
    names = short_label(first), short_label(second)
    layer_name = f"Difference · {safe_name(names[0])} − {safe_name(names[1])} · grey levels"
    label = f"Difference · {names[0]} − {names[1]} · grey levels"
    layer = PreviewImage(
        levels,
        name=layer_name,
        scale=pixel_um,
        translate=corner_um + pixel_um / 2,
        units=first.units,
        colormap="inferno",
        contrast_limits=_LIMITS,
        interpolation2d="linear",
        metadata={NAME_KEY: layer_name, LABEL_KEY: label, "progressive_loader": False},
    )
    layer.contrast_limits_range = (0, 255)
    layer.colorbar.visible = True
    return layer
