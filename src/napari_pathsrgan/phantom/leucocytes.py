"""Leucocytes, bacteria and debris: small things of which a slide holds thousands.

A specimen draws an atlas of a few dozen of each once and scatters them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.phantom import texture
from napari_pathsrgan.phantom.canvas import Canvas, Sprite
from napari_pathsrgan.phantom.outline import curved_line, oval

if TYPE_CHECKING:
    from napari_pathsrgan.phantom.stains import Palette

Floats = npt.NDArray[np.float32]

LEUCOCYTE_REACH_UM = 8.0
DEBRIS_REACH_UM = 24.0
NUCLEUS_RADIUS_UM = 3.0
"""Radius of the circle about as large as a leucocyte's lobes, µm."""


def draw_leucocyte(seed: int, palette: Palette, pitch_um: float) -> Sprite:
    """Draw a polymorph (10–12 µm): dark lobes in pale cytoplasm; now and then a worn, smeared one.

    Parameters
    ----------
    seed : int
        Source of chance.
    palette : Palette
        The specimen's stain.
    pitch_um : float
        Drawing pitch.

    Returns
    -------
    Sprite
        Its drawing.
    """
    rng = np.random.default_rng(seed)
    canvas = Canvas(LEUCOCYTE_REACH_UM, pitch_um)
    worn = rng.random() < 0.3
    lobes = _lobes(rng, worn)
    coverage = np.zeros(canvas.shape, np.float32)
    for centre, radius in lobes:
        lobe = oval(rng, radius, rng.uniform(1.0, 1.7), 0.05) + centre
        coverage = np.maximum(coverage, canvas.fill(lobe))
    for (first, _), (second, _) in pairwise(lobes):
        coverage = np.maximum(coverage, canvas.stroke(np.stack([first, second]), 1.3))
    coverage = canvas.soften(coverage, 0.22)
    depth = canvas.depth_within(coverage)
    clumps = texture.chromatin().crop(pitch_um, rng, canvas.shape)
    chromatin = (0.72 + 0.28 * np.minimum(depth / 1.2, 1)) * (1 + 0.26 * clumps) * coverage
    chromatin *= np.float32(rng.uniform(0.4, 0.9) * palette.nuclear_strength)
    body = canvas.fill(oval(rng, rng.uniform(4.8, 6.0), rng.uniform(1, 1.5), 0.12))
    grain = texture.granular().crop(pitch_um, rng, canvas.shape)
    edge = np.exp(-(((canvas.depth_within(body) - 0.3) / 0.4) ** 2))
    faint = 0.07 * rng.random() ** 1.5 * (0.3 if worn else 1.0)
    cytoplasm = canvas.soften(body, 0.3) * (1 + 0.45 * grain + 0.3 * edge) * np.float32(faint)
    return Sprite.stained(
        [np.maximum(cytoplasm, 0), chromatin],
        [palette.cytoplasm(rng.uniform(0, 0.3), rng), palette.chromatin(rng)],
        coverage,
        pitch_um,
    )


def _lobes(rng: np.random.Generator, worn: bool) -> list[tuple[npt.NDArray[np.float64], float]]:
    """Centres and radii of the lobes, on an arc; a worn nucleus is one lump."""
    if worn:
        return [(rng.normal(0, 0.5, 2), float(rng.uniform(2.2, 3.2)))]
    count = int(rng.integers(2, 5))
    start, span = rng.uniform(0, 2 * np.pi), rng.uniform(1.2, 2.2)
    radius = float(rng.uniform(1.8, 2.8))
    lobes = []
    for part in range(count):
        angle = start + part * span
        centre = radius * np.array([np.sin(angle), np.cos(angle)]) * rng.uniform(0.7, 1.1)
        lobes.append((centre, float(rng.uniform(1.35, 2.15) * (1.15 if count == 2 else 0.95))))
    return lobes


def draw_debris(seed: int, palette: Palette, pitch_um: float, bacteria: float, erythrocytes: float) -> Sprite:
    """Draw a patch of 48 µm with bacteria, specks, granular debris and red blood cells.

    Parameters
    ----------
    seed : int
        Source of chance.
    palette : Palette
        The specimen's stain.
    pitch_um : float
        Drawing pitch.
    bacteria, erythrocytes : float
        Expected numbers.

    Returns
    -------
    Sprite
        Its drawing, without a nucleus.
    """
    rng = np.random.default_rng(seed)
    canvas = Canvas(DEBRIS_REACH_UM, pitch_um)
    amounts = [_granular(canvas, rng), _rods_and_specks(canvas, rng, bacteria), _red_cells(canvas, rng, erythrocytes)]
    colours = [palette.cytoplasm(rng.uniform(0, 0.4), rng), palette.chromatin(rng), palette.cytoplasm(1.0, rng)]
    return Sprite.stained(amounts, colours, None, pitch_um)


def _rods_and_specks(canvas: Canvas, rng: np.random.Generator, bacteria: float) -> Floats:
    dark = np.zeros(canvas.shape, np.float32)
    for centre in np.clip(rng.normal(0, 8, (rng.poisson(bacteria), 2)), -18, 18):
        path = curved_line(rng, centre, rng.uniform(0, np.pi), rng.uniform(0.7, 2.6), 0.2)
        dark = np.maximum(dark, canvas.stroke(path, 0.34) * np.float32(rng.uniform(0.3, 1.0)))
    count = rng.poisson(5)
    specks = canvas.dots(np.clip(rng.normal(0, 8, (count, 2)), -20, 20), rng.uniform(0.2, 0.6, count))
    return canvas.soften(np.maximum(dark, 0.8 * specks), 0.15) * np.float32(rng.uniform(0.2, 0.6))


def _granular(canvas: Canvas, rng: np.random.Generator) -> Floats:
    lumps = np.zeros(canvas.shape, np.float32)
    for _ in range(rng.poisson(0.7)):
        lump = oval(rng, rng.uniform(1, 4), rng.uniform(1, 3), 0.35) + rng.normal(0, 5, 2)
        lumps = np.maximum(lumps, canvas.soften(canvas.fill(lump), 0.9))
    grain = np.clip(0.6 + 0.4 * texture.cloudy().crop(canvas.pitch_um, rng, canvas.shape), 0, None)
    grain += 0.25 * texture.granular().crop(canvas.pitch_um, rng, canvas.shape)
    return np.asarray(np.maximum(lumps * grain, 0) * rng.uniform(0.04, 0.18), np.float32)


def _red_cells(canvas: Canvas, rng: np.random.Generator, erythrocytes: float) -> Floats:
    """Discs of 6–7.5 µm, a little darker along the edge, often deformed."""
    discs = np.zeros(canvas.shape, np.float32)
    for centre in np.clip(rng.normal(0, 8, (rng.poisson(erythrocytes), 2)), -16, 16):
        disc = canvas.fill(oval(rng, rng.uniform(2.8, 3.7), rng.uniform(1, 1.7), 0.06) + centre)
        edge = np.exp(-(((canvas.depth_within(disc) - 0.5) / 0.5) ** 2))
        discs += canvas.soften(disc, 0.2) * (1 + 0.5 * edge) * np.float32(rng.uniform(0.08, 0.2))
    return discs
