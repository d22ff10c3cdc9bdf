"""Seamless textures that cells, nuclei and mucus are cut from.

A texture is one periodic image kept at every drawing pitch, each coarser one the 2 × 2 mean of the finer, so that a
cell drawn for a 4× scan and the same cell drawn for a 20× scan differ by their resolution alone.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import fft

Floats = npt.NDArray[np.float32]

PITCHES_UM = (0.25, 0.5, 1.0)
"""Pixel sizes that cells are drawn at, µm; each is twice the one before. The finest is finer than the 0.36 µm that an
objective of NA 0.75 resolves in green light."""

_SIDE_PX = 512


def drawing_pitch(pitch_um: float) -> float:
    """Coarsest of `PITCHES_UM` that a window of `pitch_um` can be read from without losing detail.

    Parameters
    ----------
    pitch_um : float
        Pixel size of the window, µm.

    Returns
    -------
    float
        The drawing pitch, µm: at most `pitch_um`, or the finest there is.
    """
    return max((pitch for pitch in PITCHES_UM if pitch <= pitch_um), default=PITCHES_UM[0])


class Texture:
    """A periodic image of 128 µm a side.

    Parameters
    ----------
    finest : (512, 512) float32
        The image at the finest of `PITCHES_UM`.
    """

    def __init__(self, finest: Floats) -> None:
        levels = {PITCHES_UM[0]: finest}
        for coarser, finer in zip(PITCHES_UM[1:], PITCHES_UM[:-1], strict=True):
            levels[coarser] = _halved(levels[finer])
        # Repeated once, so that a piece from any place is a view.
        self._repeated = {pitch: np.tile(level, (2, 2)) for pitch, level in levels.items()}

    def crop(self, pitch_um: float, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        """Cut a piece from a random place.

        Parameters
        ----------
        pitch_um : float
            One of `PITCHES_UM`.
        rng : numpy.random.Generator
            Source of the place; the same state gives the same place at every pitch.
        shape : tuple of int
            Rows and columns wanted, at most 128 µm each.

        Returns
        -------
        ndarray of float32
            The piece, of the given shape; not to be written to.
        """
        coarsest = _SIDE_PX * PITCHES_UM[0] / PITCHES_UM[-1]
        row, col = rng.integers(int(coarsest), size=2) * round(PITCHES_UM[-1] / pitch_um)
        return self._repeated[pitch_um][row : row + shape[0], col : col + shape[1]]


def _halved(level: Floats) -> Floats:
    return np.asarray((level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2]) / 4, np.float32)


def band_noise(
    rng: np.random.Generator,
    side_px: int,
    pitch_um: float,
    shortest_um: float,
    longest_um: float,
    slope: float = 0.0,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> Floats:
    """Periodic Gaussian noise of a band of wavelengths.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    side_px : int
        Rows and columns.
    pitch_um : float
        Pixel size, µm.
    shortest_um, longest_um : float
        Wavelengths between which the amplitude is high, µm; it falls off softly beyond.
    slope : float
        Amplitude grows as wavelength to this power within the band.
    stretch : float
        How many times longer structures are along `angle` than across it.
    angle : float
        Direction of the stretch, radians from the column axis.

    Returns
    -------
    (side_px, side_px) float32
        Mean 0, standard deviation 1.
    """
    f_row = fft.fftfreq(side_px, pitch_um)[:, None]
    f_col = fft.rfftfreq(side_px, pitch_um)[None, :]
    along = (f_col * np.cos(angle) + f_row * np.sin(angle)) * stretch
    across = f_row * np.cos(angle) - f_col * np.sin(angle)
    frequency = np.hypot(along, across)
    frequency[0, 0] = 1e-9
    gain = np.exp(-((frequency * shortest_um) ** 4) / 2) * (1 - np.exp(-((frequency * longest_um) ** 4) / 2))
    spectrum = fft.rfft2(rng.standard_normal((side_px, side_px), dtype=np.float32)) * gain * frequency**-slope
    noise = fft.irfft2(spectrum, (side_px, side_px))
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def _noise(seed: int, shortest_um: float, longest_um: float, slope: float = 0.0) -> Floats:
    return band_noise(np.random.default_rng(seed), _SIDE_PX, PITCHES_UM[0], shortest_um, longest_um, slope)


@cache
def granular() -> Texture:
    """Fine grain of cytoplasm, 0.6–2.5 µm; mean 0, s.d. 1."""
    return Texture(_noise(1, 0.6, 2.5, 0.5))


@cache
def cloudy() -> Texture:
    """Uneven thickness of cytoplasm, 3–40 µm; mean 0, s.d. 1."""
    return Texture(_noise(2, 3.0, 40.0, 1.2))


@cache
def chromatin() -> Texture:
    """Chromatin: dark clumps of 0.5–1 µm between paler gaps; mean 0, s.d. 1, skewed towards dark clumps."""
    clumps = np.exp(0.55 * _noise(3, 0.8, 3.5, 0.9) + 0.35 * _noise(4, 1.8, 7.0, 0.8))
    return Texture(np.asarray((clumps - clumps.mean()) / clumps.std(), np.float32))


@cache
def creased() -> Texture:
    """Fine creases of a thin, dry cell: narrow lines, 0 between them and 1 on them."""
    lines = np.exp(-((_noise(5, 7.0, 30.0, 1.0) / 0.05) ** 2))
    return Texture(np.asarray(lines * np.clip(0.3 + _noise(6, 8.0, 40.0, 1.0), 0, 1), np.float32))


@cache
def crumpled() -> Texture:
    """Uneven sheet like crumpled paper: soft ridges of two sizes on a level ground; mean 0, s.d. 1."""
    large, small = np.abs(_noise(8, 6.0, 25.0, 1.0)), np.abs(_noise(9, 2.5, 10.0, 0.8))
    sheet = np.exp(-large / 0.35) + 0.6 * np.exp(-small / 0.3)
    return Texture(np.asarray((sheet - sheet.mean()) / sheet.std(), np.float32))


@cache
def drifting() -> Texture:
    """Slow change of tone across a cell, 25–90 µm; mean 0, s.d. 1."""
    return Texture(_noise(10, 25.0, 90.0, 1.0))


@cache
def blotchy() -> Texture:
    """Vacuoles and thin places of a wearing cytoplasm: 0 over most of the area, up to 1 within a place."""
    return Texture(np.asarray(np.clip(0.6 * _noise(7, 3.0, 16.0, 1.2) - 0.5, 0, 1), np.float32))
