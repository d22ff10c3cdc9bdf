"""Mucus and precipitate between the cells: threads along the smear, a tinted haze, fine dirt.

They have no single outline to draw, so they are textures read at any position and weighted by a slow field.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.phantom.population import Population, SlowField
from napari_pathsrgan.phantom.texture import band_noise

if TYPE_CHECKING:
    from napari_pathsrgan.phantom.stains import Palette

Floats = npt.NDArray[np.float32]
Coordinates = npt.NDArray[np.floating[Any]]

_SIDE_PX = 1024
_PITCH_UM = 0.5
_HAZE_PITCH_UM = 4.0
_LATTICE_UM = 32.0


@dataclass(frozen=True, slots=True)
class _Stain:
    """Periodic sheets of one colour by their pixel size, µm."""

    sheets: dict[float, Floats]
    colour: Floats


class Mucus:
    """What lies between the cells of one specimen.

    Parameters
    ----------
    seed : int
        The specimen's seed.
    size_um : (height, width)
        There is none beyond, µm.
    population : Population
        Where there are cells there may be mucus; background stays empty.
    palette : Palette
        The specimen's stain.
    """

    def __init__(self, seed: int, size_um: tuple[float, float], population: Population, palette: Palette) -> None:
        self._size_um = size_um
        self._population = population
        self._palette = palette
        self._rng = np.random.default_rng([seed, 4])
        self._field = SlowField(self._rng, (300.0, 2000.0))
        self._share = self._rng.uniform(0.1, 0.6)

    @cached_property
    def _stains(self) -> tuple[_Stain, _Stain]:
        """Threads and dirt, and haze: drawn when the first window with mucus is asked for."""
        rng, flow = self._rng, self._population.flow
        field = band_noise(rng, _SIDE_PX, _PITCH_UM, 8.0, 80.0, 1.0, 10.0, flow)
        steepness = np.hypot(*np.gradient(field, _PITCH_UM))
        # Distance from the nearest zero of the field: threads of one width, however steep it is there.
        distance = np.abs(field) / np.maximum(steepness, 0.5 * steepness.mean())
        strength = band_noise(rng, _SIDE_PX, _PITCH_UM, 25.0, 200.0, 1.0, 4.0, flow)
        lines = np.exp(-((distance / 0.7) ** 2)) * np.clip(strength - 0.2, 0, 1.5)
        dirt = np.clip(band_noise(rng, _SIDE_PX, _PITCH_UM, 1.2, 4.0) - 1.9, 0, 2)
        dirt *= np.clip(band_noise(rng, _SIDE_PX, _PITCH_UM, 10.0, 60.0, 1.0), 0, 2)
        dark = np.asarray(rng.uniform(0.01, 0.07) * lines + rng.uniform(0.05, 0.30) * dirt, np.float32)
        halved = np.asarray((dark[::2, ::2] + dark[1::2, ::2] + dark[::2, 1::2] + dark[1::2, 1::2]) / 4, np.float32)
        tint = rng.uniform(0.005, 0.07) if rng.random() < 0.4 else 0.005
        haze = tint * np.clip(0.5 + 0.5 * band_noise(rng, 256, _HAZE_PITCH_UM, 12.0, 150.0, 1.2, 3.0, flow), 0, 2)
        dark_colour = 0.5 * self._palette.chromatin(rng) + 0.5 * self._palette.cool
        haze_colour = self._palette.cytoplasm(rng.uniform(0, 0.3), rng)
        return (
            _Stain({_PITCH_UM: dark, 2 * _PITCH_UM: halved}, dark_colour),
            _Stain({_HAZE_PITCH_UM: np.asarray(haze, np.float32)}, haze_colour),
        )

    def add_to(self, density: Floats | None, window: tuple[float, float, int, int], pitch_um: float) -> Floats | None:
        """Add mucus to a plane of a window.

        Parameters
        ----------
        density : (3, H, W) float32 or None
            The plane, changed in place; None where nothing lies in it yet.
        window : (row_um, col_um, height_px, width_px)
            The window.
        pitch_um : float
            Its pixel size, µm.

        Returns
        -------
        (3, H, W) float32 or None
            The plane; None where there was none and no mucus either.
        """
        row_um, col_um, height, width = window
        rows = row_um + (np.arange(height) + 0.5) * pitch_um
        cols = col_um + (np.arange(width) + 0.5) * pitch_um
        weight = self._weight(rows, cols)
        if weight is None:
            return density
        if density is None:
            density = np.zeros((3, height, width), np.float32)
        for stain in self._stains:
            sheet_pitch = max((pitch for pitch in stain.sheets if pitch <= pitch_um), default=min(stain.sheets))
            # Half a pixel, so that both pitches show the same place.
            amount = _read(stain.sheets[sheet_pitch], rows / sheet_pitch - 0.5, cols / sheet_pitch - 0.5) * weight
            for channel in range(3):
                density[channel] += amount * stain.colour[channel]
        return density

    def _weight(self, rows_um: Coordinates, cols_um: Coordinates) -> Floats | None:
        """How much mucus lies where, 0 to 1: from a lattice over the plane, bilinear between its points."""
        nodes = [np.arange(np.floor(axis[0] / _LATTICE_UM), np.floor(axis[-1] / _LATTICE_UM) + 2)
                 for axis in (rows_um, cols_um)]  # fmt: skip
        row, col = np.meshgrid(nodes[0] * _LATTICE_UM, nodes[1] * _LATTICE_UM, indexing="ij")
        mucus = np.clip((self._field.at(row, col) - (1 - self._share)) / 0.25, 0, 1)
        within = (row >= 0) & (row <= self._size_um[0]) & (col >= 0) & (col <= self._size_um[1])
        coarse = (mucus * within * np.clip(3 * self._population.density(row, col), 0, 1)).astype(np.float32)
        if not coarse.any():
            return None
        return _read(coarse, rows_um / _LATTICE_UM - nodes[0][0], cols_um / _LATTICE_UM - nodes[1][0])


def _read(sheet: Floats, row: Coordinates, col: Coordinates) -> Floats:
    """Read a sheet, repeated without end, at the crossings of rows and columns given in its pixels; bilinear."""
    height, width = sheet.shape
    whole_row, whole_col = np.floor(row).astype(np.intp), np.floor(col).astype(np.intp)
    row_part = (row - whole_row).astype(np.float32)[:, None]
    col_part = (col - whole_col).astype(np.float32)
    # Columns first: the sheet is coarser than the window, so it has fewer rows to gather from.
    used = np.arange(whole_row[0], whole_row[-1] + 2) % height
    near = np.take(sheet[used], whole_col % width, axis=1)
    far = np.take(sheet[used], (whole_col + 1) % width, axis=1)
    mixed = near + (far - near) * col_part
    upper, lower = mixed[whole_row - whole_row[0]], mixed[whole_row - whole_row[0] + 1]
    lower -= upper
    lower *= row_part
    upper += lower
    return np.asarray(upper, np.float32)
