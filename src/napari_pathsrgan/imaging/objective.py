"""Objectives: magnification, numerical aperture, pixel size, and their transfer function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

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
        Nominal numerical aperture.
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


def transfer_function(
    frequency: npt.NDArray[np.floating[Any]], na: float, wavelength_um: float, defocus_um: float
) -> npt.NDArray[np.float32]:
    """Incoherent transfer function of a circular pupil, in focus or out of it.

    The aberration-free function of a circular pupil with Stokseth's approximation for defocus
    (J. Opt. Soc. Am. 59, 1969).

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
