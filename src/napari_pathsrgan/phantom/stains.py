"""Colours of the Papanicolaou stain as optical density per channel.

The poles are chromaticities (share of R, G and B in the optical density) found by clustering 91 fields of CRIC Cervix
(Rezende et al. 2021) into cytoplasm and nuclei; a specimen draws one pair of poles and its own strengths, as slides
of one laboratory resemble each other and those of two do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Colour = npt.NDArray[np.float32]

_WARM = {"orange": (0.10, 0.33, 0.57), "salmon": (0.136, 0.384, 0.48), "pink": (0.187, 0.418, 0.395)}
_COOL = {
    "green": (0.52, 0.24, 0.24),
    "blue": (0.46, 0.30, 0.24),
    "grey": (0.36, 0.345, 0.295),
    "violet": (0.34, 0.40, 0.26),
}
_NUCLEAR = {"blue": (0.37, 0.38, 0.25), "purple": (0.32, 0.40, 0.28), "violet": (0.35, 0.43, 0.22)}

_FAMILIES = (
    ("orange", "green", "purple", 0.16),
    ("orange", "grey", "purple", 0.08),
    ("salmon", "green", "blue", 0.16),
    ("salmon", "blue", "purple", 0.18),
    ("salmon", "grey", "purple", 0.08),
    ("pink", "blue", "purple", 0.16),
    ("pink", "violet", "violet", 0.16),
)


@dataclass(frozen=True, slots=True)
class Palette:
    """The stain of one specimen.

    Attributes
    ----------
    warm, cool, nuclear : (3,) float32
        Colour of eosinophilic cytoplasm, cyanophilic cytoplasm and chromatin: optical density in R, G, B for a mean
        optical density of 1.
    cytoplasm_strength, nuclear_strength : float
        Factors on the amounts.
    warm_share : float
        Share of eosinophilic cells among mature ones, 0 to 1.
    """

    warm: Colour
    cool: Colour
    nuclear: Colour
    cytoplasm_strength: float
    nuclear_strength: float
    warm_share: float

    def cytoplasm(self, warmth: float, rng: np.random.Generator) -> Colour:
        """Colour of one cell's cytoplasm.

        Parameters
        ----------
        warmth : float
            0 for cyanophilic, 1 for eosinophilic, between for amphophilic.
        rng : numpy.random.Generator
            Source of the cell's own deviation.

        Returns
        -------
        (3,) float32
            Optical density in R, G, B for a mean of 1.
        """
        return _unit((self.cool * (1 - warmth) + self.warm * warmth) * np.exp(rng.normal(0, 0.05, 3)))

    def chromatin(self, rng: np.random.Generator) -> Colour:
        """Colour of one cell's nucleus, as `cytoplasm`."""
        return _unit(self.nuclear * np.exp(rng.normal(0, 0.03, 3)))


def draw_palette(rng: np.random.Generator) -> Palette:
    """Draw the stain of a specimen.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    Palette
        One of seven families seen in CRIC, with its own hue and strengths.
    """
    share = np.array([family[3] for family in _FAMILIES])
    warm, cool, nuclear, _ = _FAMILIES[rng.choice(len(_FAMILIES), p=share / share.sum())]
    return Palette(
        warm=_unit(np.array(_WARM[warm]) * np.exp(rng.normal(0, 0.06, 3))),
        cool=_unit(np.array(_COOL[cool]) * np.exp(rng.normal(0, 0.06, 3))),
        nuclear=_unit(np.array(_NUCLEAR[nuclear]) * np.exp(rng.normal(0, 0.04, 3))),
        cytoplasm_strength=float(rng.uniform(0.75, 1.35)),
        nuclear_strength=float(rng.uniform(0.85, 1.2)),
        warm_share=float(rng.uniform(0.35, 0.8)),
    )


def _unit(colour: npt.NDArray[np.floating]) -> Colour:
    return np.asarray(colour / colour.mean(), dtype=np.float32)
