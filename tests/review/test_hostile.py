"""Review files from strangers: refused in a sentence, and nothing in them is run."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import ReviewFileError
from napari_pathsrgan.review import store
from napari_pathsrgan.review.key import Key, read_key
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]


@pytest.fixture
def rated(make_review: Make) -> Path:
    path, _ = make_review(side=8)
    with Session(path, "A") as session:
        for _ in range(3):
            session.rate(4, 1.0)
    return path


def change(path: Path, *commands: str) -> None:
    with sqlite3.connect(path) as db:
        for command in commands:
            db.execute(command)
    db.close()


def assert_refused(path: Path, capsys: pytest.CaptureFixture[str], match: str = "") -> None:
    """Every command ends with exit code 2 and one line that can be shown."""
    before = path.read_bytes()
    out = path.with_name("out.review")
    for command in (["status"], ["report"], ["export", str(path), str(out)], ["import", str(path), str(path)]):
        assert main(["review", command[0], str(path), *command[2:]]) == 2
        told = capsys.readouterr().err
        assert match in told
        assert len(told.splitlines()) == 1
        assert told.strip().isprintable()
    assert path.read_bytes() == before
    assert not out.exists()


@pytest.mark.parametrize(
    "addition",
    [
        "CREATE TRIGGER t AFTER INSERT ON journal BEGIN DELETE FROM ratings; END",
        "CREATE VIEW v AS SELECT * FROM ratings",
        "CREATE VIRTUAL TABLE v USING fts5(a)",
        "CREATE TABLE more (a)",
        "CREATE INDEX more ON ratings (at)",
        "DROP TABLE remarks",
        "ALTER TABLE remarks RENAME COLUMN comment TO words",
        "ALTER TABLE facts ADD COLUMN more ANY GENERATED ALWAYS AS (upper(value)) VIRTUAL",
    ],
)
def test_definitions_that_are_not_ours_are_refused(
    addition: str, rated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(rated, addition)
    assert_refused(rated, capsys, "its tables are not those of a review. 3 ratings by 1 rater can be read")


def test_a_table_that_is_secretly_a_view_is_refused(rated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS rater, x AS place FROM n"
    change(rated, "DROP TABLE remarks", f"CREATE VIEW remarks AS {endless}")
    assert_refused(rated, capsys, "its tables are not those of a review")


def test_messages_of_sqlite_that_are_no_text_end_in_our_sentence(
    rated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(rated.read_bytes())
    at = content.index(b"CREATE TABLE remarks")
    content[at : at + 20] = b"CREATE TABLE \xff\xfe\x1b[2Jx"
    rated.write_bytes(content)
    assert_refused(rated, capsys, "3 ratings by 1 rater can be read")


@pytest.mark.parametrize(
    ("change_to", "match"),
    [
        ("UPDATE facts SET value = '100000' WHERE name = 'rows'", "its rows is “100000”"),
        ("UPDATE facts SET value = '-1' WHERE name = 'zoom'", "its zoom is “-1”"),
        ("UPDATE facts SET value = '\u0661' WHERE name = 'zoom'", "its zoom is"),
        ("UPDATE facts SET value = 'triple' WHERE name = 'mode'", "incomplete"),
        ("DELETE FROM facts WHERE name = 'seed'", "incomplete"),
        ("INSERT INTO facts VALUES ('more', '')", "incomplete"),
        ("UPDATE facts SET value = char(27) || '[2J' WHERE name = 'title'", "can't be shown"),
        ("UPDATE raters SET name = 'A' || char(27)", "can't be shown"),
        ("UPDATE images SET pixels = zeroblob(40000000) WHERE id = (SELECT max(id) FROM images)", "another size"),
        ("UPDATE trials SET field = '0123456789abcdef'", "changed after it was made"),
        ("DELETE FROM raters", "1 of its raters are not listed"),
    ],
)
def test_values_that_make_no_sense_are_refused(
    change_to: str, match: str, rated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(rated, change_to)
    assert_refused(rated, capsys, match)


@pytest.mark.parametrize(
    ("offset", "value", "match"),
    [
        (16, b"\x10\x00", "rewritten by another program"),  # bytes of a page
        (18, b"\2\2", "rewritten by another program"),  # write-ahead log
        (28, struct.pack(">I", 10**6), "cut off"),
        (60, struct.pack(">I", 1), "version 1, but this program knows 2"),
        (68, b"\0\0\0\0", "no review file"),
    ],
)
def test_a_header_that_is_not_ours_is_refused(
    offset: int, value: bytes, match: str, rated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rated.open("r+b") as file:
        file.seek(offset)
        file.write(value)
    assert_refused(rated, capsys, match)


def test_a_journal_beside_the_file_deletes_no_other_file(rated: Path, tmp_path: Path) -> None:
    """SQLite deletes the file that a rollback journal names at its end, once it is rolled back."""
    victim = tmp_path / "thesis.txt"
    victim.write_text("years of work")
    name = str(victim).encode()
    checksum = sum(name) & 0xFFFFFFFF
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 1, rated.stat().st_size // 8192, 512, 8192)
    tail = struct.pack(">I", 1 + 0x40000000 // 8192) + name + struct.pack(">II", len(name), checksum)
    journal = rated.with_name("study.review-journal")
    journal.write_bytes(head.ljust(512, b"\0") + tail + bytes.fromhex("d9d505f920a163d7"))
    with pytest.raises(ReviewFileError, match=r"study\.review-journal was not written by this program"):
        store.connect(rated)
    assert victim.read_text() == "years of work"


def test_a_file_larger_than_any_review_is_refused_at_once(rated: Path) -> None:
    with rated.open("r+b") as file:
        file.truncate(17 << 30)  # takes no room on disk
    with pytest.raises(ReviewFileError, match="larger than any review"):
        store.connect(rated)


def test_nothing_that_a_file_could_bring_along_may_run(rated: Path) -> None:
    db = store.connect(rated)
    assert store.number(db, "PRAGMA trusted_schema") == 0
    assert store.number(db, "PRAGMA cell_size_check") == 1
    with pytest.raises(sqlite3.OperationalError, match="too many attached"):
        db.execute("ATTACH ':memory:' AS other")
    db.close()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{}",
        "null",
        '{"format": "napari-pathsrgan review key", "version": "2.5"}',
        '{"format": "napari-pathsrgan review key", "version": 3, "images": {"a": {"method": 3}}}',
    ],
)
def test_keys_of_any_shape_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.key.json").write_text(text)
    with pytest.raises(ReviewFileError, match="no review's key"):
        read_key(tmp_path / "a.key.json")


def test_a_key_that_knows_other_images_is_refused(rated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = rated.with_suffix(".key.json")
    record = json.loads(key.read_text())
    key.write_text(json.dumps(record | {"content": "0" * 64}))
    assert main(["review", "report", str(rated), "--key", str(key)]) == 2
    assert "shows other images or trials" in capsys.readouterr().err
    record["images"] = dict(list(record["images"].items())[:3])
    key.write_text(json.dumps(record))
    assert main(["review", "report", str(rated), "--key", str(key)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
