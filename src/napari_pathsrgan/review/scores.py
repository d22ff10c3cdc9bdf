"""What was rated, and whose image it was: a review and the organiser's key brought together."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathsrgan.errors import ReviewFileError
from napari_pathsrgan.review import histories, store
from napari_pathsrgan.review.events import Outcome, Remark
from napari_pathsrgan.review.import_export import trials_by_name

if TYPE_CHECKING:
    from napari_pathsrgan.review.key import Entry, Key


@dataclass(frozen=True)
class Rating:
    """One rating.

    Attributes
    ----------
    rater : str
    place : int
        In the rater's order.
    patch : str
        Name of the field.
    label, slide : str
        Its class and its slide.
    methods : tuple of str
        One method, or the left and the right one.
    score : int or None
        See `trial.SCORES`; None for “can't judge”.
    seconds : float
        How long it was looked at.
    repeat : bool
        Whether the rater had rated the same before.
    trial : str
    flagged : bool
    comment : str
    """

    rater: str
    place: int
    patch: str
    label: str
    slide: str
    methods: tuple[str, ...]
    score: int | None
    seconds: float
    repeat: bool
    trial: str
    flagged: bool
    comment: str


@dataclass(frozen=True)
class RaterState:
    """How far a rater is, warm-up not counted; and why the organiser dropped them, if they were."""

    name: str
    done: int
    total: int
    dropped: str | None = None

    @property
    def finished(self) -> bool:
        """Whether everything is rated."""
        return self.done == self.total


@dataclass(frozen=True)
class Scores:
    """All ratings that count, and by whom.

    Attributes
    ----------
    title, mode : str
    methods : list of str
    ratings : list of Rating
        Without those of the warm-up.
    raters : list of RaterState
    measures : dict of str to dict of str to float
        Mean ``psnr`` and ``ssim`` of each method over the fields rated, where there are real images.
    study : str
        Identifier of the study, the same in its review files and its key.
    """

    title: str
    mode: str
    methods: list[str]
    ratings: list[Rating]
    raters: list[RaterState]
    measures: dict[str, dict[str, float]]
    study: str

    @property
    def unfinished(self) -> list[RaterState]:
        """Raters who have not rated everything, without those dropped."""
        return [rater for rater in self.raters if not rater.finished and rater.dropped is None]


def read_scores(path: Path, key: Key, finished_only: bool = False) -> Scores:
    """Read the ratings of a review.

    Parameters
    ----------
    path : Path
        The review file.
    key : Key
        The organiser's.
    finished_only : bool
        Leave out raters who have not rated everything.

    Raises
    ------
    ReviewFileError
        If the file can't be used, the key is another review's, or nothing is rated.
    """
    with closing(store.connect(path)) as db:
        facts = store.facts(db)
        _check_key(db, facts, key, path)
        found = [_read_rater(db, path, rater, key) for rater in histories.rater_names(db)]
    if finished_only:
        found = [(state, ratings) for state, ratings in found if state.finished or state.dropped is not None]
    raters, ratings = [state for state, _ in found], [one for _, own in found for one in own]
    if not ratings:
        dropped = [state.name for state in raters if state.dropped is not None and state.done]
        if dropped:
            raise ReviewFileError(
                f"All who have rated in {path.name} were left out of the results: {', '.join(dropped)}.",
                "Import ratings of others, or let somebody else rate: pathsrgan review rate.",
            )
        raise ReviewFileError(
            f"Nothing is rated in {path.name} yet{' by anyone who has finished' if finished_only else ''}.",
            "Let somebody rate first: pathsrgan review rate.",
        )
    return Scores(facts["title"], facts["mode"], list(key.methods), ratings, raters, _measures(key), key.study)


def _check_key(db: sqlite3.Connection, facts: dict[str, str], key: Key, path: Path) -> None:
    if facts["study"] != key.study:
        raise ReviewFileError(
            f"The key belongs to another review than {path.name}.", "Give this review's own with --key."
        )
    images = {name for (name,) in db.execute("SELECT id FROM images")}
    whole = set(key.images) == images and {one.method for one in key.images.values()} <= set(key.methods)
    if facts["content"] != key.content or not whole:
        raise ReviewFileError(
            f"{path.name} shows other images or trials than its key knows.", "Take both files as they were made."
        )


def _read_rater(db: sqlite3.Connection, path: Path, rater: str, key: Key) -> tuple[RaterState, list[Rating]]:
    """How far a rater is, and what counts of their ratings: nothing of one who was dropped."""
    trials = trials_by_name(db)
    order = histories.trial_order(db, rater)
    counted = [place for place, (trial, _) in enumerate(order) if not trials[trial][2]]
    if (dropped := histories.dropped_reason(db, rater)) is not None:
        done = store.number(
            db, "SELECT count(*) FROM ratings WHERE rater = ? AND place >= ?", rater, min(counted, default=0)
        )
        return RaterState(rater, done, len(counted), dropped), []
    outcome = histories.read_history(db, path, rater).outcome
    ratings = [
        _rating(rater, place, order, trials[order[place][0]], outcome, key)
        for place in counted
        if place in outcome.scores
    ]
    return RaterState(rater, len(ratings), len(counted)), ratings


def _rating(
    rater: str, place: int, order: list[tuple[str, bool]], trial: tuple[Any, ...], outcome: Outcome, key: Key
) -> Rating:
    name, swapped = order[place]
    shown = [key.images[image] for image in (reversed(trial[:2]) if swapped else trial[:2]) if image]
    score, remark = outcome.scores[place], outcome.remarks.get(place, Remark())
    return Rating(
        rater, place, shown[0].patch, shown[0].label, shown[0].slide, tuple(one.method for one in shown), score.value,
        score.seconds, order[place] in order[:place], name, remark.flagged, remark.comment,
    )  # fmt: skip


def _measures(key: Key) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for method in key.methods:
        own: list[Entry] = [one for one in key.images.values() if one.method == method and one.use == "rating"]
        for name in own[0].measures if own else ():
            values = [one.measures[name] for one in own if name in one.measures]
            found.setdefault(method, {})[name] = sum(values) / len(values)
    return found
