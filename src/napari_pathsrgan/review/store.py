"""The review file: one SQLite file with the pictures, what is to be rated, and what was.

It says nothing about methods: which picture is whose is in the organiser's key (`review.key`). Names of pictures are
random, and they lie in the file in the order of those names. Writes are atomic and on disk when they return
(write-ahead log, synchronous), so that a killed program loses nothing, and any number of processes may share the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_pathsrgan.errors import OutputError, RatingNotSavedError, ReviewFileError

_HEAD = b"SQLite format 3\0"
APPLICATION_ID = 0x50735256
"""In the file's header: PsRV."""
VERSION = 1
BUSY_S = 10.0
"""How long a write waits for another process's."""

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE pictures (id TEXT PRIMARY KEY, png BLOB NOT NULL);
CREATE TABLE trials (id TEXT PRIMARY KEY, field TEXT NOT NULL, first TEXT NOT NULL, second TEXT,
                     warm_up INTEGER NOT NULL);
CREATE TABLE anchors (picture TEXT PRIMARY KEY, score INTEGER NOT NULL);
CREATE TABLE raters (name TEXT PRIMARY KEY COLLATE NOCASE, held_by TEXT NOT NULL);
CREATE TABLE places (rater TEXT NOT NULL COLLATE NOCASE, place INTEGER NOT NULL, trial TEXT NOT NULL,
                     PRIMARY KEY (rater, place));
CREATE TABLE ratings (rater TEXT NOT NULL COLLATE NOCASE, place INTEGER NOT NULL, score INTEGER, seconds REAL NOT NULL,
                      at TEXT NOT NULL, PRIMARY KEY (rater, place));
CREATE TABLE remarks (rater TEXT NOT NULL COLLATE NOCASE, place INTEGER NOT NULL, flagged INTEGER NOT NULL,
                      comment TEXT NOT NULL, PRIMARY KEY (rater, place));
CREATE TABLE journal (number INTEGER PRIMARY KEY AUTOINCREMENT, rater TEXT NOT NULL COLLATE NOCASE, place INTEGER,
                      act TEXT NOT NULL, value TEXT NOT NULL, seconds REAL, at TEXT NOT NULL);
"""
"""A score of NULL is “can't judge”. The journal keeps everything that raters did, corrected ratings included."""

STUDY = ("facts", "pictures", "trials", "anchors")
"""Tables that a review begins with; the others fill while it's rated."""


def create(path: Path) -> sqlite3.Connection:
    """Make an empty review file, in one piece as long as it's being written; OutputError if there is one."""
    if path.exists():
        raise OutputError(f"{path} exists already.", "Choose another name, or remove it.")
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size=8192")
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={VERSION}")
    db.executescript(SCHEMA)
    return db


def connect(path: Path) -> sqlite3.Connection:
    """Open a review file to read and write.

    Parameters
    ----------
    path : Path

    Returns
    -------
    sqlite3.Connection
        In autocommit mode, with a write-ahead log, every commit on disk when it returns.

    Raises
    ------
    ReviewFileError
        If it's no review file, or damaged, incomplete, read-only or of another version; says what was saved in it.
    """
    path = Path(path)
    if not path.is_file():
        raise ReviewFileError(f"There is no file {path}.", "Check the path.")
    _check_head(path)
    with told_damage(path):
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        with told_damage(path):
            _check_kind(db, path)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            _check_pictures(db, path)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def told_damage(path: Path) -> Iterator[None]:
    """Turn SQLite's errors on a damaged or read-only file into a sentence that says what was saved."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "readonly" in str(error) or "unable to open" in str(error):
            raise ReviewFileError(
                f"{path.name} can't be written to.", "Copy it to a folder that can be written to."
            ) from error
        raise ReviewFileError(f"{path.name} can't be used ({error}). {saved_in(path)}", _RESCUE) from error
    except sqlite3.DatabaseError as error:
        raise ReviewFileError(f"{path.name} is damaged. {saved_in(path)}", _RESCUE) from error


_RESCUE = "Save its ratings with `pathsrgan review export FILE RATINGS.csv`, and go on with a copy from the organiser."


def _check_head(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(len(_HEAD))
    except OSError as error:
        raise ReviewFileError(f"{path.name} can't be read ({error.strerror}).", "Check the disk it is on.") from error
    if head != _HEAD:
        raise ReviewFileError(
            f"{path.name} is no review file, or its beginning is lost.",
            "Give a file that pathsrgan review new has written, or a copy of it.",
        )


def _check_kind(db: sqlite3.Connection, path: Path) -> None:
    if number(db, "PRAGMA application_id") != APPLICATION_ID:
        raise ReviewFileError(f"{path.name} is no review file.", "Give a file that pathsrgan review new has written.")
    version = number(db, "PRAGMA user_version")
    if version != VERSION:
        raise ReviewFileError(
            f"{path.name} is a review file of version {version}, but this program knows {VERSION}. {saved_in(path)}",
            "Use the program's version that wrote it.",
        )


def _check_pictures(db: sqlite3.Connection, path: Path) -> None:
    """Count the pictures that what is to be rated and shown needs; reads their lengths alone."""
    wanted = "SELECT first AS id FROM trials UNION SELECT second FROM trials UNION SELECT picture FROM anchors"
    there = "SELECT id FROM pictures WHERE length(png) > 0"
    missing = number(db, f"SELECT count(*) FROM ({wanted}) WHERE id IS NOT NULL AND id NOT IN ({there})")
    if missing:
        total = number(db, f"SELECT count(*) FROM ({wanted}) WHERE id IS NOT NULL")
        raise ReviewFileError(f"{missing} of {total} pictures are missing from {path.name}. {saved_in(path)}", _RESCUE)


def saved_in(path: Path) -> str:
    """Say how many ratings can still be read from a file, whatever else is wrong with it."""
    found = list(rows_left(path, "SELECT rater FROM ratings"))
    if not found:
        return "No ratings can be read from it."
    raters = len({str(row[0]).casefold() for row in found})
    return (
        f"{len(found)} rating{'s' if len(found) > 1 else ''} by {raters} rater{'s' if raters > 1 else ''} can be read."
    )


def rows_left(path: Path, query: str) -> Iterator[tuple[Any, ...]]:
    """Read what can be read: rows up to where the file is damaged, without changing it."""
    try:
        db = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
    except sqlite3.Error:
        return
    try:
        yield from db.execute(query)
    except sqlite3.Error:
        return
    finally:
        db.close()


def number(db: sqlite3.Connection, query: str, *values: Any) -> int:
    """Ask for one whole number."""
    return int(db.execute(query, values).fetchone()[0])


def facts(db: sqlite3.Connection) -> dict[str, str]:
    """Read what a review says of itself to its raters."""
    return dict(db.execute("SELECT name, value FROM facts"))


@contextmanager
def written(db: sqlite3.Connection, path: Path, what: str) -> Iterator[None]:
    """Do something as a whole: on disk when the block is left, or nothing of it.

    Parameters
    ----------
    db : sqlite3.Connection
        From `connect`.
    path : Path
        Its file.
    what : str
        Begins the sentence that says what is not saved.

    Raises
    ------
    RatingNotSavedError
        If it can't be written now.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except BaseException as error:
        with suppress(sqlite3.Error):  # nothing to take back where the transaction did not begin
            db.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise _not_saved(what, path, error) from error
        raise


def _not_saved(what: str, path: Path, error: sqlite3.Error) -> RatingNotSavedError:
    reason = str(error)
    if "full" in reason:
        return RatingNotSavedError(
            f"{what} is not saved yet: the disk with {path.name} is full.",
            "Free some space and leave this window open; a rating is kept here and tried again.",
        )
    if "locked" in reason:
        return RatingNotSavedError(
            f"{what} is not saved yet: another program holds {path.name}.",
            "Leave this window open; a rating is kept here and tried again.",
        )
    return RatingNotSavedError(
        f"{what} is not saved yet: {path.name} can't be written to ({reason}).",
        "See that its disk is there and leave this window open; a rating is kept here and tried again.",
    )


def copy_study(source: sqlite3.Connection, path: Path) -> None:
    """Write a new file with a review's pictures and nothing of its ratings.

    Pictures are written in the order of their random names: where one lies in the file says nothing.

    Parameters
    ----------
    source : sqlite3.Connection
    path : Path
        Must not exist.

    Raises
    ------
    sqlite3.Error
        If there is no room, or the source is damaged; nothing is left behind.
    """
    db = create(path)
    try:
        db.execute("BEGIN IMMEDIATE")
        for table in STUDY:
            rows = source.execute(f"SELECT * FROM {table} ORDER BY 1")
            marks = ", ".join("?" * len(rows.description))
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        db.execute("COMMIT")
    except BaseException:
        db.close()
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        raise
    db.close()
