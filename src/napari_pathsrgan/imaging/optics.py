"""From a specimen's transmittance to the light on the sensor's pixels.

A bright-field objective blurs intensity, since light adds up on the sensor. Layers at other depths than the focal plane
have a wider blur each; their blurred transmittances multiply, which is exact for one layer and, for several, the
first order of what thin absorbing layers do. Every length is in µm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_pathsrgan.imaging.objective import WAVELENGTHS_UM, Objective, transfer_function
from napari_pathsrgan.imaging.scanner import CLEAN, ScannerSettings
from napari_pathsrgan.imaging.tone import DARKEST

Floats = npt.NDArray[np.float32]

_OVERSAMPLING = 1.6
"""Nyquist frequency of what is kept over the cut-off of the objective, so that interpolation is exact to about 1e-3."""


@dataclass(frozen=True)
class SensorImage:
    """Light on the sensor's plane, integrated over pixels but not sampled yet.

    Attributes
    ----------
    intensity : (H, W, 3) float32
        Linear intensity relative to an empty background, 0 to 1.
    pitch_um : float
        Its pixel size, µm: no finer than the objective needs.
    """

    intensity: Floats
    pitch_um: float

    def at(self, rows_um: npt.NDArray[np.floating[Any]], cols_um: npt.NDArray[np.floating[Any]]) -> Floats:
        """Sample at any positions by Lanczos' kernel of 8 × 8 pixels.

        OpenCV rounds positions to 1/32 px, 25 nm at most: far below what an objective shows, and 40 times faster than
        splines.

        Parameters
        ----------
        rows_um, cols_um : (N,) and (M,), or both (N, M)
            Positions from the array's upper-left *corner*, µm: a grid's axes, or a full map of coordinates.

        Returns
        -------
        (N, M, 3) float32
            Linear intensity there; mirrored beyond the array.
        """
        rows, cols = (np.asarray(positions / self.pitch_um - 0.5, np.float32) for positions in (rows_um, cols_um))
        if rows.ndim == 1:
            rows, cols = np.meshgrid(rows, cols, indexing="ij")
        sampled = cv2.remap(self.intensity, cols, rows, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(np.maximum(sampled, 0), np.float32)


def margin_um(objective: Objective, settings: ScannerSettings = CLEAN, depth_um: float = 0.0) -> float:
    """Width of the border that the blur reaches into, µm.

    Four Airy radii, the geometric radius of the largest defocus, and the lateral colour shift.
    """
    na = objective.na * settings.na_scale
    airy = 0.61 * WAVELENGTHS_UM[0] / na
    defocus = abs(settings.defocus_um) + max(abs(extra) for extra in settings.channel_defocus_um) + abs(depth_um)
    shift = max(abs(part) for pair in settings.channel_shift_px for part in pair) * objective.mpp
    return float(4 * airy + 1.5 * defocus * na + shift + 2 * objective.mpp)


def image_layers(
    layers: Sequence[tuple[float, Floats]],
    pitch_um: float,
    objective: Objective,
    settings: ScannerSettings = CLEAN,
) -> SensorImage:
    """Image a specimen.

    Parameters
    ----------
    layers : sequence of (depth_um, (H, W, 3) float32)
        Transmittance of each plane of the specimen as image values (0 to 1, background 1), and its height, µm.
    pitch_um : float
        Pixel size of the layers, µm.
    objective, settings
        What to scan with.

    Returns
    -------
    SensorImage
        Its upper-left corner is the layers'. The outer `margin_um` is wrong, since what lies beyond the array is taken
        as a mirror image.

    Raises
    ------
    ValueError
        If there is no layer.
    """
    if not layers:
        raise ValueError("A specimen without a layer has nothing to scan.")
    frame = _Frame.around(layers, pitch_um, objective, settings)
    camera = settings.camera
    imaged = np.ones((*frame.kept_shape, 3), np.float32)
    for depth, values in layers:
        # The camera's contrast acts on values after the blur, so it does not belong to the light.
        light = np.log(np.maximum(values, DARKEST)) if camera.gamma == 0 else camera.intensity(values)
        for channel in range(3):
            blurred = frame.blur(light[..., channel], channel, depth)
            imaged[..., channel] *= np.exp(blurred) if camera.gamma == 0 else np.maximum(blurred, 0)
    return SensorImage(imaged, pitch_um * frame.step)


@dataclass(frozen=True)
class _Frame:
    """The Fourier grid of one imaging: padded by mirroring, and how much of it the objective needs."""

    shape: tuple[int, int]
    border: tuple[int, int]
    padded: tuple[int, int]
    step: int
    pitch_um: float
    objective: Objective
    settings: ScannerSettings

    @classmethod
    def around(
        cls, layers: Sequence[tuple[float, Floats]], pitch_um: float, objective: Objective, settings: ScannerSettings
    ) -> _Frame:
        height, width = layers[0][1].shape[:2]
        deepest = max(abs(depth) for depth, _ in layers)
        cutoff = 2 * objective.na * settings.na_scale / min(WAVELENGTHS_UM)
        step = max(1, int(1 / (2 * _OVERSAMPLING * cutoff * pitch_um)))
        while step > 1 and (height % step or width % step):
            step -= 1  # only whole steps keep the corner and the extent
        border = -(-int(np.ceil(margin_um(objective, settings, deepest) / pitch_um)) // step) * step
        # A mirror needs no more than the array itself; what is left of the border wraps around and is cut off again.
        rows, cols = (min(border, (size - 1) // step * step) for size in (height, width))
        padded = (
            step * fft.next_fast_len(-(-(height + 2 * rows) // step)),
            step * fft.next_fast_len(-(-(width + 2 * cols) // step), real=True),
        )
        return cls((height, width), (rows, cols), padded, step, pitch_um, objective, settings)

    @property
    def kept_shape(self) -> tuple[int, int]:
        return self.shape[0] // self.step, self.shape[1] // self.step

    def blur(self, plane: Floats, channel: int, depth_um: float) -> Floats:
        """Blur one channel of a layer and integrate it over the sensor's pixels, on the kept grid."""
        height, width = self.shape
        after = (self.padded[0] - height - self.border[0], self.padded[1] - width - self.border[1])
        padded = np.pad(plane, ((self.border[0], after[0]), (self.border[1], after[1])), mode="symmetric")
        spectrum = fft.rfft2(padded) * self._filter(channel, depth_um)
        rows, cols = (size // self.step for size in self.padded)
        if self.step > 1:
            kept = np.concatenate([spectrum[: rows - rows // 2], spectrum[-(rows // 2) :]])[:, : cols // 2 + 1]
            spectrum = kept / self.step**2
        blurred = fft.irfft2(spectrum, (rows, cols))
        top, left = (size // self.step for size in self.border)
        return np.asarray(blurred[top : top + self.kept_shape[0], left : left + self.kept_shape[1]], np.float32)

    def _filter(self, channel: int, depth_um: float) -> npt.NDArray[np.complexfloating[Any, Any]]:
        settings, objective = self.settings, self.objective
        defocus = settings.defocus_um + settings.channel_defocus_um[channel] - depth_um
        na = objective.na * settings.na_scale
        # The kept grid's first pixel has its centre in the middle of `step` pixels, not on the first of them.
        centre = (self.step - 1) / 2 * self.pitch_um
        row_um, col_um = (part * objective.mpp - centre for part in settings.channel_shift_px[channel])
        return _sampled_filter(
            self.padded, self.pitch_um, na, WAVELENGTHS_UM[channel], defocus, objective.mpp, (row_um, col_um)
        )


@lru_cache(maxsize=24)
def _sampled_filter(
    shape: tuple[int, int],
    pitch_um: float,
    na: float,
    wavelength_um: float,
    defocus_um: float,
    pixel_um: float,
    shift_um: tuple[float, float],
) -> npt.NDArray[np.complexfloating[Any, Any]]:
    """Objective, sensor pixel and shift on the frequencies of a real Fourier transform; tiles of one scan share it."""
    f_row = fft.fftfreq(shape[0], pitch_um)[:, None].astype(np.float32)
    f_col = fft.rfftfreq(shape[1], pitch_um)[None, :].astype(np.float32)
    transfer = transfer_function(np.hypot(f_row, f_col), na, wavelength_um, defocus_um)
    transfer *= np.sinc(f_row * pixel_um) * np.sinc(f_col * pixel_um)
    if shift_um == (0.0, 0.0):
        return transfer.astype(np.complex64)
    row_phase = np.exp(-2j * np.pi * f_row * shift_um[0]).astype(np.complex64)
    col_phase = np.exp(-2j * np.pi * f_col * shift_um[1]).astype(np.complex64)
    return np.asarray(transfer * row_phase * col_phase)
