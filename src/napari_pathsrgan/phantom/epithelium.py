"""Squamous, metaplastic and abnormal epithelial cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.phantom import texture
from napari_pathsrgan.phantom.canvas import Canvas, Sprite
from napari_pathsrgan.phantom.nuclei import NuclearLook, draw_nucleus
from napari_pathsrgan.phantom.outline import curved_line, fold, oval, polygonal

if TYPE_CHECKING:
    from napari_pathsrgan.phantom.stains import Palette

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CellKind:
    """What the cells of one class have in common.

    Attributes
    ----------
    radius_um, nucleus_radius_um : tuple of float
        Ranges of the mean radii, µm.
    density : tuple of float
        Range of the cytoplasm's mean optical density.
    nucleus : NuclearLook
        Look of the nucleus.
    warmth : tuple of float
        Probability of being eosinophilic relative to the specimen's share, and how far an eosinophilic cell goes
        towards the warm pole.
    corners : int
        Mean number of corners; 0 for a round cell.
    folds : float
        Expected number of folds.
    creases : float
        Strength of fine creases.
    halo : float
        Probability of a cleared zone around the nucleus.
    granules : float
        Probability of keratohyalin granules.
    """

    radius_um: tuple[float, float]
    nucleus_radius_um: tuple[float, float]
    density: tuple[float, float]
    nucleus: NuclearLook
    warmth: tuple[float, float]
    corners: int
    folds: float
    creases: float
    halo: float = 0.0
    granules: float = 0.0


KINDS = {
    "superficial": CellKind(
        (22, 33), (2.6, 3.5), (0.06, 0.20), NuclearLook((0.62, 0.95), 0.10, 0.05, 0.07, 1.5),
        (1.4, 1.0), 6, 1.5, 1.0, 0.0, 0.12,
    ),
    "intermediate": CellKind(
        (18, 29), (3.7, 5.1), (0.055, 0.18), NuclearLook((0.24, 0.44), 0.34, 0.40, 0.06, 1.5, 0.3),
        (0.6, 0.95), 6, 1.3, 0.8, 0.04, 0.04,
    ),
    "parabasal": CellKind(
        (7.5, 12.5), (3.6, 4.8), (0.15, 0.27), NuclearLook((0.32, 0.54), 0.36, 0.30, 0.06, 1.4, 0.3),
        (0.3, 0.7), 0, 0.0, 0.3,
    ),
    "metaplastic": CellKind(
        (9, 14), (3.8, 5.2), (0.13, 0.25), NuclearLook((0.30, 0.54), 0.36, 0.32, 0.07, 1.5, 0.6),
        (0.4, 0.7), 5, 0.2, 0.4,
    ),
    "LSIL": CellKind(
        (18, 30), (5.8, 8.6), (0.08, 0.20), NuclearLook((0.34, 0.62), 0.40, 0.30, 0.12, 1.6),
        (0.8, 0.95), 6, 0.8, 0.7, 0.6, 0.03,
    ),
    "HSIL": CellKind(
        (7, 11.5), (4.6, 6.8), (0.13, 0.27), NuclearLook((0.42, 0.70), 0.45, 0.35, 0.18, 1.7),
        (0.5, 0.7), 5, 0.1, 0.3,
    ),
}  # fmt: skip
"""Classes of epithelial cells. Sizes: Nayar & Wilbur, The Bethesda System (2015); densities: seen in CRIC."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What is drawn by lot for one cell before it is drawn on a sheet.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    radius_um, nucleus_radius_um : float
        Mean radii, µm.
    nucleus_um : (row, col)
        Centre of the nucleus relative to the cell's, µm.
    warmth : float
        0 cyanophilic to 1 eosinophilic.
    seed : int
        Source of everything else.
    """

    kind: str
    radius_um: float
    nucleus_radius_um: float
    nucleus_um: tuple[float, float]
    warmth: float
    seed: int

    @property
    def reach_um(self) -> float:
        """No part of the cell is farther from its centre, µm."""
        return 1.45 * self.radius_um + 2


def draw_anatomy(rng: np.random.Generator, kind: str, warm_share: float) -> Anatomy:
    """Draw one cell's measures.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    kind : str
        A key of `KINDS`.
    warm_share : float
        Share of eosinophilic cells where the cell lies.

    Returns
    -------
    Anatomy
    """
    traits = KINDS[kind]
    radius = rng.uniform(*traits.radius_um)
    nucleus = min(rng.uniform(*traits.nucleus_radius_um), 0.8 * radius)
    offset = rng.normal(0, 0.09, 2) * (radius - 0.5 * nucleus)
    warm = rng.random() < warm_share * traits.warmth[0]
    warmth = traits.warmth[1] * rng.uniform(0.88, 1) if warm else 0.3 * rng.random() ** 2
    return Anatomy(
        kind, float(radius), float(nucleus), (float(offset[0]), float(offset[1])), float(warmth),
        int(rng.integers(2**62)),
    )  # fmt: skip


def draw_cell(anatomy: Anatomy, palette: Palette, pitch_um: float) -> Sprite:
    """Draw one epithelial cell.

    Parameters
    ----------
    anatomy : Anatomy
        Its measures.
    palette : Palette
        The specimen's stain.
    pitch_um : float
        Drawing pitch, one of `PITCHES_UM`.

    Returns
    -------
    Sprite
        Its drawing.
    """
    rng = np.random.default_rng(anatomy.seed)
    traits = KINDS[anatomy.kind]
    canvas = Canvas(anatomy.reach_um, pitch_um)
    outline = _outline(rng, traits, anatomy)
    body, folded = _folded(canvas, rng, traits, anatomy, outline)
    cytoplasm = _cytoplasm(canvas, rng, traits, anatomy, body, folded)
    amount = np.float32(rng.uniform(*traits.density) * np.exp(rng.normal(0, 0.3)) * palette.cytoplasm_strength)
    chromatin, nucleus = draw_nucleus(canvas, rng, traits.nucleus, anatomy.nucleus_um, anatomy.nucleus_radius_um)
    chromatin *= np.float32(palette.nuclear_strength)
    if rng.random() < traits.granules:
        chromatin += _granules(canvas, rng, anatomy) * body
    first = palette.cytoplasm(anatomy.warmth, rng)
    other = palette.cytoplasm(float(np.clip(anatomy.warmth + rng.normal(0, 0.13), 0, 1)), rng)
    tone = 0.5 + 0.5 * np.tanh(0.9 * texture.drifting().crop(pitch_um, rng, canvas.shape))
    cytoplasm *= amount
    return Sprite.stained(
        [cytoplasm * tone, cytoplasm * (1 - tone), chromatin],
        [first, other, palette.chromatin(rng)],
        nucleus,
        pitch_um,
    )


def _outline(rng: np.random.Generator, traits: CellKind, anatomy: Anatomy) -> Points:
    if traits.corners == 0:
        return oval(rng, anatomy.radius_um, rng.uniform(1, 1.35), 0.1)
    corners = max(4, traits.corners + int(rng.integers(-1, 2)))
    return polygonal(rng, anatomy.radius_um, corners, int(rng.integers(2, 4)), rng.uniform(0.02, 0.09))


def _folded(
    canvas: Canvas, rng: np.random.Generator, traits: CellKind, anatomy: Anatomy, outline: Points
) -> tuple[Floats, Floats]:
    """Coverage of the cell, and extra thickness where it lies on itself."""
    flaps = []
    for _ in range(rng.poisson(traits.folds)):
        # Far enough out that the nucleus is not folded with it; most folds are no more than a rolled edge.
        distance = anatomy.radius_um * (1.0 - 0.6 * rng.random() ** 2)
        bend = rng.normal(0, 0.35) / anatomy.radius_um
        outline, flap = fold(outline, rng.uniform(0, 2 * np.pi), distance, bend)
        flaps.append(flap)
    body = canvas.soften(canvas.fill(outline), 0.2)
    extra = np.zeros(canvas.shape, np.float32)
    for flap in flaps:
        extra += canvas.soften(canvas.fill(flap), 0.25) * np.float32(rng.uniform(0.5, 1.0))
    extra += _wrinkles(canvas, rng, anatomy, rng.poisson(2.5 * traits.folds))
    return body, extra * body


def _wrinkles(canvas: Canvas, rng: np.random.Generator, anatomy: Anatomy, count: int) -> Floats:
    """Ridges across the cytoplasm: a sharp dark line each, with slopes on either side."""
    sharp, soft, broad = (np.zeros(canvas.shape, np.float32) for _ in range(3))
    for _ in range(count):
        start = rng.normal(0, 0.5 * anatomy.radius_um, 2)
        path = curved_line(rng, start, rng.uniform(0, 2 * np.pi), anatomy.radius_um * rng.uniform(0.4, 1.3), 0.7)
        line = canvas.stroke(path, rng.uniform(0.8, 1.5))
        sharp += line * rng.uniform(0.2, 0.9)
        soft += line * rng.uniform(0.3, 1.4)
        broad += line * rng.uniform(0, 4)
    return canvas.soften(sharp, 0.25) + canvas.soften(soft, 1.2) + canvas.soften(broad, 3.0) if count else sharp


def _cytoplasm(
    canvas: Canvas, rng: np.random.Generator, traits: CellKind, anatomy: Anatomy, body: Floats, folded: Floats
) -> Floats:
    """Thickness of the cytoplasm, 1 on average where it lies single."""
    pitch, shape = canvas.pitch_um, canvas.shape
    depth = canvas.depth_within(body)
    thickness = 1 + rng.uniform(0.05, 0.16) * texture.cloudy().crop(pitch, rng, shape)
    thickness += rng.uniform(0.08, 0.20) * texture.granular().crop(pitch, rng, shape)
    thickness += traits.creases * rng.uniform(0.03, 0.20) * texture.crumpled().crop(pitch, rng, shape)
    thickness += 0.3 * traits.creases * rng.random() ** 2 * texture.creased().crop(pitch, rng, shape)
    thickness -= rng.uniform(0, 0.6) * texture.blotchy().crop(pitch, rng, shape)
    thickness += 0.2 * texture.drifting().crop(pitch, rng, shape)
    from_nucleus = canvas.distance_um(*anatomy.nucleus_um)
    thickness += rng.uniform(0.1, 0.5) * np.exp(-((from_nucleus / (2.2 * anatomy.nucleus_radius_um)) ** 2))
    # The ectoplasm is thinner than the endoplasm, the membrane's edge is seen as a fine dark line.
    border = rng.uniform(0.1, 0.35) * anatomy.radius_um
    thickness *= 1 - rng.uniform(0, 0.45) * np.exp(-depth / border)
    thickness += rng.uniform(0.15, 0.6) * np.exp(-(((depth - 0.3) / 0.45) ** 2))
    if rng.random() < traits.halo:
        thickness *= _halo(canvas, rng, anatomy)
    return np.asarray(np.maximum(thickness * body + folded, 0), np.float32)


def _halo(canvas: Canvas, rng: np.random.Generator, anatomy: Anatomy) -> Floats:
    """Factor of a cleared zone with a dense border, as in a koilocyte."""
    radius = anatomy.nucleus_radius_um * rng.uniform(1.3, 2.1)
    shift = rng.normal(0, 0.15 * radius, 2)
    zone = canvas.fill(oval(rng, radius, rng.uniform(1, 1.6), 0.2) + np.asarray(anatomy.nucleus_um) + shift)
    dense = canvas.soften(zone, 2.0) * (1 - zone)
    cleared = canvas.soften(zone, 0.7)
    return np.asarray(1 - rng.uniform(0.35, 0.75) * cleared + rng.uniform(0.3, 1.2) * dense, np.float32)


def _granules(canvas: Canvas, rng: np.random.Generator, anatomy: Anatomy) -> Floats:
    """Keratohyalin: many tiny dark grains in the cytoplasm."""
    count = int(rng.integers(8, 50))
    grains = canvas.dots(rng.normal(0, 0.42 * anatomy.radius_um, (count, 2)), rng.uniform(0.15, 0.38, count))
    return canvas.soften(grains, 0.15) * np.float32(rng.uniform(0.15, 0.5))
