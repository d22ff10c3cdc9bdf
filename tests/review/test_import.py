"""Ratings that come back: taken event by event, each rater's apart, and nothing else of a stranger's file."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import OptionError, ReviewFileError
from napari_pathsrgan.review.import_export import Resolution, export_copy, import_ratings
from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.raters import drop_rater, known_raters
from napari_pathsrgan.review.results import compute_results
from napari_pathsrgan.review.scores import read_scores
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]


def rate(path: Path, rater: str, count: int = 5, score: int = 3) -> None:
    with Session(path, rater, go_on=True) as session:
        for _ in range(count):
            session.rate(score, 1.0)


def change(path: Path, *commands: str) -> None:
    with sqlite3.connect(path) as db:
        for command in commands:
            db.execute(command)
    db.close()


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(path) as db:
        return {
            table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("places", "ratings", "remarks", "journal")
        }


@pytest.fixture
def copied(make_review: Make, tmp_path: Path) -> tuple[Path, Path]:
    """A review in which A has rated, and a copy with A's ratings and B's."""
    path, _ = make_review()
    rate(path, "A")
    copy = tmp_path / "copy.review"
    shutil.copy(path, copy)
    rate(copy, "B")
    return path, copy


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE ratings SET score = 1 WHERE rater = 'A'",
        "DELETE FROM ratings WHERE rater = 'A'",
        "DELETE FROM ratings",
        "DELETE FROM raters WHERE name = 'A'",
        "UPDATE journal SET value = '1' WHERE rater = 'A' AND act = 'rated'",
        "DELETE FROM journal WHERE rater = 'A'",
        "UPDATE places SET place = place + 100 WHERE rater = 'B'",
        "UPDATE places SET trial = (SELECT max(id) FROM trials) WHERE rater = 'B' AND place IN (4, 5)",
        "UPDATE journal SET at = 'yesterday, at about noon' WHERE rater = 'B'",
        "UPDATE journal SET act = 'excused' WHERE rater = 'B' AND place = 3",
    ],
)
def test_a_forged_copy_changes_nothing(copied: tuple[Path, Path], forgery: str) -> None:
    path, copy = copied
    change(copy, forgery)
    before = contents(path)
    with pytest.raises(ReviewFileError):
        import_ratings(path, [copy])
    assert contents(path) == before


def test_ratings_of_others_stay_when_a_copy_knows_fewer_of_them(copied: tuple[Path, Path]) -> None:
    path, copy = copied
    rate(path, "A", 3, score=5)
    before = [row for row in contents(path)["ratings"] if row[0] == "A"]
    (found,) = import_ratings(path, [copy])
    assert (found.new, found.known) == (["B"], ["A"])
    assert [row for row in contents(path)["ratings"] if row[0] == "A"] == before
    assert known_raters(path)["B"].done == 5


def test_what_is_equal_is_not_written_again(copied: tuple[Path, Path]) -> None:
    path, copy = copied
    import_ratings(path, [copy])
    before = path.read_bytes()
    assert import_ratings(path, [copy, copy])[0].known == ["A", "B"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE trials SET warm_up = 1 - warm_up",
        "UPDATE images SET pixels = zeroblob(length(pixels)) WHERE id = (SELECT min(first) FROM trials)",
        "UPDATE facts SET value = 'Worst?' WHERE name = 'question'",
        "UPDATE facts SET value = '7' WHERE name = 'seed'",
    ],
)
def test_a_copy_that_shows_something_else_is_refused(copied: tuple[Path, Path], forgery: str) -> None:
    path, copy = copied
    change(copy, forgery)
    with pytest.raises(ReviewFileError, match=r"changed|damaged"):
        import_ratings(path, [copy])
    assert "B" not in known_raters(path)


def test_a_changed_copy_that_hides_it_is_refused_too(copied: tuple[Path, Path]) -> None:
    from napari_pathsrgan.review.store import content_hash

    path, copy = copied
    change(copy, "UPDATE facts SET value = 'Worst?' WHERE name = 'question'")
    with sqlite3.connect(copy) as db:
        db.execute("UPDATE facts SET value = ? WHERE name = 'content'", (content_hash(db),))
    db.close()
    with pytest.raises(ReviewFileError, match="other images or trials"):
        import_ratings(path, [copy])


@pytest.fixture
def contradicting(make_review: Make, tmp_path: Path) -> tuple[Path, Path]:
    """A rated 2 in a review and 5 in its copy, where C rated too."""
    path, _ = make_review()
    copy = tmp_path / "copy.review"
    export_copy(path, copy)
    rate(path, "A", 3, score=2)
    rate(copy, "A", 4, score=5)
    rate(copy, "C", 2)
    return path, copy


def test_conflicts_are_told_and_refused(contradicting: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    path, copy = contradicting
    before = contents(path)
    assert main(["review", "import", str(path), str(copy)]) == 2
    told = capsys.readouterr().err
    assert "“A” of copy.review has rated otherwise than “A” here (4 of 3 differ)" in told
    assert "--take" in told
    assert contents(path) == before


def test_a_conflict_is_resolved_by_keeping_or_by_taking(contradicting: tuple[Path, Path]) -> None:
    path, copy = contradicting
    (found,) = import_ratings(path, [copy], Resolution(keep=["a"]))
    assert (found.kept, found.new) == (["A"], ["C"])
    assert {row[2] for row in contents(path)["ratings"] if row[0] == "A"} == {2}
    assert main(["review", "import", str(path), str(copy), "--take", "A"]) == 0
    assert [row[1:3] for row in contents(path)["ratings"] if row[0] == "A"] == [(place, 5) for place in range(4)]
    assert sum(row[3] == "rated" for row in contents(path)["journal"] if row[1] == "A") == 7  # nothing is forgotten
    assert import_ratings(path, [copy])[0].known == ["A", "C"]
    with pytest.raises(OptionError, match="taken and kept"):
        Resolution(["A"], ["a"])


def test_a_dropped_rater_is_left_out_and_the_reason_stays(make_review: Make, tmp_path: Path) -> None:
    path, key = make_review()
    rate(path, "A", 23)
    rate(path, "B", 10)
    assert main(["review", "drop", str(path), "b", "--reason", "rated with the screen off"]) == 0
    scores = read_scores(path, key)
    assert {one.rater for one in scores.ratings} == {"A"}
    assert [(one.name, one.done, one.dropped) for one in scores.raters] == [
        ("A", 22, None),
        ("B", 9, "rated with the screen off"),
    ]
    notes = compute_results(scores).notes
    assert "Dropped: B, who had rated 9 of 22, is left out: rated with the screen off" in notes
    assert sum(row[0] == "B" for row in contents(path)["ratings"]) == 10
    with pytest.raises(OptionError, match="was dropped"):
        Session(path, "B", go_on=True)
    with pytest.raises(OptionError, match="dropped before"):
        drop_rater(path, "B", "again")
    with pytest.raises(OptionError, match="has not rated"):
        drop_rater(path, "Z", "unknown")
    with pytest.raises(OptionError, match="no reason"):
        drop_rater(path, "A", " ")


def test_results_without_any_rater_but_dropped_ones_say_so(make_review: Make) -> None:
    path, key = make_review()
    with pytest.raises(ReviewFileError, match="Nothing is rated in"):
        read_scores(path, key)
    rate(path, "A", 23)
    drop_rater(path, "A", "rated with the screen off")
    with pytest.raises(ReviewFileError, match=r"All who have rated in .* were left out of the results: A\."):
        read_scores(path, key)


def test_an_import_does_not_undo_or_make_a_drop(copied: tuple[Path, Path]) -> None:
    path, copy = copied
    drop_rater(copy, "A", "they say")
    (found,) = import_ratings(path, [copy])
    assert (found.known, found.new, found.dropped) == (["A"], ["B"], ["A"])
    assert known_raters(path)["A"].dropped is None
    drop_rater(path, "B", "we say")
    rate(copy, "B", 2)
    assert import_ratings(path, [copy])[0].further == ["B"]
    assert known_raters(path)["B"] == (7, 23, "we say")


def test_one_bad_value_is_named_and_its_rater_can_be_dropped(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path, copy = copied
    report = ["review", "report", str(path), "--key", str(path.with_suffix(".key.json"))]
    import_ratings(path, [copy])
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        change(path, "UPDATE ratings SET score = 77 WHERE rater = 'B'")
    change(
        path, "PRAGMA ignore_check_constraints=ON", "UPDATE journal SET value = '77' WHERE rater = 'B' AND place = 2"
    )
    change(path, "PRAGMA ignore_check_constraints=ON", "UPDATE ratings SET score = 77 WHERE rater = 'B' AND place = 2")
    assert main(report) == 2
    told = capsys.readouterr().err
    assert "The ratings of “B” in study.review were changed or are damaged: a rating of “77”." in told
    assert len(told.splitlines()) == 1
    assert main(["review", "status", str(path)]) == 0
    assert main(["review", "drop", str(path), "B", "--reason", "damaged"]) == 0
    assert main(report) == 0
    assert "Dropped: B" in capsys.readouterr().err
