"""Scanners: the state of one during one scan, and how scanners are randomised so that a network meets many."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from napari_pathsrgan.imaging.objective import OBJECTIVES, Objective
from napari_pathsrgan.imaging.tone import CameraResponse

Subsampling = Literal["444", "422", "420"]

_SUBSAMPLINGS: tuple[Subsampling, ...] = ("444", "422", "420")


@dataclass(frozen=True, slots=True)
class ScannerSettings:
    """One scanner's state during one scan, in the order in which light and pixels pass it.

    Attributes
    ----------
    na_scale : float
        Effective over nominal aperture; below 1 for a dirty, stopped-down or aberrated objective.
    defocus_um : float
        Distance of the focal plane above the specimen's plane 0, µm.
    channel_defocus_um : tuple of float
        Extra defocus of R, G and B (axial colour), µm.
    channel_shift_px : tuple of (row, col)
        Displacement of R, G and B (lateral colour), pixels of the scan.
    camera : CameraResponse
        Tone curve, background colour, contrast and stray light.
    mosaic : bool
        Whether the colours come from a Bayer mosaic.
    full_well : float
        Electrons at white; its root gives the shot noise. Infinity for none.
    read_noise : float
        Standard deviation of the read noise, in 255ths of white intensity.
    sharpen_amount, sharpen_radius_px : float
        Unsharp mask of the scanner's firmware, on encoded values.
    jpeg_quality : int
        1 to 100, or 0 for a lossless file.
    jpeg_subsampling : {"444", "422", "420"}
        Resolution of the colour difference in the JPEG.
    jpeg_phase_px : tuple of int
        Row and column, 0 to 7, of the first block's corner left of and above the image's own corner.
    """

    na_scale: float = 1.0
    defocus_um: float = 0.0
    channel_defocus_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channel_shift_px: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    camera: CameraResponse = field(default_factory=CameraResponse)
    mosaic: bool = False
    full_well: float = float("inf")
    read_noise: float = 0.0
    sharpen_amount: float = 0.0
    sharpen_radius_px: float = 1.0
    jpeg_quality: int = 0
    jpeg_subsampling: Subsampling = "444"
    jpeg_phase_px: tuple[int, int] = (0, 0)


CLEAN = ScannerSettings()
"""A perfect objective in focus, a noiseless sensor, the usual tone curve and a lossless file: for comparison."""

PURE = ScannerSettings(camera=CameraResponse(white=(1.0, 1.0, 1.0)))
"""As `CLEAN`, with a white background."""


Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ScannerRanges:
    """The ranges that a randomised scanner is drawn from, each uniform between its ends unless stated.

    Attributes
    ----------
    na_scale : (low, high)
        Effective over nominal aperture.
    defocus, axial_colour : float
        Largest defocus, and largest extra defocus of red and blue, depths of field of the objective.
    lateral_colour_px : float
        Largest scale of the displacement of red and blue (normal, 0.3 px s.d. times this, 1 px at most).
    share_density : float
        Share of tone curves that are optical density.
    gamma, contrast : (low, high)
        Tone curve and contrast of the others.
    white, tint : (low, high)
        Background, and each channel of it over the brightest one.
    stray_light : (low, high)
        Share of the background's intensity; negative values count as none.
    share_noisy, share_sharpened, share_lossless, share_mosaic : float
        Share of scanners with noise, an unsharp mask, a lossless file, a Bayer mosaic.
    full_well : (low, high)
        Electrons, uniform in the logarithm.
    read_noise : (low, high)
        255ths of white intensity.
    sharpen_amount, sharpen_radius_px : (low, high)
    jpeg_quality : (low, high)
        Whole numbers, both ends included.
    jpeg_subsamplings : (float, float, float)
        Shares of 4:4:4, 4:2:2 and 4:2:0.
    jpeg_phases : int
        1 for blocks that begin in the image's corner, 8 for blocks that begin anywhere.
    """

    na_scale: Interval = (0.55, 1.10)
    defocus: float = 0.6
    axial_colour: float = 0.3
    lateral_colour_px: float = 1.2
    share_density: float = 0.12
    gamma: Interval = (1.0, 2.6)
    contrast: Interval = (0.85, 1.15)
    white: Interval = (0.84, 1.0)
    tint: Interval = (0.90, 1.0)
    stray_light: Interval = (-0.02, 0.04)
    share_noisy: float = 0.9
    share_sharpened: float = 0.5
    share_lossless: float = 0.08
    share_mosaic: float = 0.5
    full_well: Interval = (3_000.0, 100_000.0)
    read_noise: Interval = (0.0, 0.8)
    sharpen_amount: Interval = (0.1, 1.5)
    sharpen_radius_px: Interval = (0.6, 1.6)
    jpeg_quality: tuple[int, int] = (30, 98)
    jpeg_subsamplings: tuple[float, float, float] = (0.35, 0.2, 0.45)
    jpeg_phases: int = 8


WIDE = ScannerRanges()
"""As wide as real 4× scans show. Every fault is absent from some scanners: a network must meet good ones as well."""

WELL_KEPT = ScannerRanges(
    na_scale=(0.8, 1.0),
    defocus=0.2,
    axial_colour=0.1,
    lateral_colour_px=0.4,
    share_density=0.0,
    gamma=(1.8, 2.2),
    contrast=(0.95, 1.1),
    white=(0.92, 0.99),
    tint=(0.97, 1.0),
    stray_light=(0.0, 0.015),
    share_lossless=0.0,
    full_well=(15_000.0, 100_000.0),
    read_noise=(0.0, 0.6),
    sharpen_amount=(0.1, 0.5),
    jpeg_quality=(80, 92),
    jpeg_subsamplings=(0.0, 0.0, 1.0),
    jpeg_phases=1,
)
"""Well-kept scanners: a phantom is to show what is there, not what a scanner spoils."""


def random_camera(rng: np.random.Generator, ranges: ScannerRanges = WIDE) -> CameraResponse:
    """Draw a camera: tone curve, background, contrast and stray light.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    ranges : ScannerRanges

    Returns
    -------
    CameraResponse
    """
    level = rng.uniform(*ranges.white)
    tint = rng.uniform(*ranges.tint, 3)
    white = level * tint / tint.max()
    gamma = 0.0 if rng.random() < ranges.share_density else float(rng.uniform(*ranges.gamma))
    return CameraResponse(
        gamma=gamma,
        white=(float(white[0]), float(white[1]), float(white[2])),
        contrast=float(rng.uniform(*ranges.contrast)),
        stray_light=float(max(0.0, rng.uniform(*ranges.stray_light))),
    )


def random_settings(
    rng: np.random.Generator,
    objective: Objective,
    camera: CameraResponse | None = None,
    ranges: ScannerRanges = WIDE,
) -> ScannerSettings:
    """Draw a scanner: optics, sensor, sharpening and JPEG.

    Defocus and axial colour are drawn as shares of the objective's depth of field, so one range serves all objectives.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    objective : Objective
        The objective the settings are for.
    camera : CameraResponse, optional
        Keep this camera instead of drawing one: input and target of a pair share it.
    ranges : ScannerRanges

    Returns
    -------
    ScannerSettings
    """
    depth = objective.depth_of_field_um
    shift = np.clip(rng.normal(0, 0.3, (3, 2)) * rng.uniform(0, ranges.lateral_colour_px), -1, 1)
    shift[1] = 0.0  # green is the reference that registration and focus go by
    axial = rng.uniform(-ranges.axial_colour, ranges.axial_colour, 3) * depth * rng.uniform(0, 1)
    sharpened = rng.random() < ranges.share_sharpened
    noisy = rng.random() < ranges.share_noisy
    return ScannerSettings(
        na_scale=float(rng.uniform(*ranges.na_scale)),
        defocus_um=float(rng.uniform(-ranges.defocus, ranges.defocus) * depth * rng.uniform(0, 1)),
        channel_defocus_um=(float(axial[0]), 0.0, float(axial[2])),
        channel_shift_px=tuple((float(row), float(col)) for row, col in shift),
        camera=camera or random_camera(rng, ranges),
        mosaic=bool(rng.random() < ranges.share_mosaic),
        full_well=float(np.exp(rng.uniform(*np.log(ranges.full_well)))) if noisy else float("inf"),
        read_noise=float(rng.uniform(*ranges.read_noise)) if noisy else 0.0,
        sharpen_amount=float(rng.uniform(*ranges.sharpen_amount)) if sharpened else 0.0,
        sharpen_radius_px=float(rng.uniform(*ranges.sharpen_radius_px)),
        jpeg_quality=0 if rng.random() < ranges.share_lossless else _whole(rng, ranges.jpeg_quality),
        jpeg_subsampling=_SUBSAMPLINGS[rng.choice(3, p=ranges.jpeg_subsamplings)],
        jpeg_phase_px=(int(rng.integers(0, ranges.jpeg_phases)), int(rng.integers(0, ranges.jpeg_phases))),
    )


def _whole(rng: np.random.Generator, ends: tuple[int, int]) -> int:
    return int(rng.integers(ends[0], ends[1], endpoint=True))


def random_target_settings(rng: np.random.Generator, camera: CameraResponse) -> ScannerSettings:
    """Draw the scanner of a 10× target: the same camera, an objective of its own effective aperture, nothing else.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    camera : CameraResponse
        The camera of the 4× scan.

    Returns
    -------
    ScannerSettings
        Aperture 0.13–0.25, more often near the nominal 0.25; no noise, sharpening or JPEG.
    """
    low = 0.13 / OBJECTIVES[10].na
    return ScannerSettings(na_scale=float(rng.triangular(low, 1.0, 1.0)), camera=camera)


def without_faults(settings: ScannerSettings) -> ScannerSettings:
    """Keep a scanner's camera alone: perfect optics, no noise, no sharpening, a lossless file."""
    return replace(CLEAN, camera=settings.camera)
