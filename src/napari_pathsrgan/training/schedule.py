"""Which phase a step belongs to, and its learning rate (Ma et al. 2020, § IV-C)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_pathsrgan.training.config import TrainingConfig

_LAST_RATE = 0.02


class Schedule:
    """The three phases of a training, laid end to end.

    Parameters
    ----------
    config : TrainingConfig
    pairs : int
        To learn from.

    Attributes
    ----------
    steps : (int, int, int)
        Of the three phases.
    """

    def __init__(self, config: TrainingConfig, pairs: int) -> None:
        self._config = config
        self._epoch = config.steps_per_epoch(pairs)
        self.steps = config.phase_steps(pairs)

    def __len__(self) -> int:
        """Steps of all phases."""
        return sum(self.steps)

    def place(self, step: int) -> tuple[int, int]:
        """Phase of the step after `step` others (0 to 2), and how many of its steps come before."""
        done = step
        for phase, steps in enumerate(self.steps):
            if done < steps:
                return phase, done
            done -= steps
        return 2, self.steps[2]

    def rate(self, phase: int, done: int, rollbacks: int = 0) -> float:
        """Adam's rate after a number of a phase's steps; half of it after a roll-back.

        Parameters
        ----------
        phase : int
            0 to 2.
        done : int
            Steps of it already taken.
        rollbacks : int
            Roll-backs so far.
        """
        start = self._config.learning_rates[phase] * 0.5**rollbacks
        if self._config.schedule == "cosine":
            share = min(1.0, done / max(1, self.steps[phase]))
            return start * (_LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share)))
        return start if phase == 2 else float(start * 0.5 ** (done // self._epoch))
