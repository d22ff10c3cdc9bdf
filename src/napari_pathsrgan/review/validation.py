"""Whether a file is a review file, sound and complete, before anything of it is used.

The order matters. The header is read as bytes. A rollback journal beside the file must not name another file, which
SQLite would delete. Then the definitions are compared with ours (no trigger, view or virtual table can be there), the
structure of the whole file is checked, and the values of the study.
"""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

from napari_pathsrgan.errors import ReviewFileError
from napari_pathsrgan.review.salvage import damaged
from napari_pathsrgan.review.schema import (
    APPLICATION_ID,
    MAX_FILE_BYTES,
    MAX_IMAGE_SIDE_PX,
    MAX_ROWS,
    PAGE_BYTES,
    STUDY,
    VERSION,
    expected_objects,
    listed_objects,
)
from napari_pathsrgan.review.trial import SCORES

_MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_ROLLBACK = b"\1\1"
"""Versions to read and to write in the header of a file without a write-ahead log."""
_MANY_COMPLAINTS = 50
_ABOUT_VALUES = ("CHECK constraint failed in ", "NULL value in ", "TEXT value in ", "NUMERIC value in ", "non-")
_OF_RATERS = ("raters", "places", "ratings", "remarks", "journal")
_NUMBERS: dict[str, tuple[int, int]] = {
    "repeats": (0, MAX_ROWS),
    "zoom": (1, 32),
    "grey": (0, 255),
    "rows": (1, MAX_IMAGE_SIDE_PX),
    "cols": (1, MAX_IMAGE_SIDE_PX),
    "seed": (0, 2**32 - 1),
}
_TEXTS = {"study", "title", "mode", "question", "content"}


def check_bytes(path: Path) -> None:
    """Raise ReviewFileError unless a file's header is a review's, as is its length."""
    if not path.is_file():
        raise ReviewFileError(f"There is no file {path}.", "Check the path.")
    try:
        with path.open("rb") as file:
            head = file.read(100)
        size = path.stat().st_size
    except OSError as error:
        raise ReviewFileError(f"{path.name} can't be read ({error.strerror}).", "Check the disk it is on.") from error
    _check_head(head, path)
    (count,) = struct.unpack_from(">I", head, 28)
    if size > MAX_FILE_BYTES:
        raise ReviewFileError(f"{path.name} is larger than any review.", "Check that it is the right file.")
    if size < count * PAGE_BYTES:
        raise damaged(path, "is cut off")
    _check_journal(path)


def _check_head(head: bytes, path: Path) -> None:
    if not head.startswith(_MAGIC) or len(head) < 100:
        raise ReviewFileError(
            f"{path.name} is no review file, or its beginning is lost.",
            "Give a file that pathsrgan review new has written, or save its ratings with `pathsrgan review rescue`.",
        )
    version, application = struct.unpack_from(">I4xI", head, 60)
    if application != APPLICATION_ID:
        raise ReviewFileError(f"{path.name} is no review file.", "Give a file that pathsrgan review new has written.")
    if version != VERSION:
        raise ReviewFileError(
            f"{path.name} is a review file of version {version}, but this program knows {VERSION}.",
            "Finish it with the version of the program that made it.",
        )
    if head[18:20] != _ROLLBACK or struct.unpack_from(">H", head, 16) != (PAGE_BYTES,) or head[20]:
        raise damaged(path, "was rewritten by another program")


def _check_journal(path: Path) -> None:
    """Refuse a rollback journal that names another file: SQLite deletes such a file when it has rolled back."""
    journal = path.with_name(f"{path.name}-journal")
    try:
        with journal.open("rb") as file:
            file.seek(max(0, journal.stat().st_size - len(_JOURNAL_MAGIC)))
            names_another = file.read() == _JOURNAL_MAGIC
    except OSError:
        return
    if names_another:
        raise ReviewFileError(
            f"{journal.name} was not written by this program.", f"Move {journal.name} elsewhere and try again."
        )


def check_database(db: sqlite3.Connection, path: Path) -> None:
    """Check an open review file's definitions, structure and study.

    Raises
    ------
    ReviewFileError
        If it's not as this program writes it.
    sqlite3.Error, UnicodeDecodeError
        If it's damaged.
    """
    if listed_objects(db) != expected_objects():
        raise _changed("its tables are not those of a review", path)
    _check_structure(db, path)
    for check in (_check_counts, _check_facts, _check_images, _check_names):
        check(db, path)


def check_study(db: sqlite3.Connection, path: Path) -> None:
    """Check as much of a damaged file as its images and trials need; raises as `check_database`."""
    if listed_objects(db) != expected_objects():
        raise _changed("its tables are not those of a review", path)
    for table in STUDY:
        if db.execute(f"PRAGMA quick_check({table})").fetchone() != ("ok",):
            raise damaged(path, f"has damaged {table}")


def _check_structure(db: sqlite3.Connection, path: Path) -> None:
    """Check every page of the file. Values of raters are left to `histories`, which says whose they are."""
    for (complaint,) in db.execute(f"PRAGMA quick_check({_MANY_COMPLAINTS})"):
        of_raters = complaint.startswith(_ABOUT_VALUES) and any(f" {name}" in complaint for name in _OF_RATERS)
        if complaint != "ok" and not of_raters:
            raise damaged(path, "is damaged")


def _check_counts(db: sqlite3.Connection, path: Path) -> None:
    for table in ("facts", "images", "trials", "anchors", *_OF_RATERS):
        if len(db.execute(f"SELECT 1 FROM {table} LIMIT {MAX_ROWS + 1}").fetchall()) > MAX_ROWS:
            raise _changed(f"it has more than {MAX_ROWS} {table}", path)


def _check_facts(db: sqlite3.Connection, path: Path) -> None:
    found = dict(db.execute("SELECT name, value FROM facts LIMIT 100"))
    if set(found) != _TEXTS | set(_NUMBERS) or found["mode"] not in SCORES:
        raise _changed("what it says of itself is incomplete", path)
    for name, (least, most) in _NUMBERS.items():
        value = found[name]
        if not (value.isascii() and value.isdigit() and len(value) <= 10 and least <= int(value) <= most):
            raise _changed(f"its {name} is “{value[:20]}”", path)
    if not found["title"].isprintable() or not all(one.isprintable() or one in "\n\t" for one in found["question"]):
        raise _changed("its title or question has characters that can't be shown", path)


def _check_images(db: sqlite3.Connection, path: Path) -> None:
    """Count the images that trials and examples need; reads their lengths alone."""
    wanted = "SELECT first AS id FROM trials UNION SELECT second FROM trials UNION SELECT image FROM anchors"
    sides = "(SELECT CAST(value AS INTEGER) FROM facts WHERE name = '{}')"
    length = f"3 * {sides.format('rows')} * {sides.format('cols')}"
    if wrong := _ask(db, f"SELECT count(*) FROM images WHERE length(pixels) != {length}"):
        raise _changed(f"{wrong} of its images have another size", path)
    missing = _ask(db, f"SELECT count(*) FROM ({wanted}) WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM images)")
    if missing:
        total = _ask(db, f"SELECT count(*) FROM ({wanted}) WHERE id IS NOT NULL")
        raise damaged(path, f"lacks {missing} of {total} images")


def _check_names(db: sqlite3.Connection, path: Path) -> None:
    if not all(str(name).isprintable() for (name,) in db.execute("SELECT name FROM raters")):
        raise _changed("the name of a rater has characters that can't be shown", path)
    everywhere = " UNION ".join(f"SELECT rater FROM {table}" for table in _OF_RATERS[1:])
    if lost := _ask(db, f"SELECT count(*) FROM ({everywhere}) WHERE rater NOT IN (SELECT name FROM raters)"):
        raise _changed(f"{lost} of its raters are not listed", path)


def _ask(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def _changed(what: str, path: Path) -> ReviewFileError:
    return damaged(path, f"is no review file that this program wrote: {what}")
