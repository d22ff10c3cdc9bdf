"""Notices when a training goes wrong: numbers that are none, and discriminators that teach nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

COLLAPSED_STEPS = 300
_CERTAIN = 1e-3
_INDIFFERENT = 1e-7


class Monitor:
    """Looks at every step's terms.

    A discriminator counts as collapsed when, for 300 steps on end, its loss is below 0.001, so that it tells every
    picture apart, or it answers the same for real and computed ones, as one does whose units are all dead.

    Attributes
    ----------
    doubtful_steps : int
        For how many steps a discriminator has looked collapsed; no checkpoint should be made meanwhile.
    """

    def __init__(self) -> None:
        self.doubtful_steps = 0

    def divergence(self, terms: Mapping[str, float]) -> str:
        """Say in a few words what is wrong after a step; nothing if all is well.

        Parameters
        ----------
        terms : mapping of str to float
            See `phases.train_step`.
        """
        if not all(map(math.isfinite, terms.values())):
            return "the loss is not a number any more"
        doubtful = ""
        for name, value in terms.items():
            kind, _, view = name.partition("_")
            if kind != "discriminator":
                continue
            if value < _CERTAIN:
                doubtful = f"the discriminator at {view} tells every picture apart"
            elif abs(terms[f"real_{view}"] - terms[f"computed_{view}"]) < _INDIFFERENT:
                doubtful = f"the discriminator at {view} says the same of every picture"
        self.doubtful_steps = self.doubtful_steps + 1 if doubtful else 0
        return doubtful if self.doubtful_steps >= COLLAPSED_STEPS else ""
