"""The review file: one SQLite file with the images, what is to be rated, and what was.

It says nothing about methods: which image is whose is in the organiser's key (`review.key`). Names of images are
random, and they lie in the file in the order of those names. Every write is a transaction that is on disk, in this very
file, when it returns (rollback journal, synchronous): a killed program loses nothing, a copy of the file alone has
everything, and any number of processes may share the file.

Files come from strangers: `review.validation` checks one before anything of it is used.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_pathsrgan.errors import OutputError, RatingNotSavedError, ReviewFileError
from napari_pathsrgan.review import validation
from napari_pathsrgan.review.image import digest
from napari_pathsrgan.review.salvage import damaged
from napari_pathsrgan.review.schema import (
    APPLICATION_ID,
    MAX_VALUE_BYTES,
    PAGE_BYTES,
    SCHEMA,
    STUDY,
    VERSION,
)

SYNCHRONOUS = "EXTRA"
"""Every commit is on disk before it returns, and so is the end of its rollback journal."""
BUSY_S = 10.0
"""How long a write waits for another process's."""

_OLDEST_SQLITE = (3, 37)


def create(path: Path) -> sqlite3.Connection:
    """Make an empty review file, in one piece as long as it's being written; OutputError if there is one."""
    _check_library()
    if path.exists():
        raise OutputError(f"{path} exists already.", "Choose another name, or remove it.")
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA page_size={PAGE_BYTES}")
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
        In autocommit mode, every commit on disk when it returns. Ratings in it are not checked yet: see `histories`.

    Raises
    ------
    ReviewFileError
        If it's no review file, or damaged, changed, incomplete, read-only or of another version; says what can be
        rescued of it.
    """
    path = Path(path)
    _check_library()
    validation.check_bytes(path)
    with explain_damage(path):
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None
        )  # not created
    try:
        with explain_damage(path):
            _harden(db)
            validation.check_database(db, path)
            _check_content(db, path)
    except BaseException:
        db.close()
        raise
    return db


def open_study(path: Path) -> sqlite3.Connection:
    """Open the images and trials of a damaged file to read; nothing is written, or rolled back.

    Raises
    ------
    ReviewFileError, sqlite3.Error, UnicodeDecodeError
        If they are damaged too.
    """
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        _harden(db)
        validation.check_study(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _check_library() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise ReviewFileError(
            f"Reviews need SQLite 3.37 or newer; this Python has {sqlite3.sqlite_version}.",
            "Use a Python from python.org or conda-forge.",
        )


def _harden(db: sqlite3.Connection) -> None:
    """Run nothing that a file brings along, and bound what is read from it; every commit goes to disk."""
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 0)
    if sys.version_info >= (3, 12):
        db.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    for setting in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "temp_store=MEMORY"):
        db.execute(f"PRAGMA {setting}")
    db.execute(f"PRAGMA synchronous={SYNCHRONOUS}")


@contextmanager
def explain_damage(path: Path) -> Iterator[None]:
    """Turn SQLite's errors on a damaged, locked or read-only file into a sentence that says what can be rescued.

    SQLite's own messages are not repeated: they may hold anything that the file holds. One that is no UTF-8 comes as a
    UnicodeDecodeError.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        reason = str(error) if isinstance(error, sqlite3.OperationalError) else ""
        if "readonly" in reason or "unable to open" in reason:
            raise ReviewFileError(
                f"{path.name} can't be written to.", "Copy it to a folder that can be written to."
            ) from error
        if "database is locked" in reason:
            raise ReviewFileError(f"Another program holds {path.name}.", "Close it, and try again.") from error
        raise damaged(path, "is damaged") from error


def _check_content(db: sqlite3.Connection, path: Path) -> None:
    if facts(db).get("content") != content_hash(db):
        raise damaged(path, "was changed after it was made")


def content_hash(db: sqlite3.Connection) -> str:
    """Hash what a review shows: its facts, trials, examples, and the hashes of its images.

    Equal for copies of one review, whoever rated in them. The images themselves are checked by `check_images`.
    """
    total = hashlib.sha256()
    for query in (
        "SELECT name, value FROM facts WHERE name != 'content' ORDER BY name",
        "SELECT id, hex(sha256) FROM images ORDER BY id",
        "SELECT id, field, first, second, warm_up, turn, couple FROM trials ORDER BY id",
        "SELECT image, score FROM anchors ORDER BY image",
    ):
        for row in db.execute(query):
            total.update(json.dumps(row).encode())
        total.update(b"\n")
    return total.hexdigest()


def check_images(db: sqlite3.Connection, path: Path) -> None:
    """Raise ReviewFileError if an image differs from what it was when the review was made; reads all of them."""
    with explain_damage(path):
        for name, expected, stored in db.execute("SELECT id, sha256, pixels FROM images ORDER BY id"):
            if digest(stored) != expected:
                raise damaged(path, f"has an image ({name}) that was changed or is damaged")


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
    """Write a new file with a review's images and nothing of its ratings.

    Images are written in the order of their random names: where one lies in the file says nothing.

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
