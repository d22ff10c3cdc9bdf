"""Raters' histories in a review file: read with care, and written event by event."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_pathsrgan.errors import ReviewFileError
from napari_pathsrgan.review import store
from napari_pathsrgan.review.events import (
    Event,
    InvalidEventError,
    Outcome,
    Remark,
    Score,
    dropped_because,
    replay,
)
from napari_pathsrgan.review.order import Slot, draw_order
from napari_pathsrgan.review.schema import MAX_ROWS


@dataclass(frozen=True)
class History:
    """What one rater did.

    Attributes
    ----------
    rater : str
    events : list of Event
        All of the journal's.
    outcome : Outcome
        What follows from them.
    dropped : str or None
        Why the organiser left this rater out.
    """

    rater: str
    events: list[Event]
    outcome: Outcome
    dropped: str | None


def rater_names(db: sqlite3.Connection) -> list[str]:
    """Everybody who began, sorted by name."""
    return [str(name) for (name,) in db.execute(f"SELECT name FROM raters ORDER BY name LIMIT {MAX_ROWS}")]


def read_history(db: sqlite3.Connection, path: Path, rater: str) -> History:
    """Read and check what a rater did.

    Raises
    ------
    ReviewFileError
        If it holds anything that this rater can't have done in this review, or the tables contradict each other.
    """
    with store.explain_damage(path):
        mode, order = store.facts(db)["mode"], trial_order(db, rater)
        events = read_events(db, rater)
        tables, places = _tables_outcome(db, rater), _places(db, rater)
    try:
        outcome = replay(events, len(order), mode)
        if not events or events[0].act != "began":
            raise InvalidEventError("they never began")
        if places != [(place, trial, int(swapped)) for place, (trial, swapped) in enumerate(order)]:
            raise InvalidEventError("the order is not the one that was drawn for this rater")
        if outcome != tables:
            raise InvalidEventError("they differ from the journal of what the rater did")
    except InvalidEventError as error:
        raise ReviewFileError(
            f"The ratings of “{rater}” in {path.name} were changed or are damaged: {error}.",
            f"Save them with `pathsrgan review rescue`, or leave them out: pathsrgan review drop {path.name} {rater}.",
        ) from error
    return History(rater, events, outcome, dropped_because(events))


def read_events(db: sqlite3.Connection, rater: str) -> list[Event]:
    """Everything in the journal about a rater, in order, as it is."""
    rows = db.execute(
        f"SELECT place, act, value, seconds, at FROM journal WHERE rater = ? ORDER BY number LIMIT {MAX_ROWS}", (rater,)
    )
    return [Event(*row) for row in rows]


def trial_order(db: sqlite3.Connection, rater: str) -> list[tuple[str, bool]]:
    """The trials in the order drawn for a rater, practice first, and whether their sides are swapped."""
    facts = store.facts(db)
    order: list[tuple[str, bool]] = []
    for warm_up, repeats in ((1, 0), (0, int(facts["repeats"]))):
        rows = db.execute("SELECT id, field, turn, couple FROM trials WHERE warm_up = ?", (warm_up,))
        slots = {trial: Slot(*rest) for trial, *rest in rows}
        order += draw_order(slots, repeats, int(facts["seed"]), rater)
    return order


def dropped_reason(db: sqlite3.Connection, rater: str) -> str | None:
    """Why a rater was dropped, whatever else is wrong with their history; None for those who were not."""
    row = db.execute(
        "SELECT value FROM journal WHERE rater = ? AND act = 'dropped' ORDER BY number DESC LIMIT 1", (rater,)
    ).fetchone()
    return None if row is None else "".join(one for one in str(row[0]) if one.isprintable())


def enrol(db: sqlite3.Connection, rater: str, hold: str = "") -> None:
    """Enter a rater with the order drawn for them; within a transaction."""
    db.execute("INSERT INTO raters VALUES (?, ?)", (rater, hold or new_hold()))
    db.executemany(
        "INSERT INTO places VALUES (?, ?, ?, ?)",
        [(rater, place, trial, int(swapped)) for place, (trial, swapped) in enumerate(trial_order(db, rater))],
    )


def append(db: sqlite3.Connection, rater: str, events: Iterable[Event]) -> None:
    """Add to the journal; within a transaction."""
    db.executemany(
        "INSERT INTO journal (rater, place, act, value, seconds, at) VALUES (?, ?, ?, ?, ?, ?)",
        [(rater, one.place, one.act, one.value, one.seconds, one.at) for one in events],
    )


def append_and_apply(db: sqlite3.Connection, rater: str, events: Sequence[Event]) -> None:
    """Add events that happened elsewhere, and what follows from all; an open window of this rater's stops writing."""
    append(db, rater, events)
    places = store.number(db, "SELECT count(*) FROM places WHERE rater = ?", rater)
    outcome = replay(read_events(db, rater), places, store.facts(db)["mode"])
    db.execute("DELETE FROM ratings WHERE rater = ?", (rater,))
    db.execute("DELETE FROM remarks WHERE rater = ?", (rater,))
    db.executemany(
        "INSERT INTO ratings VALUES (?, ?, ?, ?, ?)",
        [(rater, place, one.value, one.seconds, one.at) for place, one in sorted(outcome.scores.items())],
    )
    db.executemany(
        "INSERT INTO remarks VALUES (?, ?, ?, ?)",
        [(rater, place, int(one.flagged), one.comment) for place, one in sorted(outcome.remarks.items())],
    )
    db.execute("UPDATE raters SET held_by = ? WHERE name = ?", (new_hold(), rater))


def new_hold() -> str:
    """A token for the window that may write under a rater's name."""
    return secrets.token_hex(8)


def now() -> str:
    """The time for the journal."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _tables_outcome(db: sqlite3.Connection, rater: str) -> Outcome:
    ratings = db.execute(f"SELECT place, score, seconds, at FROM ratings WHERE rater = ? LIMIT {MAX_ROWS}", (rater,))
    remarks = db.execute(f"SELECT place, flagged, comment FROM remarks WHERE rater = ? LIMIT {MAX_ROWS}", (rater,))
    return Outcome(
        {place: Score(*rest) for place, *rest in ratings},
        {place: Remark(bool(flagged), comment) for place, flagged, comment in remarks},
    )


def _places(db: sqlite3.Connection, rater: str) -> list[tuple[int, str, int]]:
    query = f"SELECT place, trial, swapped FROM places WHERE rater = ? ORDER BY place LIMIT {MAX_ROWS}"
    return db.execute(query, (rater,)).fetchall()
