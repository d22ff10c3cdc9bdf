"""Tone curves: between the values of an image and the light that fell on the sensor.

An image's value v (0 to 1) stands for the linear intensity v^γ. Blurring happens in linear intensity, so γ decides what
a given blur does to an image. γ = 0 stands for the limit v^γ → ln v: blurring optical density, the one extreme of the
family that scanners are drawn from; the others are γ = 1 (blurring the values as they are) up to 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

Floats = npt.NDArray[np.float32]
DARKEST = 1 / 255
"""The least value whose density is meant: an 8-bit image cannot tell less from black."""


@dataclass(frozen=True, slots=True)
class CameraResponse:
    """What a camera makes of the light of a pixel: tone curve, background colour, contrast, stray light.

    Attributes
    ----------
    gamma : float
        Exponent between values and linear intensity: 1.0 to 2.6, or 0 for optical density.
    white : tuple of float
        RGB of the empty background, 0 to 1: tint and gain of the illumination.
    contrast : float
        Exponent on values; above 1 the image is darker and of more contrast.
    stray_light : float
        Share of the background's intensity that is added everywhere.
    """

    gamma: float = 2.2
    white: tuple[float, float, float] = (0.96, 0.96, 0.96)
    contrast: float = 1.0
    stray_light: float = 0.0

    @property
    def camera_gamma(self) -> float:
        """Exponent between values and the camera's intensity: γ, and 1 for optical density."""
        return self.gamma or 1.0

    def intensity(self, values: Floats) -> Floats:
        """Linear intensity of values, relative to a background of value 1; stray light is not part of it."""
        exponent = self.camera_gamma
        return values if exponent == 1.0 else np.power(values, exponent, dtype=np.float32)

    def exposed(self, intensity: Floats) -> Floats:
        """Add stray light and the background's colour: (…, 3) intensity as the sensor receives it."""
        lit = (intensity + np.float32(self.stray_light)) / np.float32(1 + self.stray_light)
        return np.asarray(lit * self._white_intensity(), np.float32)

    def encoded(self, exposed: Floats) -> Floats:
        """Apply the tone curve: (…, 3) values, about 0 to 1, of the intensity that the sensor received."""
        white = self._white_intensity()
        relative = np.maximum(exposed / white, 0)
        values = np.power(relative, self.contrast / self.camera_gamma, dtype=np.float32)
        return np.asarray(values * np.asarray(self.white, np.float32), np.float32)

    def recolour(self, image: Pixels) -> Pixels:
        """Show an image of white background as this camera would: pointwise, without blur or noise.

        Parameters
        ----------
        image : (H, W, 3) uint8

        Returns
        -------
        (H, W, 3) uint8
        """
        levels = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[:, None], 3, axis=1)
        table = np.rint(255 * self.encoded(self.exposed(self.intensity(levels)))).clip(0, 255).astype(np.uint8)
        return np.stack([table[image[..., channel], channel] for channel in range(3)], axis=-1)

    def _white_intensity(self) -> Floats:
        return np.power(np.asarray(self.white, np.float32), np.float32(self.camera_gamma))
