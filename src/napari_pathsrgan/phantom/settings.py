"""Objectives and scanners: what they are, and how they are drawn so that a network meets more than one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

WAVELENGTHS_UM = (0.61, 0.54, 0.47)
"""Centre wavelengths of the red, green and blue channel of a usual colour sensor, µm."""


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective and the pixel size it is scanned with.

    Attributes
    ----------
    magnification : float
        Nominal magnification.
    na : float
        Numerical aperture.
    mpp : float
        Pixel size in the specimen, µm (Ma et al. 2020, Table I).
    """

    magnification: float
    na: float
    mpp: float

    @property
    def depth_of_field_um(self) -> float:
        """Diffraction-limited depth of field λ/NA² in green, µm."""
        return WAVELENGTHS_UM[1] / self.na**2


OBJECTIVES = {
    4: Objective(4, 0.10, 1.465),
    10: Objective(10, 0.25, 0.586),
    20: Objective(20, 0.75, 0.293),
}
"""The three scans of the paper (Ma et al. 2020, § IV-A)."""


@dataclass(frozen=True, slots=True)
class ColourResponse:
    """How a scanner renders the colour of the light that passed the specimen.

    Attributes
    ----------
    white : tuple of float
        RGB of empty glass, 0 to 1.
    gamma : float
        Exponent on transmittance; above 1 the picture is darker and of more contrast.
    """

    white: tuple[float, float, float] = (0.96, 0.96, 0.96)
    gamma: float = 1.0


@dataclass(frozen=True, slots=True)
class ScannerSettings:
    """One scanner's state during one scan.

    Attributes
    ----------
    na_scale : float
        Effective over nominal aperture; below 1 for a dirty or aberrated objective.
    defocus_um : float
        Distance of the focal plane above the specimen's plane 0, µm.
    channel_defocus_um : tuple of float
        Extra defocus of R, G and B (axial colour), µm.
    channel_shift_px : tuple of (row, col)
        Displacement of R, G and B (lateral colour), pixels of the scan.
    colour : ColourResponse
        Illumination tint and gamma.
    flare : float
        Stray light as a share of the white level; lowers the contrast.
    mosaic : bool
        Whether the colours come from a Bayer mosaic.
    full_well : float
        Electrons at white; its root gives the photon noise. Infinity for none.
    read_noise : float
        Standard deviation of the read noise, grey levels of 255.
    sharpen_amount, sharpen_radius_px : float
        Unsharp mask of the scanner's firmware.
    jpeg_quality : int
        1 to 100, or 0 for a lossless file.
    jpeg_subsampling : {"444", "420"}
        Resolution of the colour difference in the JPEG.
    """

    na_scale: float = 1.0
    defocus_um: float = 0.0
    channel_defocus_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channel_shift_px: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    colour: ColourResponse = field(default_factory=ColourResponse)
    flare: float = 0.0
    mosaic: bool = False
    full_well: float = float("inf")
    read_noise: float = 0.0
    sharpen_amount: float = 0.0
    sharpen_radius_px: float = 1.0
    jpeg_quality: int = 0
    jpeg_subsampling: Literal["444", "420"] = "444"


CLEAN = ScannerSettings()
"""A perfect objective in focus, a noiseless sensor and a lossless file."""


def draw_colour(rng: np.random.Generator) -> ColourResponse:
    """Draw an illumination and a contrast within what stained slides are seen to have (ours; shared/DATA ranges).

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    ColourResponse
        White level 0.80–1.0 with up to 12 % difference between channels, gamma 0.85–1.2.
    """
    level = rng.uniform(0.86, 1.0)
    tint = rng.uniform(0.93, 1.0, 3)
    white = level * tint / tint.max()
    return ColourResponse((float(white[0]), float(white[1]), float(white[2])), float(rng.uniform(0.85, 1.2)))


def draw_settings(
    rng: np.random.Generator, objective: Objective, colour: ColourResponse | None = None
) -> ScannerSettings:
    """Draw a scanner: aberration, noise, sharpening and JPEG in the ranges that real 4× scans show.

    Defocus and axial colour are drawn as shares of the objective's depth of field, so one range serves all.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    objective : Objective
        The objective the settings are for.
    colour : ColourResponse, optional
        Keep this colour instead of drawing one: input and target of a pair share it.

    Returns
    -------
    ScannerSettings
        Aperture 85–108 %, defocus up to 0.6 and axial colour up to 0.3 depths of field, lateral colour of s.d. 0.3 px
        up to 1 px, JPEG quality 30–95.
    """
    depth = objective.depth_of_field_um
    shift = np.clip(rng.normal(0, 0.3, (3, 2)) * rng.uniform(0, 1.2), -1, 1)
    shift[1] = 0.0  # green is the reference that registration and focus go by
    sharpened = rng.random() < 0.45
    axial = rng.uniform(-0.3, 0.3, 3) * depth
    return ScannerSettings(
        na_scale=float(rng.uniform(0.85, 1.08)),
        defocus_um=float(rng.uniform(-0.6, 0.6) * depth),
        channel_defocus_um=(float(axial[0]), 0.0, float(axial[2])),
        channel_shift_px=tuple((float(row), float(col)) for row, col in shift),
        colour=colour or draw_colour(rng),
        flare=float(rng.uniform(0.0, 0.05)),
        mosaic=bool(rng.random() < 0.5),
        full_well=float(np.exp(rng.uniform(np.log(4_000), np.log(60_000)))),
        read_noise=float(rng.uniform(0.1, 1.2)),
        sharpen_amount=float(rng.uniform(0.2, 1.2)) if sharpened else 0.0,
        sharpen_radius_px=float(rng.uniform(0.6, 1.4)),
        jpeg_quality=int(rng.integers(30, 96)),
        jpeg_subsampling="420" if rng.random() < 0.6 else "444",
    )
