"""Nuclei of epithelial cells: contour, chromatin, rim, nucleoli."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.phantom import texture
from napari_pathsrgan.phantom.outline import oval

if TYPE_CHECKING:
    from napari_pathsrgan.phantom.canvas import Canvas

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NuclearLook:
    """How the nuclei of a class of cells look.

    Attributes
    ----------
    density : tuple of float
        Range of the mean optical density.
    coarseness : float
        Contrast of the chromatin's clumps, relative to the density.
    rim : float
        Extra density of the membrane, relative to the density.
    irregularity : float
        Amplitude of bumps and notches of the contour, relative to the radius.
    elongation : float
        Largest ratio of the half axes.
    nucleoli : float
        Expected number of nucleoli.
    """

    density: tuple[float, float]
    coarseness: float
    rim: float
    irregularity: float
    elongation: float
    nucleoli: float = 0.0


def draw_nucleus(
    canvas: Canvas, rng: np.random.Generator, look: NuclearLook, centre_um: tuple[float, float], radius_um: float
) -> tuple[Floats, Floats]:
    """Draw one nucleus.

    Parameters
    ----------
    canvas : Canvas
        The cell's sheet.
    rng : numpy.random.Generator
        Source of chance.
    look : NuclearLook
        Look of the class.
    centre_um : (row, col)
        Relative to the cell's centre, µm.
    radius_um : float
        Geometric mean of the half axes, µm.

    Returns
    -------
    amount, coverage : (S, S) float32
        Optical density of chromatin, and share of each pixel within the nucleus.
    """
    contour = oval(rng, radius_um, rng.uniform(1.0, look.elongation), look.irregularity) + np.asarray(centre_um)
    coverage = canvas.soften(canvas.fill(contour), 0.15)
    depth = canvas.depth_within(coverage)
    density = rng.uniform(*look.density)
    clumps = texture.chromatin().crop(canvas.pitch_um, rng, canvas.shape)
    # A flattened sphere: a little thinner towards its edge.
    thickness = 0.8 + 0.2 * np.minimum(depth / (0.6 * radius_um), 1)
    rim = look.rim * np.exp(-(((depth - 0.35) / 0.4) ** 2)) * rng.uniform(0.6, 1.2)
    amount = thickness * (1 + look.coarseness * clumps) + rim
    count = rng.poisson(look.nucleoli)
    if count:
        spots = np.asarray(centre_um) + rng.normal(0, 0.3 * radius_um, (count, 2))
        amount += 0.6 * canvas.soften(canvas.dots(spots, rng.uniform(0.4, 0.8, count)), 0.2)
    return np.maximum(amount, 0.15) * coverage * np.float32(density), coverage
