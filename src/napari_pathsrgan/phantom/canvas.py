"""The small sheet that one cell is drawn on, and its reading at any position.

A `Canvas` is centred on its cell and knows µm only; a `Sprite` is the finished drawing. Because a sprite lies where its
cell lies, not on any window's grid, two windows that overlap read the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.phantom.texture import PITCHES_UM

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

_SUBPIXEL_BITS = 8

_FILL_GROWTH_PX = 0.65
"""How far OpenCV's antialiased filling reaches beyond the outline, measured on discs of 5–40 px radius."""

_LINE_WIDTHS_PX = {1: 1.35, 2: 3.4, 3: 5.45, 6: 7.75}
"""How wide OpenCV's antialiased lines of a nominal thickness come out, measured as ink per length."""


class Canvas:
    """A square grid centred on a cell.

    Parameters
    ----------
    reach_um : float
        Half the side at least, µm.
    pitch_um : float
        Pixel size, one of `PITCHES_UM`.

    Attributes
    ----------
    side_px : int
        Rows and columns; chosen so that grids of all pitches cover the same square.
    rows_um, cols_um : (side_px, 1) and (1, side_px) float32
        Positions of pixel centres relative to the cell's centre, µm.
    """

    def __init__(self, reach_um: float, pitch_um: float) -> None:
        coarsest = int(np.ceil(reach_um / PITCHES_UM[-1])) + 1
        self.pitch_um = pitch_um
        self.side_px = 2 * coarsest * round(PITCHES_UM[-1] / pitch_um)
        axis = ((np.arange(self.side_px) - (self.side_px - 1) / 2) * pitch_um).astype(np.float32)
        self.rows_um, self.cols_um = axis[:, None], axis[None, :]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.side_px, self.side_px

    def distance_um(self, row_um: float, col_um: float) -> Floats:
        """Distance of every pixel from a point, µm."""
        return np.asarray(np.sqrt((self.rows_um - row_um) ** 2 + (self.cols_um - col_um) ** 2))

    def fill(self, outline: Points) -> Floats:
        """Share of each pixel within a closed outline, (side_px, side_px) float32, 0 to 1."""
        sheet = np.zeros(self.shape, np.uint8)
        shrunk = _shrunk(outline, _FILL_GROWTH_PX * self.pitch_um)
        cv2.fillPoly(sheet, [self._fixed_point(shrunk)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        return sheet.astype(np.float32) * np.float32(1 / 255)

    def stroke(self, path: Points, width_um: float) -> Floats:
        """Line of a given width along a path, (side_px, side_px) float32, 0 to 1."""
        wanted = width_um / self.pitch_um
        thickness = next((number for number, width in _LINE_WIDTHS_PX.items() if width >= wanted), max(_LINE_WIDTHS_PX))
        ink = min(1.0, wanted / _LINE_WIDTHS_PX[thickness])
        sheet = np.zeros(self.shape, np.uint8)
        cv2.polylines(sheet, [self._fixed_point(path)], False, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
        return sheet.astype(np.float32) * np.float32(ink / 255)

    def dots(self, centres: Points, radii_um: npt.NDArray[np.float64]) -> Floats:
        """Small discs, (side_px, side_px) float32, 0 to 1.

        Parameters
        ----------
        centres : (N, 2) float64
            Rows and columns relative to the cell's centre, µm; those beyond the sheet are left out.
        radii_um : (N,) float64
            Radii, µm.
        """
        sheet = np.zeros(self.shape, np.float32)
        for centre, radius_um in zip(centres / self.pitch_um + (self.side_px - 1) / 2, radii_um, strict=True):
            # A disc smaller than a pixel is drawn as a pixel of less ink.
            radius = max(radius_um / self.pitch_um, 0.5)
            reach = int(radius) + 2
            row, col = (int(place) for place in np.rint(centre))
            if min(row, col) < reach or max(row, col) >= self.side_px - reach:
                continue
            part = sheet[row - reach : row + reach + 1, col - reach : col + reach + 1]
            axis = np.arange(-reach, reach + 1)
            distance = np.hypot(axis[:, None] + row - centre[0], axis[None, :] + col - centre[1])
            ink = (radius_um / self.pitch_um / radius) ** 2
            np.maximum(part, ink * np.clip(radius + 0.5 - distance, 0, 1), out=part)
        return sheet

    def depth_within(self, coverage: Floats) -> Floats:
        """Distance of every covered pixel from the nearest uncovered one, µm; 0 outside."""
        inside = (coverage > 0.5).astype(np.uint8)
        return cv2.distanceTransform(inside, cv2.DIST_L2, 3) * np.float32(self.pitch_um)

    def soften(self, sheet: Floats, sigma_um: float) -> Floats:
        """Blur by a Gaussian of `sigma_um`."""
        sigma = sigma_um / self.pitch_um
        if sigma < 0.2:
            return sheet
        if sigma < 4:
            return np.asarray(cv2.GaussianBlur(sheet, (0, 0), sigma), np.float32)
        # A wide blur needs no fine grid; every side is a multiple of 4 at the pitches where this happens.
        small = cv2.resize(sheet, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
        return np.asarray(cv2.resize(small, self.shape, interpolation=cv2.INTER_LINEAR), np.float32)

    def _fixed_point(self, points: Points) -> npt.NDArray[np.int32]:
        pixels = points / self.pitch_um + (self.side_px - 1) / 2
        return np.rint(pixels[:, ::-1] * (1 << _SUBPIXEL_BITS)).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawing of one object.

    Attributes
    ----------
    density : (3, S, S) float32
        Optical density in R, G, B.
    nucleus : (S, S) float32 or None
        Share of each pixel within the nucleus.
    pitch_um : float
        Pixel size, µm.
    """

    density: Floats
    nucleus: Floats | None
    pitch_um: float

    @classmethod
    def stained(
        cls, amounts: Sequence[Floats], colours: Sequence[Floats], nucleus: Floats | None, pitch_um: float
    ) -> Self:
        """Mix stains.

        Parameters
        ----------
        amounts : sequence of (S, S) float32
            Amount of each stain: mean optical density over R, G and B.
        colours : sequence of (3,) float32
            Optical density of each stain in R, G, B per unit amount.
        nucleus, pitch_um
            As the attributes.
        """
        density = np.zeros((3, *amounts[0].shape), np.float32)
        for amount, colour in zip(amounts, colours, strict=True):
            density += amount * colour[:, None, None]
        return cls(density, nucleus, pitch_um)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.density.nbytes + (0 if self.nucleus is None else self.nucleus.nbytes)

    def add_to(
        self, density: Floats, corner_um: tuple[float, float], pitch_um: float, centre_um: Sequence[float]
    ) -> None:
        """Add the drawing's optical density to a window.

        Parameters
        ----------
        density : (3, H, W) float32
            The window; changed in place.
        corner_um : (row, col)
            Upper-left corner of the window, µm.
        pitch_um : float
            Pixel size of the window, µm.
        centre_um : (row, col)
            Where the drawing's centre lies, µm.
        """
        read = self._read(self.density, density.shape[1:], corner_um, pitch_um, centre_um)
        if read is not None:
            rows, cols, added = read
            density[:, rows, cols] += added

    def nucleus_in(
        self, shape: tuple[int, int], corner_um: tuple[float, float], pitch_um: float, centre_um: Sequence[float]
    ) -> tuple[slice, slice, npt.NDArray[np.bool_]] | None:
        """Pixels of a window whose centre lies in the nucleus.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the window.
        corner_um, pitch_um, centre_um
            As in `add_to`.

        Returns
        -------
        tuple or None
            Row slice, column slice and the mask within them; None where the window shows nothing of it.
        """
        if self.nucleus is None:
            return None
        read = self._read(self.nucleus[None], shape, corner_um, pitch_um, centre_um)
        return None if read is None else (read[0], read[1], read[2][0] > 0.5)

    def _read(
        self,
        planes: Floats,
        shape: tuple[int, ...],
        corner_um: tuple[float, float],
        pitch_um: float,
        centre_um: Sequence[float],
    ) -> tuple[slice, slice, Floats] | None:
        side = planes.shape[1]
        axes = []
        for axis in range(2):
            first = centre_um[axis] - (side - 1) / 2 * self.pitch_um
            start = max(0, int(np.floor((first - corner_um[axis]) / pitch_um)) - 1)
            stop = min(shape[axis], int(np.ceil((first + side * self.pitch_um - corner_um[axis]) / pitch_um)) + 1)
            if stop <= start:
                return None
            position = (corner_um[axis] + (np.arange(start, stop) + 0.5) * pitch_um - first) / self.pitch_um
            inside = np.flatnonzero((position >= 0) & (position < side - 1))
            if inside.size == 0:
                return None
            position = position[inside]
            whole = position.astype(np.intp)
            axes.append((slice(start + int(inside[0]), start + int(inside[-1]) + 1), whole, position - whole))
        (rows, row, row_part), (cols, col, col_part) = axes
        # Only the columns that the window shows are gathered before the rows are mixed.
        left, right = int(col[0]), int(col[-1]) + 2
        weight = row_part.astype(np.float32)[:, None]
        band = planes[:, :, left:right]
        mixed, lower = band[:, row], band[:, row + 1]
        lower -= mixed
        lower *= weight
        mixed += lower
        near, far = np.take(mixed, col - left, axis=2), np.take(mixed, col - left + 1, axis=2)
        far -= near
        far *= col_part.astype(np.float32)
        near += far
        return rows, cols, near


def _shrunk(outline: Points, distance: float) -> Points:
    """Move every point of a closed outline inwards."""
    tangent = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    length = np.hypot(tangent[:, 0], tangent[:, 1])[:, None]
    following = np.roll(outline, -1, axis=0)
    area = (outline[:, 1] * following[:, 0] - outline[:, 0] * following[:, 1]).sum()
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.maximum(length, 1e-9)
    return np.asarray(outline + np.sign(area) * distance * normal)
