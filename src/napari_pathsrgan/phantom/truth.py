"""What is known about a phantom slide: where each scan shows which point of the specimen, and how it was scanned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Coordinates = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Wave:
    """One slow undulation of a scan's offset.

    Attributes
    ----------
    amplitude_um : (row, col)
        Largest displacement along each axis, µm.
    frequency : (row, col)
        Cycles per µm.
    phase : float
        Radians.
    """

    amplitude_um: tuple[float, float]
    frequency: tuple[float, float]
    phase: float


@dataclass(frozen=True, slots=True)
class ScanOffset:
    """How a scan lies relative to the specimen: moved as a whole, and by a little more or less from place to place.

    Attributes
    ----------
    global_um : (row, col)
        Displacement of the whole scan, µm.
    waves : tuple of Wave
        What varies over the slide.
    """

    global_um: tuple[float, float]
    waves: tuple[Wave, ...]

    def at(self, row_um: Coordinates, col_um: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Offset of a point of the specimen: it shows in the scan at its own position plus this.

        Parameters
        ----------
        row_um, col_um : ndarray of float64
            Positions in the specimen, µm, of shapes that broadcast.

        Returns
        -------
        row_offset_um, col_offset_um : ndarray of float64
        """
        offsets = [np.full(np.broadcast_shapes(np.shape(row_um), np.shape(col_um)), start) for start in self.global_um]
        for wave in self.waves:
            turn = 2 * np.pi * (wave.frequency[0] * row_um + wave.frequency[1] * col_um) + wave.phase
            swing = np.sin(turn)
            offsets[0] += wave.amplitude_um[0] * swing
            offsets[1] += wave.amplitude_um[1] * swing
        return offsets[0], offsets[1]

    def specimen_um(self, row_um: Coordinates, col_um: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Find the point of the specimen that a scan shows somewhere: the inverse of `at`, to 1e-6 µm.

        Parameters
        ----------
        row_um, col_um : ndarray of float64
            Positions in the scan, µm, of shapes that broadcast.

        Returns
        -------
        row_um, col_um : ndarray of float64
            Positions in the specimen.
        """
        row, col = row_um - self.global_um[0], col_um - self.global_um[1]
        # Each step shrinks the error by the offset's gradient, which is below 0.03.
        for _ in range(5):
            row_offset, col_offset = self.at(row, col)
            row, col = row_um - row_offset, col_um - col_offset
        return row, col


def random_offset(rng: np.random.Generator, size_um: tuple[float, float], max_global_um: float) -> ScanOffset:
    """Draw how a scan lies.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    size_um : (height, width)
        Size of the slide, µm.
    max_global_um : float
        Bound of the displacement of the whole scan along each axis, µm.

    Returns
    -------
    ScanOffset
        Three waves of 0.3–1.2 cycles over the slide, together a few µm; less on a slide below 2 mm, so that nothing is
        stretched by more than about 1 %.
    """
    start = rng.uniform(-max_global_um, max_global_um, 2)
    side = max(size_um)
    waves = []
    for _ in range(3):
        amplitude = rng.uniform(-1, 1, 2) * min(1.5, 7e-4 * side)
        angle, cycles = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.2)
        frequency = cycles / side * np.array([np.sin(angle), np.cos(angle)])
        waves.append(Wave(_pair(amplitude), _pair(frequency), float(rng.uniform(0, 2 * np.pi))))
    return ScanOffset(_pair(start), tuple(waves))


def _pair(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


@dataclass(frozen=True, slots=True)
class PhantomTruth:
    """The truth about the scans of one specimen, as `truth.json` holds it.

    Attributes
    ----------
    seed : int
        Seed of the specimen and its scans.
    size_um : (height, width)
        Area with cells, µm.
    background_share : float
        Share of the area without cells.
    cell_count : int
        Cells with a nucleus, as listed in `cells.csv`.
    offsets : mapping of int to ScanOffset
        By magnification.
    settings : mapping of int to dict
        `ScannerSettings` as plain values, by magnification.
    """

    seed: int
    size_um: tuple[float, float]
    background_share: float
    cell_count: int
    offsets: Mapping[int, ScanOffset]
    settings: Mapping[int, dict[str, Any]]

    def offset_um(
        self, row_um: Coordinates | float, col_um: Coordinates | float, magnification: int
    ) -> tuple[Coordinates, Coordinates]:
        """Offset of a scan at points of the specimen, as `ScanOffset.at`; KeyError for a scan that was not made."""
        return self.offsets[magnification].at(np.asarray(row_um, np.float64), np.asarray(col_um, np.float64))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> PhantomTruth:
        """Read what `save` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        offsets = {
            int(magnification): ScanOffset(
                _as_pair(offset["global_um"]),
                tuple(
                    Wave(_as_pair(wave["amplitude_um"]), _as_pair(wave["frequency"]), wave["phase"])
                    for wave in offset["waves"]
                ),
            )
            for magnification, offset in values["offsets"].items()
        }
        settings = {int(magnification): drawn for magnification, drawn in values["settings"].items()}
        return cls(
            values["seed"],
            _as_pair(values["size_um"]),
            values["background_share"],
            values["cell_count"],
            offsets,
            settings,
        )


def _as_pair(values: list[float]) -> tuple[float, float]:
    return values[0], values[1]
