"""Power spectra of scans: the mean over windows, and its mean over all directions.

Frequencies are in cycles per pixel. A spectrum is normalised so that white noise of variance v has the power v at
every frequency.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

Floats = npt.NDArray[np.float64]

WINDOW_PX = 64

_TAPER = np.outer(np.hanning(WINDOW_PX), np.hanning(WINDOW_PX))
_TAPER /= np.sqrt((_TAPER**2).mean())
ROW_FREQUENCY: Floats = fft.fftfreq(WINDOW_PX)[:, None]
COL_FREQUENCY: Floats = fft.rfftfreq(WINDOW_PX)[None, :]

FREQUENCIES: Floats = np.arange(1, WINDOW_PX // 2 + 1) / WINDOW_PX
"""(32,) centres of the rings of `radial`."""

_RING = np.rint(np.hypot(ROW_FREQUENCY, COL_FREQUENCY) * WINDOW_PX).astype(np.intp)


def cut_windows(planes: Sequence[npt.NDArray[np.floating]]) -> Floats:
    """Cut planes into windows that overlap by half: (N, 64, 64); planes smaller than a window give none."""
    step = WINDOW_PX // 2
    windows = [
        plane[row : row + WINDOW_PX, col : col + WINDOW_PX]
        for plane in planes
        for row in range(0, plane.shape[0] - WINDOW_PX + 1, step)
        for col in range(0, plane.shape[1] - WINDOW_PX + 1, step)
    ]
    return np.array(windows, np.float64).reshape(-1, WINDOW_PX, WINDOW_PX)


def power_spectrum(windows: Floats) -> Floats:
    """Take the mean power spectrum of windows.

    Parameters
    ----------
    windows : (N, 64, 64) float64

    Returns
    -------
    (64, 33) float64
        On `ROW_FREQUENCY` × `COL_FREQUENCY`.
    """
    centred = windows - windows.mean(axis=(1, 2), keepdims=True)
    return np.asarray((np.abs(fft.rfft2(centred * _TAPER)) ** 2).mean(axis=0) / WINDOW_PX**2)


def radial(spectrum: Floats) -> Floats:
    """Average a (64, 33) spectrum over all directions, on `FREQUENCIES`."""
    count = WINDOW_PX // 2 + 1
    kept = np.minimum(_RING, count).ravel()
    sums = np.bincount(kept, spectrum.ravel(), count + 1)
    return np.asarray(sums[1:count] / np.bincount(kept, minlength=count + 1)[1:count])
