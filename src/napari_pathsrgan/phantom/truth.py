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
class Turn:
    """How a slide was put in: turned, mirrored and scaled about a point of the specimen.

    Attributes
    ----------
    centre_um : (row, col)
    matrix : ((float, float), (float, float))
        Of (row, col) relative to the centre: a rotation, mirrored or not, times a scale.
    """

    centre_um: tuple[float, float] = (0.0, 0.0)
    matrix: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))

    @classmethod
    def of(cls, centre_um: tuple[float, float], angle_deg: float, scale: float = 1.0, mirrored: bool = False) -> Turn:
        """Turn by an angle, counter-clockwise as displayed, after mirroring left and right."""
        cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
        turned = scale * np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([1.0, -1.0 if mirrored else 1.0])
        (first, second), (third, fourth) = turned.tolist()
        return cls(centre_um, ((first, second), (third, fourth)))

    def apply(self, row_um: Coordinates, col_um: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Turn points."""
        return self._apply(np.asarray(self.matrix), row_um, col_um)

    def undo(self, row_um: Coordinates, col_um: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Turn points back."""
        return self._apply(np.linalg.inv(np.asarray(self.matrix)), row_um, col_um)

    def _apply(
        self, matrix: npt.NDArray[np.float64], row_um: Coordinates, col_um: Coordinates
    ) -> tuple[Coordinates, Coordinates]:
        row, col = row_um - self.centre_um[0], col_um - self.centre_um[1]
        rows, cols = (part[0] * row + part[1] * col for part in matrix)
        return rows + self.centre_um[0], cols + self.centre_um[1]


@dataclass(frozen=True, slots=True)
class ScanOffset:
    """How a scan lies relative to the specimen: moved as a whole, and by a little more or less from place to place.

    Attributes
    ----------
    global_um : (row, col)
        Displacement of the whole scan, µm.
    waves : tuple of Wave
        What varies over the slide.
    turn : Turn
        How the slide was put in, before it was moved.
    """

    global_um: tuple[float, float]
    waves: tuple[Wave, ...]
    turn: Turn = Turn()

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
        moved = self._moved(row_um, col_um)
        turned = self.turn.apply(row_um, col_um)
        return turned[0] - row_um + moved[0], turned[1] - col_um + moved[1]

    def _moved(self, row_um: Coordinates, col_um: Coordinates) -> tuple[Coordinates, Coordinates]:
        offsets = [np.full(np.broadcast_shapes(np.shape(row_um), np.shape(col_um)), start) for start in self.global_um]
        for wave in self.waves:
            phase = 2 * np.pi * (wave.frequency[0] * row_um + wave.frequency[1] * col_um) + wave.phase
            swing = np.sin(phase)
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
        row, col = self.turn.undo(row_um - self.global_um[0], col_um - self.global_um[1])
        # Each step shrinks the error by the offset's gradient, which is below 0.03.
        for _ in range(5):
            row_moved, col_moved = self._moved(row, col)
            row, col = self.turn.undo(row_um - row_moved, col_um - col_moved)
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
                Turn(_as_pair(offset["turn"]["centre_um"]), _as_matrix(offset["turn"]["matrix"])),
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


def _as_matrix(rows: list[list[float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    return _as_pair(rows[0]), _as_pair(rows[1])
