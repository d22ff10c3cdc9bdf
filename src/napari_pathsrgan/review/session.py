"""One rater at work on a review: what is shown next, and every rating on disk before it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from napari_pathsrgan.errors import OptionError, RaterKnownError, RatingNotSavedError, ReviewFileError
from napari_pathsrgan.review import histories, store
from napari_pathsrgan.review.events import MAX_COMMENT, MAX_SECONDS, Event
from napari_pathsrgan.review.image import decode, digest
from napari_pathsrgan.review.raters import checked_name
from napari_pathsrgan.review.trial import SCORES, Progress, Trial

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels


@dataclass(frozen=True)
class _Rating:
    place: int
    score: int | None
    seconds: float
    at: str


class Session:
    """A rater's session; opened again, it goes on at the same image.

    Parameters
    ----------
    path : Path
        The review file.
    rater : str
        A pseudonym.
    go_on : bool
        Whether ratings under this name are this rater's own.

    Attributes
    ----------
    path : Path
    rater : str
    mode : str
        "single" or "pair".
    facts : dict of str to str
        ``title``, ``question``, ``zoom``, ``grey``, ``rows``, ``cols`` and others.
    place : int or None
        Of what is shown; None when everything is rated.

    Raises
    ------
    RaterKnownError
        If there are ratings under this name, and nobody said that they go on.
    ReviewFileError
        If the file can't be used; see `store.connect`.
    """

    def __init__(self, path: Path, rater: str, go_on: bool = False) -> None:
        self.path = Path(path)
        self.rater = checked_name(rater)
        self._hold = histories.new_hold()
        self._pending: _Rating | None = None
        self._db = store.connect(self.path)
        try:
            with store.explain_damage(self.path):
                self.facts = store.facts(self._db)
                self.mode = self.facts["mode"]
                self._enrol(go_on)
                self.place = self._next_place()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was rated is in it."""
        self._db.close()

    # ------------------------------------------------------------------ what is shown

    @property
    def trial(self) -> Trial:
        """What is shown now; LookupError when everything is rated."""
        if self.place is None:
            raise LookupError("Everything is rated.")
        row = self._db.execute(
            "SELECT first, second, swapped, warm_up, score, ratings.place IS NOT NULL, flagged, comment FROM places"
            " JOIN trials ON trials.id = places.trial"
            " LEFT JOIN ratings ON ratings.rater = places.rater AND ratings.place = places.place"
            " LEFT JOIN remarks ON remarks.rater = places.rater AND remarks.place = places.place"
            " WHERE places.rater = ? AND places.place = ?",
            (self.rater, self.place),
        ).fetchone()
        first, second, swapped, warm_up, score, rated, flagged, comment = row
        images = (first,) if second is None else (second, first) if swapped else (first, second)
        return Trial(self.place, images, bool(warm_up), score, bool(rated), bool(flagged), comment or "")

    @property
    def progress(self) -> Progress:
        """Where in the order what is shown stands; the last number when everything is rated."""
        warm = self._count("SELECT count(*) FROM places JOIN trials ON id = trial WHERE rater = ? AND warm_up")
        total = self._count("SELECT count(*) FROM places WHERE rater = ?")
        if self.place is not None and self.place < warm:
            return Progress(self.place + 1, warm, True)
        return Progress(total - warm if self.place is None else self.place - warm + 1, total - warm, False)

    @property
    def anchors(self) -> list[tuple[int, str]]:
        """Examples for the first page: score and name of the image, the worst first."""
        return [(int(score), str(name)) for score, name in self._db.execute(
            "SELECT score, image FROM anchors ORDER BY score, image")]  # fmt: skip

    def image(self, name: str) -> Pixels:
        """Read an image: (rows, cols, 3) uint8; ReviewFileError if it's gone, changed or damaged on disk."""
        with store.explain_damage(self.path):
            row = self._db.execute("SELECT sha256, pixels FROM images WHERE id = ?", (name,)).fetchone()
        if row is None or digest(row[1]) != row[0]:
            raise ReviewFileError(
                f"An image is missing from {self.path.name}, or damaged.",
                "Choose “Can't judge” to go on without it, and tell the organiser.",
            )
        return decode(row[1], name, int(self.facts["rows"]), int(self.facts["cols"]))

    # ------------------------------------------------------------------ what a rater does

    def rate(self, score: int | None, seconds: float) -> None:
        """Rate what is shown, and go on to the next; a correction replaces the rating of before.

        When this returns, the rating is on disk.

        Parameters
        ----------
        score : int or None
            One of `SCORES`; None for “can't judge”.
        seconds : float
            How long it was looked at.

        Raises
        ------
        RatingNotSavedError
            If it can't be written now: it's kept, `retry` writes it, and what is shown stays.
        """
        if self.place is None:
            raise LookupError("Everything is rated.")
        if score is not None and score not in SCORES[self.mode]:
            raise ValueError(f"A rating is one of {SCORES[self.mode]}, not {score}.")
        self._pending = _Rating(self.place, score, min(max(seconds, 0.0), MAX_SECONDS), histories.now())
        self.retry()

    @property
    def waiting(self) -> bool:
        """Whether a rating isn't on disk yet."""
        return self._pending is not None

    def retry(self) -> None:
        """Write the rating that could not be written, and go on; RatingNotSavedError if it still can't."""
        if self._pending is None:
            return
        one = self._pending
        with self._written("This rating") as db:
            before = db.execute(
                "SELECT score FROM ratings WHERE rater = ? AND place = ?", (self.rater, one.place)
            ).fetchone()
            db.execute(
                "INSERT INTO ratings VALUES (?, ?, ?, ?, ?) ON CONFLICT (rater, place) DO UPDATE"
                " SET score = excluded.score, seconds = excluded.seconds, at = excluded.at",
                (self.rater, one.place, one.score, one.seconds, one.at),
            )
            act = "rated" if before is None else "corrected"
            self._note(db, act, "" if one.score is None else str(one.score), one.place, one.seconds, one.at)
        self._pending = None
        self.place = self._next_place()

    def flag(self, flagged: bool) -> None:
        """Mark what is shown as odd, or take the mark away; RatingNotSavedError if it can't be written."""
        self._remark(flagged, self.trial.comment, "flagged" if flagged else "unflagged", "")

    def comment(self, text: str) -> None:
        """Say something about what is shown; RatingNotSavedError if it can't be written.

        Of a longer text, the first 2000 characters are kept.
        """
        text = text.encode(errors="replace").decode()[:MAX_COMMENT]  # half a character of two can't be written
        self._remark(self.trial.flagged, text, "commented", text)

    def pause(self, on: bool) -> None:
        """Note that the rater pauses or goes on; RatingNotSavedError if it can't be written."""
        with self._written("The pause") as db:
            self._note(db, "paused" if on else "resumed", "", self.place)

    def back(self) -> bool:
        """Show what was shown before; False where there is nothing before."""
        last = self._count("SELECT count(*) FROM places WHERE rater = ?")
        here = last if self.place is None else self.place
        if here == 0 or self.waiting:
            return False
        self.place = here - 1
        return True

    def forward(self) -> None:
        """Show the first that isn't rated yet."""
        self.place = self._next_place()

    # ------------------------------------------------------------------ the file

    def _enrol(self, go_on: bool) -> None:
        """Enter the rater with an order of their own, once; the latest window under a name is the one that writes."""
        with self._written("Your name", check_hold=False) as db:
            known = db.execute("SELECT name FROM raters WHERE name = ?", (self.rater,)).fetchone()
            if known is None:
                histories.enrol(db, self.rater, self._hold)
                self._note(db, "began", "")
                return
            self.rater = str(known[0])
            history = histories.read_history(db, self.path, self.rater)
            self._check_known(history, go_on)
            db.execute("UPDATE raters SET held_by = ? WHERE name = ?", (self._hold, self.rater))
            self._note(db, "opened", "")

    def _check_known(self, history: histories.History, go_on: bool) -> None:
        if history.dropped is not None:
            raise OptionError(
                f"“{self.rater}” was dropped from {self.path.name} ({history.dropped}).",
                "Ask the organiser, or choose another name.",
            )
        if not go_on and history.outcome.scores:
            total = self._count("SELECT count(*) FROM places WHERE rater = ?")
            raise RaterKnownError(
                f"“{self.rater}” has rated {len(history.outcome.scores)} of {total} in {self.path.name} already.",
                "If that was you, go on with --continue; otherwise choose another name.",
            )

    def _next_place(self) -> int | None:
        row = self._db.execute(
            "SELECT min(place) FROM places WHERE rater = ? AND place NOT IN"
            " (SELECT place FROM ratings WHERE rater = ?)",
            (self.rater, self.rater),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def _remark(self, flagged: bool, comment: str, act: str, value: str) -> None:
        with self._written("This remark") as db:
            db.execute(
                "INSERT INTO remarks VALUES (?, ?, ?, ?) ON CONFLICT (rater, place) DO UPDATE"
                " SET flagged = excluded.flagged, comment = excluded.comment",
                (self.rater, self.place, int(flagged), comment),
            )
            self._note(db, act, value, self.place)

    def _note(
        self, db: sqlite3.Connection, act: str, value: str, place: int | None = None, seconds: float | None = None,
        at: str = "",
    ) -> None:  # fmt: skip
        histories.append(db, self.rater, [Event(place, act, value, seconds, at or histories.now())])

    def _count(self, query: str) -> int:
        return store.number(self._db, query, self.rater)

    @contextmanager
    def _written(self, what: str, check_hold: bool = True) -> Iterator[sqlite3.Connection]:
        """Do something as a whole, unless another window of this rater's has taken over."""
        with store.written(self._db, self.path, what):
            if check_hold:
                self._check_hold()
            yield self._db

    def _check_hold(self) -> None:
        row = self._db.execute("SELECT held_by FROM raters WHERE name = ?", (self.rater,)).fetchone()
        if row is None or row[0] != self._hold:
            raise RatingNotSavedError(
                f"“{self.rater}” goes on rating in another window; nothing was written from here.",
                "Close this window, and go on in the other.",
            )
