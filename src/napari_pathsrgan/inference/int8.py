"""A network in whole numbers of 8 bits: a preview, sooner and a little off; and how far off it is.

The ranges of the network's features are taken from made-up scans that are sharper and richer in contrast than real
ones (`cell_windows`), so that no slide's features are cut off: ranges of one laboratory's fields would be closer
there, and far too narrow for the next one's.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import MissingPartError
from napari_pathsrgan.inference.cell_windows import calibration_windows

CHECKED_ONE_IN = 32
"""One window in so many is computed exactly as well, from the second on: the first is waited for."""


class Deviation:
    """How far a preview's pixels are from the exact ones, in grey levels, where both were computed; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows = 0
        self._values = 0
        self._squares = 0.0
        self.largest = 0

    @property
    def rms(self) -> float:
        """Root of the mean square; 0 as long as nothing was compared."""
        return float(np.sqrt(self._squares / self._values)) if self._values else 0.0

    def is_due(self) -> bool:
        """Count a window, and tell whether this one is to be compared."""
        with self._lock:
            self._windows += 1
            return self._windows % CHECKED_ONE_IN == 2

    def note(self, preview: npt.NDArray[np.uint8], exact: npt.NDArray[np.uint8]) -> None:
        """Compare two pictures of one shape."""
        apart = np.abs(preview.astype(np.int16) - exact)
        squares, largest = float(np.square(apart, dtype=np.float64).sum()), int(apart.max())
        with self._lock:
            self._values += apart.size
            self._squares += squares
            self.largest = max(self.largest, largest)

    def __str__(self) -> str:
        """Say it; empty as long as nothing was compared."""
        return f"off by {self.rms:.1f} grey levels (RMS), {self.largest} at most" if self._values else ""


def quantised(model: Any) -> Any:
    """Make an OpenVINO model compute its convolutions in int8.

    Parameters
    ----------
    model : openvino.Model
        One input of (1, 3, H, W) float32, 0 to 1. Is changed.

    Returns
    -------
    openvino.Model
        The same one for the same weights, wherever it is made.

    Raises
    ------
    MissingPartError
        If NNCF, which knows how, is not installed.
    """
    windows = calibration_windows()
    with _silence():
        try:
            nncf = importlib.import_module("nncf")
            ranges = importlib.import_module("nncf.quantization.range_estimator").RangeEstimatorParametersSet
        except ImportError as error:
            raise MissingPartError(
                "NNCF, which int8 needs, is not installed.",
                "Install it with `pip install 'napari-pathsrgan[openvino]'`.",
            ) from error
        return nncf.quantize(
            model,
            nncf.Dataset(windows),
            subset_size=len(windows),
            preset=nncf.QuantizationPreset.MIXED,
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=ranges.MINMAX,
                disable_bias_correction=True,  # it would fit the made-up scans
            ),
        )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep NNCF's bars of progress, and torch's words on compilers that nobody needs, from the terminal."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
