"""What an objective, a sensor and a file format make of a stained specimen.

The order is a scanner's own: optical density per colour → blur by the objective's transfer function at its defocus and
shift per colour → integration over the sensor's pixels → sampling at the objective's pixel size → illumination and
colour response → colour mosaic → photon and read noise → sharpening → JPEG. One code scans phantom slides and makes
training triplets from single sharp fields (`scan_field`), so the network meets the same scanners in both.

The transfer function is the aberration-free one of a circular pupil with Stokseth's approximation for defocus
(J. Opt. Soc. Am. 59, 1969), applied to optical density rather than to intensity. Every length is in µm.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage, special

from napari_pathsrgan.phantom.settings import CLEAN, WAVELENGTHS_UM, Objective, ScannerSettings

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

DARKEST_INTENSITY = 1 / 255
"""What an 8-bit picture can tell from black: limits the optical density taken from it to 2.4."""


def margin_um(objective: Objective, settings: ScannerSettings = CLEAN, depth_um: float = 0.0) -> float:
    """Width of the border that the blur reaches into, µm.

    Four Airy radii, the geometric radius of the largest defocus, and the lateral colour shift.
    """
    na = objective.na * settings.na_scale
    airy = 0.61 * WAVELENGTHS_UM[0] / na
    defocus = abs(settings.defocus_um) + max(abs(extra) for extra in settings.channel_defocus_um) + abs(depth_um)
    shift = max(abs(part) for pair in settings.channel_shift_px for part in pair) * objective.mpp
    return float(4 * airy + 1.5 * defocus * na + shift + 2 * objective.mpp)


def transfer_function(
    frequency: npt.NDArray[np.floating[Any]], na: float, wavelength_um: float, defocus_um: float
) -> Floats:
    """Incoherent transfer function of a circular pupil, in focus or out of it.

    Parameters
    ----------
    frequency : ndarray
        Spatial frequencies, cycles/µm, any shape.
    na : float
        Effective numerical aperture.
    wavelength_um : float
        Wavelength, µm.
    defocus_um : float
        Distance from focus, µm.

    Returns
    -------
    ndarray of float32
        Contrast at each frequency, 1 at 0, 0 from 2 NA/λ on; negative where defocus reverses contrast.
    """
    relative = np.minimum(np.abs(frequency) * wavelength_um / (2 * na), 1.0)
    in_focus = 2 / np.pi * (np.arccos(relative) - relative * np.sqrt(1 - relative**2))
    edge_waves = defocus_um * na**2 / (2 * wavelength_um)
    argument = 8 * np.pi * edge_waves * relative * (1 - relative)
    safe = np.where(np.abs(argument) < 1e-6, 1.0, argument)
    defocused = np.where(np.abs(argument) < 1e-6, 1.0, 2 * special.j1(safe) / safe)
    return np.asarray(in_focus * defocused, dtype=np.float32)


def image_layers(
    layers: Sequence[tuple[float, Floats]],
    pitch_um: float,
    objective: Objective,
    settings: ScannerSettings = CLEAN,
) -> Floats:
    """Optical density as it falls on the sensor, integrated over the objective's pixels but not sampled yet.

    Parameters
    ----------
    layers : sequence of (depth_um, (H, W, 3) float32)
        Optical density of each plane of the specimen and its height, µm; densities add.
    pitch_um : float
        Pixel size of the layers, µm.
    objective, settings
        What to scan with.

    Returns
    -------
    (H, W, 3) float32
        Optical density; the outer `margin_um` is wrong, since what lies beyond the array is taken as a mirror image.

    Raises
    ------
    ValueError
        If there is no layer.
    """
    if not layers:
        raise ValueError("A specimen without a layer has nothing to scan.")
    height, width = layers[0][1].shape[:2]
    deepest = max(abs(depth) for depth, _ in layers)
    border = int(np.ceil(margin_um(objective, settings, deepest) / pitch_um))
    # A mirror needs no more than the array itself; what is left of the border wraps around into pixels cut off again.
    border_rows, border_cols = min(border, height - 1), min(border, width - 1)
    shape = (fft.next_fast_len(height + 2 * border_rows), fft.next_fast_len(width + 2 * border_cols, real=True))
    f_row = fft.fftfreq(shape[0], pitch_um)[:, None]
    f_col = fft.rfftfreq(shape[1], pitch_um)[None, :]
    pixel = (np.sinc(f_row * objective.mpp) * np.sinc(f_col * objective.mpp)).astype(np.float32)
    out = np.empty((height, width, 3), np.float32)
    na = objective.na * settings.na_scale
    for channel, wavelength in enumerate(WAVELENGTHS_UM):
        spectrum: Any = 0
        for depth, density in layers:
            defocus = settings.defocus_um + settings.channel_defocus_um[channel] - depth
            plane = _mirror_pad(density[..., channel], border_rows, border_cols, shape)
            spectrum = spectrum + fft.rfft2(plane) * _sampled_transfer(shape, pitch_um, na, wavelength, defocus)
        row_um, col_um = (part * objective.mpp for part in settings.channel_shift_px[channel])
        if row_um or col_um:
            spectrum = spectrum * np.exp(-2j * np.pi * (f_row * row_um + f_col * col_um)).astype(np.complex64)
        blurred = fft.irfft2(spectrum * pixel, shape)
        out[..., channel] = blurred[border_rows : border_rows + height, border_cols : border_cols + width]
    return out


@lru_cache(maxsize=24)
def _sampled_transfer(
    shape: tuple[int, int], pitch_um: float, na: float, wavelength_um: float, defocus_um: float
) -> Floats:
    """`transfer_function` on the frequencies of a real Fourier transform; tiles of one scan share it."""
    radial = np.hypot(fft.fftfreq(shape[0], pitch_um)[:, None], fft.rfftfreq(shape[1], pitch_um)[None, :])
    return transfer_function(radial.astype(np.float32), na, wavelength_um, defocus_um)


def _mirror_pad(plane: Floats, rows: int, cols: int, shape: tuple[int, int]) -> Floats:
    height, width = plane.shape
    after = (shape[0] - height - rows, shape[1] - width - cols)
    return np.pad(plane, ((rows, after[0]), (cols, after[1])), mode="symmetric")


def sample(
    density: Floats, pitch_um: float, rows_um: npt.NDArray[np.floating[Any]], cols_um: npt.NDArray[np.floating[Any]]
) -> Floats:
    """Read the sensor image at any positions by cubic B-spline interpolation.

    Parameters
    ----------
    density : (H, W, 3) float32
        Optical density from `image_layers`: band-limited, so that interpolation is exact to about 1e-3.
    pitch_um : float
        Its pixel size, µm.
    rows_um, cols_um : (N,) and (M,), or both (N, M)
        Positions from the array's upper-left *corner*, µm: a grid's axes, or a full map of coordinates.

    Returns
    -------
    (N, M, 3) float32
        Optical density there; mirrored beyond the array.
    """
    rows, cols = rows_um / pitch_um - 0.5, cols_um / pitch_um - 0.5
    if rows.ndim == 1:
        rows, cols = np.meshgrid(rows, cols, indexing="ij")
    channels = [
        ndimage.map_coordinates(density[..., channel], [rows, cols], order=3, mode="mirror", output=np.float32)
        for channel in range(3)
    ]
    return np.stack(channels, axis=-1)


def develop(density: Floats, settings: ScannerSettings, rng: np.random.Generator) -> Pixels:
    """Turn sampled optical density into the scanner's 8-bit picture, before it is compressed.

    Parameters
    ----------
    density : (H, W, 3) float32
        Optical density at the scan's own pixels.
    settings : ScannerSettings
        Colour, mosaic, noise and sharpening.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    transmittance: Floats = np.power(10.0, -settings.colour.gamma * np.maximum(density, 0), dtype=np.float32)
    transmittance = (transmittance + settings.flare) / (1 + settings.flare)
    image: Floats = transmittance * np.asarray(settings.colour.white, np.float32)
    if np.isfinite(settings.full_well):
        sigma: Floats = np.sqrt(np.maximum(image, 0) / settings.full_well + (settings.read_noise / 255) ** 2)
        image = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    elif settings.read_noise:
        image = image + settings.read_noise / 255 * rng.standard_normal(image.shape, dtype=np.float32)
    if settings.mosaic:
        image = _demosaic(image)
    if settings.sharpen_amount:
        smooth = cv2.GaussianBlur(image, (0, 0), settings.sharpen_radius_px)
        image = image + settings.sharpen_amount * (image - smooth)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def _demosaic(image: Floats) -> Floats:
    """Keep one colour per pixel (RGGB) and interpolate the others as a camera does (edge-aware)."""
    codes = np.clip(np.rint(image * 32_768), 0, 65_535).astype(np.uint16)
    raw = np.empty(codes.shape[:2], np.uint16)
    raw[0::2, 0::2] = codes[0::2, 0::2, 0]
    raw[0::2, 1::2] = codes[0::2, 1::2, 1]
    raw[1::2, 0::2] = codes[1::2, 0::2, 1]
    raw[1::2, 1::2] = codes[1::2, 1::2, 2]
    # OpenCV names the pattern by the second row's second and third pixel: RGGB is its "BayerBG", read as RGB.
    colours: Floats = cv2.cvtColor(raw, cv2.COLOR_BayerBG2RGB_EA).astype(np.float32) / np.float32(32_768)
    return colours


def compress(image: Pixels, quality: int, subsampling: Literal["444", "420"] = "444") -> Pixels:
    """Send a picture through JPEG and back.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    quality : int
        1 to 100; 0 leaves the picture as it is.
    subsampling : {"444", "420"}
        Resolution of the colour difference.

    Returns
    -------
    (H, W, 3) uint8
        What a reader of the file sees.
    """
    if quality == 0:
        return image
    factor = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if subsampling == "444" else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    written, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not written:
        raise RuntimeError(f"OpenCV could not write a JPEG of quality {quality}.")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def density_of(image: Pixels, white: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Floats:
    """Optical density per channel of a picture, relative to a white level.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    white : tuple of float
        RGB of empty glass, 0 to 1.

    Returns
    -------
    (H, W, 3) float32
        −log₁₀(pixel / white), at most 2.4; slightly negative where a pixel outshines the glass.
    """
    intensity = np.maximum(image.astype(np.float32) / 255, DARKEST_INTENSITY)
    return np.asarray(-np.log10(intensity / np.asarray(white, np.float32)), dtype=np.float32)


def scan_field(
    density: Floats,
    pitch_um: float,
    objective: Objective,
    settings: ScannerSettings,
    rng: np.random.Generator,
) -> Pixels:
    """Scan one flat field: from a sharp picture's optical density to the scan's pixels.

    Parameters
    ----------
    density : (H, W, 3) float32
        Optical density of the field, from `density_of`; it must be finer than the objective's pixels.
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
    rows, cols = (int(size * pitch_um / objective.mpp + 1e-6) for size in density.shape[:2])
    blurred = image_layers([(0.0, density)], pitch_um, objective, settings)
    sampled = sample(
        blurred, pitch_um, (np.arange(rows) + 0.5) * objective.mpp, (np.arange(cols) + 0.5) * objective.mpp
    )
    return compress(develop(sampled, settings, rng), settings.jpeg_quality, settings.jpeg_subsampling)
