"""Ratings made up for tests."""

from __future__ import annotations

import numpy as np

from napari_pathsrgan.review.scores import RaterState, Rating, Scores

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], np.float64
).T
"""Shrout & Fleiss 1979, *Psychological Bulletin* 86: 420–428, Table 2; here (judges, targets)."""


def rating(
    rater: str, patch: str, methods: str | tuple[str, ...], score: int | None, repeat: bool = False, **more: object
) -> Rating:
    methods = (methods,) if isinstance(methods, str) else methods
    fields = {"place": 0, "label": "", "slide": "", "seconds": 2.0, "flagged": False, "comment": "", **more}
    trial = f"{patch} {' '.join(methods)}"
    return Rating(rater=rater, patch=patch, methods=methods, score=score, repeat=repeat, trial=trial, **fields)


def scores_of(ratings: list[Rating], methods: list[str], mode: str = "single") -> Scores:
    raters = sorted({one.rater for one in ratings})
    states = [RaterState(name, *[sum(one.rater == name for one in ratings)] * 2) for name in raters]
    return Scores("Study", mode, methods, ratings, states, {}, "study-1")
