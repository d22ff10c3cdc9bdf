"""What a rater sees at one place of their order, and what can be said of it."""

from __future__ import annotations

from dataclasses import dataclass

SCORES = {"single": (1, 2, 3, 4, 5), "pair": (1, 2, 3)}
"""Single images: 1 bad to 5 excellent. Pairs: 1 left, 2 no difference, 3 right."""


@dataclass(frozen=True)
class Trial:
    """What is shown at one place of a rater's order.

    Attributes
    ----------
    place : int
        From 0, warm-up included.
    images : tuple of str
        Names of one image, or of the left and the right one.
    warm_up : bool
        Whether it doesn't count.
    score : int or None
        As rated before; None for “can't judge” and where nothing was said.
    rated : bool
    flagged : bool
    comment : str
    """

    place: int
    images: tuple[str, ...]
    warm_up: bool
    score: int | None
    rated: bool
    flagged: bool
    comment: str


@dataclass(frozen=True)
class Progress:
    """How far a rater is.

    Attributes
    ----------
    number, total : int
        Of the image that is shown, from 1: among those to warm up, or among those that count.
    warm_up : bool
    """

    number: int
    total: int
    warm_up: bool
