"""One scan of a specimen: objective, sensor, and where the scan lies, made piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.optics import image_layers, margin_um
from napari_pathsrgan.imaging.sensor import develop
from napari_pathsrgan.phantom.slide_file import TILE_PX, whole_shape

if TYPE_CHECKING:
    from napari_pathsrgan.imaging.scanner import ScannerSettings
    from napari_pathsrgan.phantom.cells import Specimen
    from napari_pathsrgan.phantom.truth import Coordinates, ScanOffset
    from napari_pathsrgan.types import Pixels

Floats = npt.NDArray[np.float32]
_WINDOW_PX = 1536
"""Side of the piece of specimen made at once; with seven depths it takes about 0.3 GB."""

_HALO_PX = 8
"""Border that sharpening and the colour mosaic reach into."""

_OFFSET_STEP_PX = 64
"""Offsets are computed every so many pixels and interpolated between."""


class Scan:
    """One specimen under one objective and sensor.

    Parameters
    ----------
    specimen : Specimen
        What is scanned.
    magnification : int
        A key of `OBJECTIVES`.
    settings : ScannerSettings
        State of the scanner.
    offset : ScanOffset
        Where the scan shows the specimen.
    """

    def __init__(self, specimen: Specimen, magnification: int, settings: ScannerSettings, offset: ScanOffset) -> None:
        self._specimen = specimen
        self._magnification = magnification
        self._settings = settings
        self._offset = offset
        self.objective = OBJECTIVES[magnification]
        # Twice the scan's resolution, but no finer than a 20× scan, whose pixels carry all that cells are drawn with.
        self._pitch_um = max(self.objective.mpp / 2, OBJECTIVES[20].mpp)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scan."""
        height, width = self._specimen.size_um
        return whole_shape(int(np.ceil(height / self.objective.mpp)), int(np.ceil(width / self.objective.mpp)))

    def chunks(self) -> Iterator[tuple[int, int, int, int]]:
        """Row, column, height and width of the pieces that a scan is made of, row by row."""
        step = max(TILE_PX, int(_WINDOW_PX * self._pitch_um / self.objective.mpp) // TILE_PX * TILE_PX)
        rows, cols = self.shape
        for row in range(0, rows, step):
            for col in range(0, cols, step):
                yield row, col, min(step, rows - row), min(step, cols - col)

    def pixels(self, row: int, col: int, height: int, width: int) -> Pixels:
        """Image a piece.

        Parameters
        ----------
        row, col, height, width : int
            The piece, pixels of the scan. The noise follows from the corner: make it from `chunks` for the slide's own.

        Returns
        -------
        (height, width, 3) uint8
            RGB before compression.
        """
        halo = _HALO_PX
        rows, cols = self._specimen_map(row - halo, col - halo, height + 2 * halo, width + 2 * halo)
        margin = margin_um(self.objective, self._settings, 12.0) + 4 * self._pitch_um
        window = self._window(rows, cols, margin)
        layers = _merged(self._specimen.render_layers(*window, self._pitch_um), self.objective.depth_of_field_um / 2)
        if any(layer.any() for _, layer in layers):
            transmitted = [(depth, np.power(10.0, -density, dtype=np.float32)) for depth, density in layers]
            imaged = image_layers(transmitted, self._pitch_um, self.objective, self._settings)
            intensity = imaged.at(rows - window[0], cols - window[1])
        else:
            intensity = np.ones((*rows.shape, 3), np.float32)
        rng = np.random.default_rng([self._specimen.seed, 6, self._magnification, row, col])
        return develop(intensity, self._settings, rng)[halo:-halo, halo:-halo]

    def nucleus_mask(self, row: int, col: int, height: int, width: int) -> Pixels:
        """Classes of nuclei on the scan's pixels, as `Specimen.nucleus_mask`; (height, width) uint8."""
        rows, cols = self._specimen_map(row, col, height, width)
        window = self._window(rows, cols, 2 * self._pitch_um)
        mask = self._specimen.nucleus_mask(*window, self._pitch_um)
        positions = self._sheet_positions(rows, cols, window)
        return np.asarray(cv2.remap(mask, *positions, cv2.INTER_NEAREST), np.uint8)

    def _specimen_map(self, row: int, col: int, height: int, width: int) -> tuple[Coordinates, Coordinates]:
        """Where in the specimen each pixel's centre lies, µm."""
        axes = []
        for start, size in ((row, height), (col, width)):
            nodes = np.arange(start, start + size + _OFFSET_STEP_PX, _OFFSET_STEP_PX) + 0.5
            part = np.arange(size) / _OFFSET_STEP_PX
            axes.append((nodes * self.objective.mpp, part.astype(np.intp), part % 1))
        (node_rows, row_node, row_part), (node_cols, col_node, col_part) = axes
        maps = []
        for coarse in self._offset.specimen_um(node_rows[:, None], node_cols[None, :]):
            along = coarse[row_node] * (1 - row_part[:, None]) + coarse[row_node + 1] * row_part[:, None]
            maps.append(along[:, col_node] * (1 - col_part) + along[:, col_node + 1] * col_part)
        return maps[0], maps[1]

    def _window(self, rows_um: Coordinates, cols_um: Coordinates, margin_um: float) -> tuple[float, float, int, int]:
        """Window of the specimen on its own grid that holds all positions and a margin."""
        parts = []
        for positions in (rows_um, cols_um):
            first = int(np.floor((positions.min() - margin_um) / self._pitch_um))
            last = int(np.ceil((positions.max() + margin_um) / self._pitch_um))
            parts.append((first * self._pitch_um, last - first))
        (row_um, height), (col_um, width) = parts
        return row_um, col_um, height, width

    def _sheet_positions(
        self, rows_um: Coordinates, cols_um: Coordinates, window: tuple[float, float, int, int]
    ) -> tuple[Floats, Floats]:
        """Columns and rows of positions in a window's own pixels, as `cv2.remap` wants them."""
        row = np.asarray((rows_um - window[0]) / self._pitch_um - 0.5, np.float32)
        return np.asarray((cols_um - window[1]) / self._pitch_um - 0.5, np.float32), row


def _merged(layers: list[tuple[float, Floats]], step_um: float) -> list[tuple[float, Floats]]:
    """Lay planes together that the objective cannot tell apart: those nearest to the same multiple of a step."""
    merged: dict[int, Floats] = {}
    for depth, density in layers:
        key = round(depth / step_um)
        if key in merged:
            merged[key] += density
        else:
            merged[key] = density
    return [(key * step_um, density) for key, density in sorted(merged.items())]
