"""What can be read of a damaged review file."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import OutputError, ReviewFileError
from napari_pathsrgan.review.import_export import export_copy, import_ratings
from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.raters import known_raters
from napari_pathsrgan.review.rescue import rescue
from napari_pathsrgan.review.salvage import readable_raters
from napari_pathsrgan.review.schema import PAGE_BYTES
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]


@pytest.fixture
def rated(make_review: Make) -> Path:
    """23 ratings by A, 9 by B, some corrected and commented."""
    path, _ = make_review()
    for rater, count in (("A", 23), ("B", 9)):
        with Session(path, rater) as session:
            session.comment("a fold of the cytoplasm")
            session.flag(True)
            for number in range(count):
                session.rate(None if number == 4 else 1 + number % 5, 1.5)
            session.back()
            session.rate(2, 0.5)
    return path


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(path) as db:
        return {
            table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("places", "ratings", "remarks", "journal")
        }


def overwrite(path: Path, start: int, end: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(np.random.default_rng(0).bytes(end - start))


def pages_of(path: Path, table: str) -> list[int]:
    with sqlite3.connect(path) as db:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
        return [number - 1 for (number,) in db.execute(query, (table,))]


def test_a_sound_file_is_rescued_whole(rated: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.review"
    assert rescue(rated, out).ratings == {"A": 23, "B": 9}
    before, after = tables(rated), tables(out)
    assert [row[1:] for row in after.pop("journal")] == sorted(
        (row[1:] for row in before.pop("journal")), key=lambda row: row[0]
    )
    assert after == before


@pytest.mark.parametrize("lost", ["journal", "ratings", "remarks", "raters", "places"])
def test_ratings_are_kept_twice_so_that_one_lost_table_loses_none(lost: str, rated: Path, tmp_path: Path) -> None:
    before = tables(rated)["ratings"]
    for page in pages_of(rated, lost):
        overwrite(rated, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
    with pytest.raises(ReviewFileError, match=r"damaged.*32 ratings by 2 raters can be read.*review rescue FILE OUT"):
        known_raters(rated)
    assert rescue(rated, tmp_path / "out.review").ratings == {"A": 23, "B": 9}
    assert tables(tmp_path / "out.review")["ratings"] == before


def test_a_file_without_its_beginning_gives_its_ratings_with_a_sound_copy(
    rated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, out = tmp_path / "sound.review", tmp_path / "out.review"
    export_copy(rated, sound)
    before = tables(rated)["ratings"]
    overwrite(rated, 0, PAGE_BYTES)
    assert main(["review", "status", str(rated)]) == 2
    assert main(["review", "rescue", str(rated), str(out)]) == 2
    assert "--study" in capsys.readouterr().err
    assert not out.exists()
    assert main(["review", "rescue", str(rated), str(out), "--study", str(sound)]) == 0
    assert "A: 23 ratings\nB: 9 ratings" in capsys.readouterr().out
    assert tables(out)["ratings"] == before
    assert import_ratings(sound, [out])[0].new == ["A", "B"]


def test_the_ratings_alone_are_rescued_as_a_table(rated: Path, tmp_path: Path) -> None:
    overwrite(rated, 0, PAGE_BYTES)
    rescue(rated, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["rater"], row["place"], row["score"]) for row in rows[:2]] == [("A", "0", "1"), ("A", "1", "2")]
    assert rows[0]["comment"] == "a fold of the cytoplasm"
    assert len(rows) == 32


def test_a_copy_of_another_review_is_no_sound_copy(rated: Path, make_review: Make, tmp_path: Path) -> None:
    other, _ = make_review(name="other.review")
    with pytest.raises(ReviewFileError, match="another review"):
        rescue(rated, tmp_path / "out.review", other)


def test_nothing_is_overwritten_and_no_rating_is_made_up(rated: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        rescue(rated, rated)
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(20 * PAGE_BYTES))
    with pytest.raises(ReviewFileError, match="No ratings can be read"):
        rescue(tmp_path / "noise", tmp_path / "out.review")
    with pytest.raises(ReviewFileError, match="There is no file"):
        rescue(tmp_path / "nowhere", tmp_path / "out.review")


def test_a_cut_off_file_loses_only_what_was_cut(rated: Path, tmp_path: Path) -> None:
    copy = tmp_path / "cut.review"
    counts = []
    for share in (1.0, 0.9, 0.5, 0.1):
        shutil.copy(rated, copy)
        with copy.open("r+b") as file:
            file.truncate(int(rated.stat().st_size * share))
        counts.append(sum(len(one.scores("single")) for one in readable_raters(copy)))
    assert counts[0] == 32
    assert counts == sorted(counts, reverse=True)
