"""Ratings made up for tests."""

from __future__ import annotations

from napari_pathsrgan.review.scores import RaterState, Rating, Scores


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
