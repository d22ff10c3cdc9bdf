"""Where the cells of a specimen lie: blocks of a lattice, each drawn from its own seed, steered by slow fields.

A block knows only the specimen's seed and its own row and column, so any part of a slide of any size can be made
without the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from napari_pathsrgan.phantom.epithelium import KINDS, Anatomy, draw_anatomy
from napari_pathsrgan.phantom.leucocytes import DEBRIS_REACH_UM, LEUCOCYTE_REACH_UM

BLOCK_UM = 256.0
"""Side of a block, µm."""

REACH_UM = 160.0
"""No object of a block lies farther outside it, µm."""

DEPTHS_UM = (-12.0, -5.0, -2.0, 0.0, 2.0, 5.0, 12.0)
"""Planes that cells lie in, µm above the middle of the specimen."""

ATLAS_SIZE = 48
"""Different leucocytes, and different patches of debris, in one specimen."""

_DEPTH_SHARES = (0.005, 0.02, 0.075, 0.8, 0.075, 0.02, 0.005)
_CELLS_PER_FULL_BLOCK = 34
_SINGLE_SHARES = {"superficial": 0.46, "intermediate": 0.42, "parabasal": 0.08, "metaplastic": 0.04}
_CLUSTER_SHARES = {"superficial": 0.2, "intermediate": 0.45, "parabasal": 0.2, "metaplastic": 0.15}

Field = npt.NDArray[np.float64]


class SlowField:
    """A smooth random field over the plane, each value between 0 and 1 equally frequent.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    wavelengths_um : tuple of float
        Shortest and longest wave, µm.
    """

    def __init__(self, rng: np.random.Generator, wavelengths_um: tuple[float, float]) -> None:
        count = 24
        shortest, longest = wavelengths_um
        length = np.exp(rng.uniform(np.log(shortest), np.log(longest), count))
        angle = rng.uniform(0, 2 * np.pi, count)
        self._row = 2 * np.pi * np.sin(angle) / length
        self._col = 2 * np.pi * np.cos(angle) / length
        self._phase = rng.uniform(0, 2 * np.pi, count)
        size = (length / longest) ** 0.3
        self._size = size / np.sqrt((size**2).sum() / 2)

    def at(self, row_um: Field, col_um: Field) -> Field:
        """Value at positions of one shape, in that shape."""
        phase = row_um[..., None] * self._row + col_um[..., None] * self._col + self._phase
        return np.asarray(special.ndtr((self._size * np.cos(phase)).sum(axis=-1)), np.float64)


@dataclass(frozen=True, slots=True)
class Placement:
    """One object in its place.

    Attributes
    ----------
    centre_um : (row, col)
        Centre in the specimen, µm.
    depth : int
        Index into `DEPTHS_UM`.
    reach_um : float
        No part of it is farther from its centre, µm.
    anatomy : Anatomy or None
        An epithelial cell; None for what comes from an atlas.
    atlas : {"leucocyte", "debris"} or None
        Which atlas.
    number : int
        Number within the atlas.
    """

    centre_um: tuple[float, float]
    depth: int
    reach_um: float
    anatomy: Anatomy | None = None
    atlas: str | None = None
    number: int = 0


class Population:
    """The objects of every block of a specimen.

    Parameters
    ----------
    seed : int
        The specimen's seed.
    background_share : float
        Share of the area without cells, 0 to 1.
    warm_share : float
        Share of eosinophilic cells among mature ones.
    abnormal_share : float
        Share of clusters made of LSIL or HSIL cells.
    """

    def __init__(self, seed: int, background_share: float, warm_share: float, abnormal_share: float) -> None:
        self._seed = seed
        self._background_share = background_share
        self._warm_share = warm_share
        self._abnormal_share = abnormal_share
        rng = np.random.default_rng([seed, 1])
        self.density_field = SlowField(rng, (220.0, 1800.0))
        self._inflammation = SlowField(rng, (300.0, 2500.0))
        self._warmth = SlowField(rng, (150.0, 900.0))
        self._flow = rng.uniform(0, np.pi)
        self._leucocytes = rng.uniform(10, 110)
        self._bacteria = rng.uniform(0, 12)

    @property
    def flow(self) -> float:
        """Direction of the smear, radians from the column axis."""
        return float(self._flow)

    def density(self, row_um: Field, col_um: Field) -> Field:
        """How densely cells lie, 0 on background to 1."""
        if self._background_share >= 1:
            return np.zeros(np.shape(row_um))
        above = self.density_field.at(row_um, col_um) - self._background_share
        return np.asarray(np.clip(above / (0.35 * (1 - self._background_share) + 0.02), 0, 1))

    def block(self, block_row: int, block_col: int) -> list[Placement]:
        """Draw the objects of one block, in a fixed order.

        Parameters
        ----------
        block_row, block_col : int
            Position on the lattice; any integers.

        Returns
        -------
        list of Placement
        """
        # Negative numbers are no entropy for numpy: the lattice is shifted far enough.
        rng = np.random.default_rng([self._seed, 2, block_row + 2**30, block_col + 2**30])
        corner = np.array([block_row, block_col]) * BLOCK_UM
        placements = self._singles(rng, corner)
        placements += self._clusters(rng, corner)
        placements += self._leucocytes_in(rng, corner)
        placements += self._debris_in(rng, corner)
        return placements

    def _kept(self, rng: np.random.Generator, places: Field, power: float = 1.0) -> npt.NDArray[np.bool_]:
        density = self.density(places[:, 0], places[:, 1])
        return np.asarray(rng.random(len(places)) < density**power)

    def _cell(self, rng: np.random.Generator, place: Field, kind: str) -> Placement:
        warmth = self._warmth.at(place[:1], place[1:])[0]
        share = float(np.clip(self._warm_share + 0.9 * (warmth - 0.5), 0, 1))
        anatomy = draw_anatomy(rng, kind, share)
        depth = int(rng.choice(len(DEPTHS_UM), p=_DEPTH_SHARES))
        return Placement((float(place[0]), float(place[1])), depth, anatomy.reach_um * 1.42, anatomy)

    def _singles(self, rng: np.random.Generator, corner: Field) -> list[Placement]:
        places = corner + rng.uniform(0, BLOCK_UM, (rng.poisson(1.6 * _CELLS_PER_FULL_BLOCK), 2))
        kinds, shares = list(_SINGLE_SHARES), list(_SINGLE_SHARES.values())
        placements: list[Placement] = []
        for place in places[self._kept(rng, places, 1.5)]:
            cell = self._cell(rng, place, kinds[rng.choice(len(kinds), p=shares)])
            if rng.random() < 0.2 or not _crowded(cell, placements):
                placements.append(cell)
        return placements[: 2 * _CELLS_PER_FULL_BLOCK]

    def _clusters(self, rng: np.random.Generator, corner: Field) -> list[Placement]:
        """Sheets and groups of one kind, closer together than single cells."""
        centres = corner + rng.uniform(0, BLOCK_UM, (rng.poisson(0.9), 2))
        placements: list[Placement] = []
        for centre in centres[self._kept(rng, centres, 0.5)]:
            if rng.random() < self._abnormal_share:
                kind = "LSIL" if rng.random() < 0.55 else "HSIL"
            else:
                kind = list(_CLUSTER_SHARES)[rng.choice(len(_CLUSTER_SHARES), p=list(_CLUSTER_SHARES.values()))]
            large = KINDS[kind].radius_um[0] > 15
            spread = rng.uniform(22, 45) if large else rng.uniform(10, 26)
            members: list[Placement] = []
            for _ in range(int(rng.integers(3, 11) if large else rng.integers(4, 26))):
                place = centre + np.clip(rng.normal(0, spread, 2), -80, 80)
                cell = self._cell(rng, place, kind)
                if not _crowded(cell, members, 0.55):
                    members.append(cell)
            placements += members
        return placements

    def _leucocytes_in(self, rng: np.random.Generator, corner: Field) -> list[Placement]:
        middle = corner + BLOCK_UM / 2
        inflamed = self._inflammation.at(middle[:1], middle[1:])[0] ** 2.5
        groups = corner + rng.uniform(0, BLOCK_UM, (rng.poisson(1 + self._leucocytes * inflamed), 2))
        placements = []
        along = np.array([np.sin(self._flow), np.cos(self._flow)])
        for group in groups[self._kept(rng, groups, 0.35)]:
            count = 1 if rng.random() < 0.7 else int(rng.geometric(0.22))
            spread = 4.5 * np.sqrt(count)
            offsets = rng.normal(0, spread, (min(count, 30), 2))
            offsets += np.outer(rng.normal(0, spread, len(offsets)), along)
            places = group + np.clip(offsets, -100, 100) * (count > 1)
            placements += [self._from_atlas(rng, place, "leucocyte", LEUCOCYTE_REACH_UM) for place in places]
        return placements

    def _debris_in(self, rng: np.random.Generator, corner: Field) -> list[Placement]:
        places = corner + rng.uniform(0, BLOCK_UM, (rng.poisson(6 + self._bacteria), 2))
        kept = places[self._kept(rng, places, 0.4)]
        return [self._from_atlas(rng, place, "debris", DEBRIS_REACH_UM) for place in kept]

    def _from_atlas(self, rng: np.random.Generator, place: Field, atlas: str, reach_um: float) -> Placement:
        depth = int(rng.choice(len(DEPTHS_UM), p=_DEPTH_SHARES))
        number = int(rng.integers(ATLAS_SIZE))
        return Placement((float(place[0]), float(place[1])), depth, 1.42 * (reach_um + 2), None, atlas, number)


def _crowded(cell: Placement, others: list[Placement], closeness: float = 0.6) -> bool:
    """Whether a cell would lie too deep in one placed before."""
    assert cell.anatomy is not None
    for other in others:
        if other.anatomy is None:
            continue
        reach = closeness * (cell.anatomy.radius_um + other.anatomy.radius_um)
        if np.hypot(cell.centre_um[0] - other.centre_um[0], cell.centre_um[1] - other.centre_um[1]) < reach:
            return True
    return False
