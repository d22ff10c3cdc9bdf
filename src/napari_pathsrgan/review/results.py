"""What a review found, all of it: computed once, told as a table, as JSON or as a page."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathsrgan.review.agreement import (
    Consistency,
    Icc,
    consistencies,
    intraclass_correlation,
    krippendorff_alpha,
)
from napari_pathsrgan.review.preference import LEFT, RIGHT, Preference, count_choices, preferences
from napari_pathsrgan.review.statistics import (
    Array,
    Comparison,
    OpinionScore,
    RatingMatrix,
    build_matrix,
    compare_methods,
    opinion_scores,
)

if TYPE_CHECKING:
    from napari_pathsrgan.review.multi_rater import Estimate
    from napari_pathsrgan.review.scores import RaterState, Rating, Scores

FORMAT, FORMAT_VERSION = "napari-pathsrgan review report", 2


@dataclass(frozen=True)
class Results:
    """What a review found.

    Attributes
    ----------
    title, mode : str
    raters : list of RaterState
    opinions : list of OpinionScore
        By method; empty for pairs, as is `comparisons`.
    comparisons : list of Comparison
    preferences : list of Preference
        By method; empty for single images.
    iccs : dict of str to Icc
        By method, over its fields; and under "" over all images, whose methods differ as well. Empty for pairs.
    alphas : dict of str to Estimate
        Krippendorff's alpha by level of measurement: "ordinal" and "interval", or "nominal" for pairs.
    consistency : list of Consistency
    measures : dict of str to dict of str to float
        See `Scores.measures`.
    notes : list of str
        What to know before one believes the figures.
    flagged : int
        How many images raters flagged or commented on.
    study : str
        Identifier of the study.
    """

    title: str
    mode: str
    raters: list[RaterState]
    opinions: list[OpinionScore]
    comparisons: list[Comparison]
    preferences: list[Preference]
    iccs: dict[str, Icc]
    alphas: dict[str, Estimate]
    consistency: list[Consistency]
    measures: dict[str, dict[str, float]]
    notes: list[str]
    flagged: int
    study: str

    def record(self) -> dict[str, Any]:
        """Everything in plain values, with the format's name and version and the date; what can't be had is None."""
        head = {"format": FORMAT, "version": FORMAT_VERSION, "study": self.study}
        return head | {"date": datetime.now(UTC).isoformat(timespec="seconds")} | dict(_plain(asdict(self)))


def compute_results(scores: Scores) -> Results:
    """Compute everything there is to say about a review's ratings.

    Raises
    ------
    MissingPartError
        If a library of the extra *review* isn't installed.
    """
    by_rater, fields = _by_rater(scores.ratings)
    notes = _notes(scores)
    opinions: list[OpinionScore] = []
    comparisons: list[Comparison] = []
    preferred: list[Preference] = []
    iccs: dict[str, Icc] = {}
    if scores.mode == "pair":
        preferred, bounded = preferences(count_choices(scores.ratings, scores.methods), scores.methods)
        alphas = {"nominal": krippendorff_alpha(by_rater, "nominal", fields)}
        notes += _pair_notes(scores, bounded)
    else:
        matrix = build_matrix(scores.ratings, scores.methods)
        opinions = opinion_scores(matrix, scores.ratings)
        comparisons = compare_methods(matrix)
        notes += _single_notes(matrix)
        iccs = {"": intraclass_correlation(by_rater)} | {
            method: intraclass_correlation(matrix.values[..., index]) for index, method in enumerate(matrix.methods)
        }
        alphas = {level: krippendorff_alpha(by_rater, level, fields) for level in ("ordinal", "interval")}
    return Results(
        scores.title, scores.mode, scores.raters, opinions, comparisons, preferred, iccs, alphas,
        consistencies(scores.ratings), scores.measures, notes,
        sum(one.flagged or bool(one.comment) for one in scores.ratings), scores.study,
    )  # fmt: skip


def _by_rater(ratings: list[Rating]) -> tuple[Array, list[str]]:
    """First ratings as raters know them, (raters, trials) float64, NaN where nothing was said; the trials' fields."""
    firsts = [one for one in ratings if not one.repeat]
    raters = {name: row for row, name in enumerate(sorted({one.rater for one in firsts}))}
    trials = {name: column for column, name in enumerate(sorted({one.trial for one in firsts}))}
    values = np.full((len(raters), len(trials)), np.nan)
    for one in firsts:
        if one.score is not None:
            values[raters[one.rater], trials[one.trial]] = one.score
    fields = {one.trial: one.patch for one in firsts}
    return values, [fields[trial] for trial in trials]


def _notes(scores: Scores) -> list[str]:
    notes = [
        f"Unfinished: {rater.name} has rated {rater.done} of {rater.total}; these ratings are included."
        for rater in scores.unfinished
        if rater.done
    ]
    notes += [f"Not begun: {rater.name}." for rater in scores.unfinished if not rater.done]
    notes += [
        f"Dropped: {rater.name}, who had rated {rater.done} of {rater.total}, is left out: {rater.dropped}"
        for rater in scores.raters
        if rater.dropped is not None
    ]
    raters = len({one.rater for one in scores.ratings})
    if raters == 1:
        notes.append("One rater only: the intervals say nothing about other raters, and there is no agreement.")
    if raters == 2:
        notes.append("Two raters only: the intervals are wide, since two hardly tell how far raters differ.")
    return notes


def _single_notes(matrix: RatingMatrix) -> list[str]:
    """Say what the intervals are about, and how much was missing."""
    table, slides = matrix.table(), len(set(matrix.slides))
    notes = []
    if table.unit == "slides":
        notes.append(f"The intervals are for other raters and other slides: {slides} slides were rated.")
    elif all(matrix.slides):
        notes.append("All fields are of one slide: the intervals are for other fields of it, not for other slides.")
    else:
        notes.append("The fields' slides are not known: the intervals count every field as a slide of its own.")
    if table.filled:
        notes.append(
            f"{table.filled * 100:.1f} % of the ratings are missing or “can't judge”: means and differences put in what"
            " rater, field and method let expect there."
        )
    return notes


def _pair_notes(scores: Scores, bounded: bool) -> list[str]:
    sides = [one.score for one in scores.ratings if one.score in (LEFT, RIGHT)]
    notes = []
    if sides:
        notes.append(
            f"The left image was chosen in {sides.count(LEFT) / len(sides) * 100:.0f} % of {len(sides)} choices."
        )
    if bounded:
        notes.append("Some methods never lost to others: half a choice each way was added to every pair compared.")
    return notes


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
