"""Scanners: the state of one during one scan, and how scanners are randomised so that a network meets many."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from napari_pathsrgan.imaging.objective import OBJECTIVES, Objective
from napari_pathsrgan.imaging.tone import CameraResponse

Subsampling = Literal["444", "422", "420"]

_SHARE_DENSITY = 0.12
_SHARE_LOSSLESS = 0.08
_SUBSAMPLINGS: tuple[Subsampling, ...] = ("444", "422", "420")
_SUBSAMPLING_SHARES = (0.35, 0.2, 0.45)


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


def draw_camera(rng: np.random.Generator) -> CameraResponse:
    """Draw a camera as wide as real ones are.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    CameraResponse
        γ of 1.0 to 2.6, or in one of eight optical density; background 0.80–1.0 with up to 12 % difference between
        channels; contrast 0.85–1.15; stray light up to 4 %.
    """
    level = rng.uniform(0.84, 1.0)
    tint = rng.uniform(0.90, 1.0, 3)
    white = level * tint / tint.max()
    gamma = 0.0 if rng.random() < _SHARE_DENSITY else float(rng.uniform(1.0, 2.6))
    return CameraResponse(
        gamma=gamma,
        white=(float(white[0]), float(white[1]), float(white[2])),
        contrast=float(rng.uniform(0.85, 1.15)),
        stray_light=float(max(0.0, rng.uniform(-0.02, 0.04))),
    )


def draw_settings(
    rng: np.random.Generator, objective: Objective, camera: CameraResponse | None = None
) -> ScannerSettings:
    """Draw a scanner: optics, sensor, sharpening and JPEG in the ranges that real 4× scans show.

    Defocus and axial colour are drawn as shares of the objective's depth of field, so one range serves all objectives.
    Every kind of fault is absent from some scanners: a network must meet good ones as well.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    objective : Objective
        The objective the settings are for.
    camera : CameraResponse, optional
        Keep this camera instead of drawing one: input and target of a pair share it.

    Returns
    -------
    ScannerSettings
        Aperture 55–110 % of the nominal one, defocus up to 0.6 and axial colour up to 0.3 depths of field, lateral
        colour up to 1 px, unsharp mask up to 1.5, JPEG quality 30–98 at any block phase.
    """
    depth = objective.depth_of_field_um
    shift = np.clip(rng.normal(0, 0.3, (3, 2)) * rng.uniform(0, 1.2), -1, 1)
    shift[1] = 0.0  # green is the reference that registration and focus go by
    axial = rng.uniform(-0.3, 0.3, 3) * depth * rng.uniform(0, 1)
    sharpened = rng.random() < 0.5
    noisy = rng.random() < 0.9
    return ScannerSettings(
        na_scale=float(rng.uniform(0.55, 1.10)),
        defocus_um=float(rng.uniform(-0.6, 0.6) * depth * rng.uniform(0, 1)),
        channel_defocus_um=(float(axial[0]), 0.0, float(axial[2])),
        channel_shift_px=tuple((float(row), float(col)) for row, col in shift),
        camera=camera or draw_camera(rng),
        mosaic=bool(rng.random() < 0.5),
        full_well=float(np.exp(rng.uniform(np.log(3_000), np.log(100_000)))) if noisy else float("inf"),
        read_noise=float(rng.uniform(0.0, 0.8)) if noisy else 0.0,
        sharpen_amount=float(rng.uniform(0.1, 1.5)) if sharpened else 0.0,
        sharpen_radius_px=float(rng.uniform(0.6, 1.6)),
        jpeg_quality=0 if rng.random() < _SHARE_LOSSLESS else int(rng.integers(30, 99)),
        jpeg_subsampling=_SUBSAMPLINGS[rng.choice(3, p=_SUBSAMPLING_SHARES)],
        jpeg_phase_px=(int(rng.integers(0, 8)), int(rng.integers(0, 8))),
    )


def draw_target_settings(rng: np.random.Generator, camera: CameraResponse) -> ScannerSettings:
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
