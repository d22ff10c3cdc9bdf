"""Figures that were estimated: each with its error, or with the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure and its uncertainty.

    Attributes
    ----------
    value : float
    error : float
        Standard deviation, in the same unit.
    """

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class NotMeasurable:
    """A figure that a scan does not show.

    Attributes
    ----------
    reason : str
        Why, in a few words: "too few cells".
    """

    reason: str
