"""What a review file consists of: its tables, the values they may hold, and its limits."""

from __future__ import annotations

import sqlite3
import string
from functools import cache

APPLICATION_ID = 0x50735256
"""In the file's header: PsRV."""
VERSION = 2
PAGE_BYTES = 8192
MAX_FILE_BYTES = 16 << 30
MAX_VALUE_BYTES = 64 << 20
MAX_IMAGE_SIDE_PX = 4096
MAX_ROWS = 200_000
"""Of any table but the images'."""

SCHEMA = """
CREATE TABLE facts (name TEXT NOT NULL PRIMARY KEY CHECK (length(name) <= 40),
                    value TEXT NOT NULL CHECK (length(value) <= 4000)) STRICT;
CREATE TABLE images (id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 16),
                     sha256 BLOB NOT NULL CHECK (length(sha256) = 32), pixels BLOB NOT NULL) STRICT;
CREATE TABLE trials (id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 16),
                     field TEXT NOT NULL CHECK (length(field) = 16), first TEXT NOT NULL CHECK (length(first) = 16),
                     second TEXT CHECK (length(second) = 16),
                     warm_up INTEGER NOT NULL CHECK (warm_up IN (0, 1)),
                     turn INTEGER NOT NULL CHECK (turn >= 0), couple INTEGER NOT NULL CHECK (couple >= 0)) STRICT;
CREATE TABLE anchors (image TEXT NOT NULL PRIMARY KEY CHECK (length(image) = 16),
                      score INTEGER NOT NULL CHECK (score BETWEEN 1 AND 5)) STRICT;
CREATE TABLE raters (name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE CHECK (length(name) BETWEEN 1 AND 60),
                     held_by TEXT NOT NULL CHECK (length(held_by) <= 16)) STRICT;
CREATE TABLE places (rater TEXT NOT NULL COLLATE NOCASE CHECK (length(rater) BETWEEN 1 AND 60),
                     place INTEGER NOT NULL CHECK (place >= 0), trial TEXT NOT NULL CHECK (length(trial) = 16),
                     swapped INTEGER NOT NULL CHECK (swapped IN (0, 1)),
                     PRIMARY KEY (rater, place)) STRICT;
CREATE TABLE ratings (rater TEXT NOT NULL COLLATE NOCASE CHECK (length(rater) BETWEEN 1 AND 60),
                      place INTEGER NOT NULL CHECK (place >= 0), score INTEGER CHECK (score BETWEEN 1 AND 5),
                      seconds REAL NOT NULL CHECK (seconds >= 0 AND seconds <= 1e6),
                      at TEXT NOT NULL CHECK (length(at) BETWEEN 20 AND 40), PRIMARY KEY (rater, place)) STRICT;
CREATE TABLE remarks (rater TEXT NOT NULL COLLATE NOCASE CHECK (length(rater) BETWEEN 1 AND 60),
                      place INTEGER NOT NULL CHECK (place >= 0), flagged INTEGER NOT NULL CHECK (flagged IN (0, 1)),
                      comment TEXT NOT NULL CHECK (length(comment) <= 2000), PRIMARY KEY (rater, place)) STRICT;
CREATE TABLE journal (number INTEGER PRIMARY KEY,
                      rater TEXT NOT NULL COLLATE NOCASE CHECK (length(rater) BETWEEN 1 AND 60),
                      place INTEGER CHECK (place >= 0), act TEXT NOT NULL CHECK (length(act) <= 20),
                      value TEXT NOT NULL CHECK (length(value) <= 2000),
                      seconds REAL CHECK (seconds >= 0 AND seconds <= 1e6),
                      at TEXT NOT NULL CHECK (length(at) BETWEEN 20 AND 40)) STRICT;
"""
"""A score of NULL is “can't judge”.

The journal is what counts: everything that raters did, corrected ratings included, and never changed. Ratings and
remarks are its outcome, kept a second time to be looked up and to be rescued.
"""

STUDY = ("facts", "images", "trials", "anchors")
"""Tables that a review begins with; the others fill while it's rated."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

Objects = frozenset[tuple[str, str, str, str | None]]


@cache
def expected_objects() -> Objects:
    """Tables and indexes of a review file, as SQLite lists them."""
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(SCHEMA)
        return listed_objects(db)
    finally:
        db.close()


def listed_objects(db: sqlite3.Connection) -> Objects:
    """Everything that a database defines: type, name, table and definition."""
    return frozenset(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 100"))


def name_key(name: str) -> str:
    """What tells raters from each other: SQLite's NOCASE, which knows ASCII alone."""
    return name.translate(_LOWER)
