"""A review on other machines: a copy to rate there, and its ratings brought back."""

from __future__ import annotations

import csv
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from napari_pathsrgan.errors import OutputError, ReviewFileError
from napari_pathsrgan.review import store

_OF_RATERS = ("raters", "places", "ratings", "remarks")
_COLUMNS = ("rater", "place", "trial", "first", "second", "warm_up", "score", "seconds", "at", "flagged", "comment")


@dataclass(frozen=True)
class Imported:
    """What a copy brought.

    Attributes
    ----------
    new : list of str
        Raters who were not there before.
    further : list of str
        Raters of whom there were fewer ratings before.
    known : list of str
        Raters all of whose ratings were there.
    """

    new: list[str]
    further: list[str]
    known: list[str]


def export_copy(path: Path, out: Path) -> None:
    """Write a review without anyone's ratings, for another rater on another machine.

    Raises
    ------
    OutputError
        If `out` exists or can't be written; nothing is left behind.
    ReviewFileError
        If the review can't be used.
    """
    if out.exists():
        raise OutputError(f"{out} exists already.", "Choose another name, or remove it.")
    db = store.connect(path)
    try:
        store.copy_study(db, out)
    except sqlite3.Error as error:
        raise OutputError(f"The copy can't be written to {out} ({error}).", "Choose a place with room.") from error
    finally:
        db.close()


def export_ratings(path: Path, out: Path) -> int:
    """Write the ratings as CSV, those of a damaged file too as far as they can be read; gives how many.

    Raises
    ------
    OutputError
        If `out` exists or can't be written.
    ReviewFileError
        If nothing can be read.
    """
    places = {(r, p): t for r, p, t in store.rows_left(path, "SELECT rater, place, trial FROM places")}
    trials = {row[0]: row[1:] for row in store.rows_left(path, "SELECT id, first, second, warm_up FROM trials")}
    remarks = {(r, p): rest for r, p, *rest in store.rows_left(path, "SELECT * FROM remarks")}
    ratings = list(store.rows_left(path, "SELECT rater, place, score, seconds, at FROM ratings ORDER BY rater, place"))
    if not ratings:
        raise ReviewFileError(f"No ratings can be read from {path.name}.", "Check the path.")
    try:
        with out.open("x", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(_COLUMNS)
            for rater, place, *rated in ratings:
                trial = places.get((rater, place), "")
                shown = trials.get(trial, ("", "", ""))
                lines.writerow([rater, place, trial, *shown, *rated, *remarks.get((rater, place), ("", ""))])
    except OSError as error:
        raise OutputError(f"{out} can't be written ({error.strerror}).", "Choose another name.") from error
    return len(ratings)


def import_ratings(path: Path, copy: Path) -> Imported:
    """Bring the ratings of a copy into a review; a second time it changes nothing.

    Parameters
    ----------
    path, copy : Path
        Both review files of the same review.

    Returns
    -------
    Imported

    Raises
    ------
    ReviewFileError
        If one of them can't be used, they belong to different reviews, or a rater of the same name rated otherwise in
        both; nothing is changed then.
    OutputError
        If there is no room.
    """
    target, source = store.connect(path), store.connect(copy)
    found = Imported([], [], [])
    try:
        if store.facts(target)["study"] != store.facts(source)["study"]:
            raise ReviewFileError(
                f"{copy.name} belongs to another review than {path.name}.", "Give a copy made of this review."
            )
        target.execute("BEGIN IMMEDIATE")
        for (rater,) in source.execute("SELECT name FROM raters ORDER BY name").fetchall():
            _import_rater(target, source, str(rater), found, copy)
        target.execute("COMMIT")
    except sqlite3.Error as error:
        raise OutputError(
            f"The ratings of {copy.name} can't be written to {path.name} ({error}); nothing was changed.",
            "Free some space, or wait for the other program that uses it, and try again.",
        ) from error
    finally:
        target.close()  # what was not committed is taken back
        source.close()
    return found


def _import_rater(
    target: sqlite3.Connection, source: sqlite3.Connection, rater: str, found: Imported, copy: Path
) -> None:
    mine, theirs = _history(target, rater), _history(source, rater)
    if not mine:
        found.new.append(rater)
    elif theirs[: len(mine)] == mine:
        (found.further if len(theirs) > len(mine) else found.known).append(rater)
    elif mine[: len(theirs)] == theirs:
        found.known.append(rater)
        return
    else:
        raise ReviewFileError(
            f"“{rater}” of {copy.name} has rated otherwise than “{rater}” here: two people, or one in two files."
            " Nothing was changed.",
            "Give every rater a name of their own, and let each rate in one file.",
        )
    for table in _OF_RATERS:
        column = "name" if table == "raters" else "rater"
        target.execute(f"DELETE FROM {table} WHERE {column} = ?", (rater,))
        rows = source.execute(f"SELECT * FROM {table} WHERE {column} = ?", (rater,))
        marks = ", ".join("?" * len(rows.description))
        target.executemany(f"INSERT INTO {table} VALUES ({marks})", rows.fetchall())
    target.executemany(
        "INSERT INTO journal (rater, place, act, value, seconds, at) VALUES (?, ?, ?, ?, ?, ?)",
        [(rater, *entry) for entry in theirs[len(mine) :]],
    )


def _history(db: sqlite3.Connection, rater: str) -> list[tuple[object, ...]]:
    """Everything a rater did, in order."""
    return db.execute(
        "SELECT place, act, value, seconds, at FROM journal WHERE rater = ? ORDER BY number", (rater,)
    ).fetchall()
