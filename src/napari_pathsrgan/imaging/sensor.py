"""From the light on the sensor to the 8-bit image: illumination, mosaic, noise, tone curve, sharpening, JPEG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_pathsrgan.imaging.scanner import ScannerSettings, Subsampling
    from napari_pathsrgan.types import Pixels

Floats = npt.NDArray[np.float32]
_SAMPLING_FACTORS = {
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}
_RAW_UNITY = 32_768
"""Code of a raw value of 1: white may shine twice as bright before it is clipped."""


def develop(intensity: Floats, settings: ScannerSettings, rng: np.random.Generator) -> Pixels:
    """Turn sampled intensity into the scanner's 8-bit image, before it is compressed.

    Noise is added where it arises, on the sensor's own pixels, before colours are interpolated.

    Parameters
    ----------
    intensity : (H, W, 3) float32
        Linear intensity relative to an empty background, at the scan's own pixels.
    settings : ScannerSettings
        Camera, mosaic, noise and sharpening.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    exposed = _with_noise(settings.camera.exposed(intensity), settings, rng)
    if settings.mosaic:
        exposed = _demosaic(exposed)
    image = settings.camera.encoded(exposed)
    if settings.sharpen_amount:
        smooth = cv2.GaussianBlur(image, (0, 0), settings.sharpen_radius_px, borderType=cv2.BORDER_REFLECT_101)
        image = np.asarray(image + np.float32(settings.sharpen_amount) * (image - smooth), np.float32)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def _with_noise(exposed: Floats, settings: ScannerSettings, rng: np.random.Generator) -> Floats:
    if not np.isfinite(settings.full_well) and not settings.read_noise:
        return exposed
    variance = np.maximum(exposed, 0) / settings.full_well + (settings.read_noise / 255) ** 2
    noise = np.sqrt(variance) * rng.standard_normal(exposed.shape, dtype=np.float32)
    return np.asarray(exposed + noise, np.float32)


def _demosaic(image: Floats) -> Floats:
    """Keep one colour per pixel (RGGB) and interpolate the others as a camera does (edge-aware)."""
    codes = np.clip(np.rint(image * _RAW_UNITY), 0, 65_535).astype(np.uint16)
    raw = np.empty(codes.shape[:2], np.uint16)
    raw[0::2, 0::2] = codes[0::2, 0::2, 0]
    raw[0::2, 1::2] = codes[0::2, 1::2, 1]
    raw[1::2, 0::2] = codes[1::2, 0::2, 1]
    raw[1::2, 1::2] = codes[1::2, 1::2, 2]
    # OpenCV names the pattern by the second row's second and third pixel: RGGB is its "BayerBG", read as RGB.
    colours: Floats = cv2.cvtColor(raw, cv2.COLOR_BayerBG2RGB_EA).astype(np.float32) / np.float32(_RAW_UNITY)
    return colours


def compress(
    image: Pixels, quality: int, subsampling: Subsampling = "444", phase_px: tuple[int, int] = (0, 0)
) -> Pixels:
    """Send an image through JPEG and back.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    quality : int
        1 to 100; 0 leaves the image as it is.
    subsampling : {"444", "422", "420"}
        Resolution of the colour difference.
    phase_px : (int, int)
        How many rows and columns of the first block lie above and left of the image.

    Returns
    -------
    (H, W, 3) uint8
        What a reader of the file sees.
    """
    if quality == 0:
        return image
    above, left = phase_px
    whole = cv2.copyMakeBorder(image, above, 0, left, 0, cv2.BORDER_REFLECT_101) if above or left else image
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING_FACTORS[subsampling]]
    written, data = cv2.imencode(".jpg", cv2.cvtColor(whole, cv2.COLOR_RGB2BGR), options)
    if not written:
        raise RuntimeError(f"OpenCV could not write a JPEG of quality {quality}.")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)[above:, left:], dtype=np.uint8)
