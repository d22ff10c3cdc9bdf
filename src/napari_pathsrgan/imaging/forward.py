"""The whole forward model: from one sharp field to what a scanner makes of it.

Values → linear intensity → objective → integration over pixels → illumination → colour mosaic and noise → tone curve →
unsharp mask → JPEG at the scan's own pixels. One code scans phantom slides and makes training triplets from single
fields, maps disagreement with the scan, and evaluates, so all of them meet the same scanners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.imaging.objective import OBJECTIVES, Objective
from napari_pathsrgan.imaging.optics import image_layers
from napari_pathsrgan.imaging.scanner import ScannerSettings
from napari_pathsrgan.imaging.sensor import compress, develop
from napari_pathsrgan.imaging.tone import CameraResponse

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

Floats = npt.NDArray[np.float32]
NOMINAL = ScannerSettings(camera=CameraResponse(gamma=1.8, white=(1.0, 1.0, 1.0)))
"""Nominal optics and the middle of the tone curves, where nothing is known of a scanner."""


def scan_field(
    field: Pixels, pitch_um: float, objective: Objective, settings: ScannerSettings, rng: np.random.Generator
) -> Pixels:
    """Scan one flat field: from a sharp image to the scan's pixels.

    Parameters
    ----------
    field : (H, W, 3) uint8
        Sharp RGB of white background, finer than the objective's pixels.
    pitch_um : float
        Its pixel size, µm.
    objective, settings, rng
        What to scan with.

    Returns
    -------
    (⌊H·pitch/mpp⌋, ⌊W·pitch/mpp⌋, 3) uint8
        The scan, its upper-left corner on the field's.

    Raises
    ------
    ValueError
        If the field is coarser than the objective's pixels.
    """
    if pitch_um > objective.mpp * 1.02:
        raise ValueError(f"A field of {pitch_um} µm/px is too coarse to be scanned at {objective.mpp} µm/px.")
    rows, cols = (int(size * pitch_um / objective.mpp + 1e-6) for size in field.shape[:2])
    imaged = image_layers([(0.0, _even(field))], pitch_um, objective, settings)
    axes = ((np.arange(count) + 0.5) * objective.mpp for count in (rows, cols))
    image = develop(imaged.at(*axes), settings, rng)
    return compress(image, settings.jpeg_quality, settings.jpeg_subsampling, settings.jpeg_phase_px)


def scan_back(field: Pixels, pitch_um: float, mpp: float, settings: ScannerSettings = NOMINAL) -> Floats:
    """Scan a field at 4× without noise or compression, sampled on any grid.

    Parameters
    ----------
    field : (H, W, 3) uint8
    pitch_um : float
        Its pixel size, µm.
    mpp : float
        Pixel size of the grid, µm.
    settings : ScannerSettings
        Optics and tone curve; its background is taken as white.

    Returns
    -------
    (⌊H·pitch/mpp⌋, ⌊W·pitch/mpp⌋, 3) float32
        Grey levels.
    """
    imaged = image_layers([(0.0, _even(field))], pitch_um, OBJECTIVES[4], settings)
    rows, cols = (int(size * pitch_um / mpp + 1e-6) for size in field.shape[:2])
    axes = ((np.arange(count) + 0.5) * mpp for count in (rows, cols))
    light = imaged.at(*axes)
    return np.asarray(255 * np.power(light, 1 / settings.camera.camera_gamma, dtype=np.float32), np.float32)


def _even(field: Pixels) -> Floats:
    """Values of a field of which rows and columns are a multiple of 4, mirrored where some lack: imaging is faster."""
    missing = [(0, -size % 4) for size in field.shape[:2]]
    values = field.astype(np.float32) / np.float32(255)
    return np.pad(values, [*missing, (0, 0)], mode="symmetric")
