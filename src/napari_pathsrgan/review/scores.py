"""What was rated, and whose picture it was: a review and the organiser's key brought together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.errors import ReviewFileError
from napari_pathsrgan.review import store

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
    label : str
        Its class.
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
    methods: tuple[str, ...]
    score: int | None
    seconds: float
    repeat: bool
    trial: str
    flagged: bool
    comment: str


@dataclass(frozen=True)
class RaterState:
    """How far a rater is, warm-up not counted."""

    name: str
    done: int
    total: int

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
        Mean ``psnr`` and ``ssim`` of each method over the fields rated, where there are real pictures.
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
        """Raters who have not rated everything."""
        return [rater for rater in self.raters if not rater.finished]


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
    db = store.connect(path)
    try:
        with store.told_damage(path):
            facts = store.facts(db)
            if facts["study"] != key.study:
                raise ReviewFileError(
                    f"The key belongs to another review than {path.name}.", "Give this review's own with --key."
                )
            raters = [
                RaterState(str(name), int(done), int(total))
                for name, done, total in db.execute(
                    "SELECT places.rater, count(ratings.place), count(*)"
                    " FROM places JOIN trials ON id = trial AND NOT warm_up"
                    " LEFT JOIN ratings ON ratings.rater = places.rater AND ratings.place = places.place"
                    " GROUP BY places.rater ORDER BY places.rater"
                )
            ]
            rows = db.execute(
                "SELECT ratings.rater, ratings.place, trial, first, second, score, seconds, flagged, comment,"
                " EXISTS (SELECT 1 FROM places AS before WHERE before.rater = ratings.rater"
                "         AND before.trial = places.trial AND before.place < ratings.place)"
                " FROM ratings JOIN places ON places.rater = ratings.rater AND places.place = ratings.place"
                " JOIN trials ON trials.id = trial AND NOT warm_up"
                " LEFT JOIN remarks ON remarks.rater = ratings.rater AND remarks.place = ratings.place"
                " ORDER BY ratings.rater, ratings.place"
            ).fetchall()
    finally:
        db.close()
    if finished_only:
        raters = [rater for rater in raters if rater.finished]
    wanted = {rater.name for rater in raters}
    ratings = []
    for rater, place, trial, first, second, score, seconds, flagged, comment, repeat in rows:
        if rater in wanted:
            shown = [key.pictures[name] for name in (first, second) if name is not None]
            ratings.append(
                Rating(
                    rater, place, shown[0].patch, shown[0].label, tuple(one.method for one in shown), score, seconds,
                    bool(repeat), trial, bool(flagged), comment or "",
                )
            )  # fmt: skip
    if not ratings:
        raise ReviewFileError(
            f"Nothing is rated in {path.name} yet{' by anyone who has finished' if finished_only else ''}.",
            "Let somebody rate first: pathsrgan review rate.",
        )
    return Scores(facts["title"], facts["mode"], list(key.methods), ratings, raters, _measures(key), key.study)


def _measures(key: Key) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for method in key.methods:
        own: list[Entry] = [one for one in key.pictures.values() if one.method == method and one.use == "rating"]
        for name in own[0].measures if own else ():
            found.setdefault(method, {})[name] = sum(one.measures[name] for one in own) / len(own)
    return found
