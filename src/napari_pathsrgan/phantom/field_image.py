"""A synthetic field as one sharp image: what a training sees beside photographs of real ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.optics import image_layers
from napari_pathsrgan.imaging.scanner import PURE
from napari_pathsrgan.imaging.sensor import develop
from napari_pathsrgan.phantom.cells import CellRecord, Specimen

PHANTOM_UM = (280.0, 360.0)
"""Height and width of a synthetic field: about a camera's field at 40×."""
_BACKGROUND = 0.15


def phantom_field(seed: int) -> npt.NDArray[np.uint8]:
    """Draw a synthetic field as an objective of 20× shows it when every depth is in focus.

    Parameters
    ----------
    seed : int
        At least 0.

    Returns
    -------
    (H, W, 3) uint8
        At 0.293 µm/px, background at 255.
    """
    specimen = _specimen(seed)
    pitch = OBJECTIVES[20].mpp
    shape = (int(PHANTOM_UM[0] / pitch), int(PHANTOM_UM[1] / pitch))
    flat = np.zeros((*shape, 3), np.float32)
    for _, density in specimen.render_layers(0.0, 0.0, *shape, pitch):
        flat += density
    imaged = image_layers([(0.0, np.power(10.0, -flat, dtype=np.float32))], pitch, OBJECTIVES[20], PURE)
    return develop(imaged.intensity, PURE, np.random.default_rng(seed))


def phantom_cells(seed: int) -> list[CellRecord]:
    """List the cells of `phantom_field`'s field, positions in µm from its upper-left corner."""
    return _specimen(seed).cells_in(0.0, 0.0, *PHANTOM_UM)


def _specimen(seed: int) -> Specimen:
    return Specimen(seed, PHANTOM_UM, _BACKGROUND)
