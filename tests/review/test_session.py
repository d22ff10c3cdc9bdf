"""Rating: every rating on disk before the next image, whatever happens."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_pathsrgan.errors import OptionError, RaterKnownError, RatingNotSavedError, ReviewFileError
from napari_pathsrgan.review import store
from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.raters import known_raters
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]


def rated(path: Path, rater: str = "A") -> list[tuple[int, int | None]]:
    with sqlite3.connect(path) as db:
        return db.execute("SELECT place, score FROM ratings WHERE rater = ? ORDER BY place", (rater,)).fetchall()


def acts(path: Path, rater: str = "A") -> list[str]:
    with sqlite3.connect(path) as db:
        return [row[0] for row in db.execute("SELECT act FROM journal WHERE rater = ? ORDER BY number", (rater,))]


def test_a_session_from_the_first_page_to_the_last(make_review: Make) -> None:
    path, key = make_review(repeats=2)
    seen = []
    with Session(path, " A ") as session:
        assert session.rater == "A"
        assert session.mode == "single"
        assert [score for score, _ in session.anchors] == [1, 5]
        assert [key.images[name].method for _, name in session.anchors] == ["bicubic", "real"]
        assert (session.progress.number, session.progress.total, session.progress.warm_up) == (1, 1, True)
        while session.place is not None:
            trial = session.trial
            (name,) = trial.images
            assert session.image(name).shape == (32, 32, 3)
            assert trial.warm_up == (key.images[name].use == "warm-up") == (session.place == 0)
            seen.append(name)
            session.rate(1 + session.place % 5, 1.5)
        assert (session.progress.number, session.progress.total) == (22, 22)
        with pytest.raises(LookupError):
            session.rate(1, 0.0)
    assert len(seen) == 1 + 5 * 4 + 2
    assert {key.images[name].method for name in seen[1:]} == set(key.methods)
    assert rated(path) == [(place, 1 + place % 5) for place in range(23)]


def test_a_session_goes_on_at_the_same_image(make_review: Make) -> None:
    path, _ = make_review()
    with Session(path, "A") as session:
        for score in (3, 4, None):
            session.rate(score, 1.0)
        shown = session.trial
    with pytest.raises(RaterKnownError, match=r"“A” has rated 3 of 23.*--continue"):
        Session(path, "a")
    with Session(path, "a", go_on=True) as session:
        assert session.rater == "A"
        assert session.trial == shown
    assert rated(path) == [(0, 3), (1, 4), (2, None)]
    assert known_raters(path)["A"][:2] == (3, 23)


def test_one_who_has_only_looked_needs_no_leave_to_go_on(make_review: Make) -> None:
    path, _ = make_review()
    Session(path, "A").close()
    with Session(path, "A") as session:
        assert session.place == 0


def test_a_correction_replaces_and_is_journalled(make_review: Make) -> None:
    path, _ = make_review()
    with Session(path, "A") as session:
        assert not session.back()
        for score in (3, 4):
            session.rate(score, 1.0)
        assert session.back()
        assert session.back()
        assert (session.trial.score, session.trial.rated) == (3, True)
        session.rate(5, 2.0)
        assert session.place == 2  # back to where the rater was
        session.back()
        session.forward()
        assert session.place == 2
        assert not session.trial.rated
    assert rated(path) == [(0, 5), (1, 4)]
    assert acts(path) == ["began", "rated", "rated", "corrected"]


def test_remarks_and_pauses_are_kept(make_review: Make) -> None:
    path, _ = make_review()
    with Session(path, "A") as session:
        session.comment("out of focus")
        session.flag(True)
        session.pause(True)
        session.pause(False)
        assert (session.trial.comment, session.trial.flagged, session.trial.rated) == ("out of focus", True, False)
        session.flag(False)
        session.rate(None, 3.0)
        session.back()
        assert (session.trial.comment, session.trial.flagged) == ("out of focus", False)
        assert session.trial.rated
        assert session.trial.score is None
    assert acts(path) == ["began", "commented", "flagged", "paused", "resumed", "unflagged", "rated"]


def test_pairs_have_sides_drawn_by_lot(make_review: Make) -> None:
    path, key = make_review(patches=20, mode="pair")
    left_first = 0
    with Session(path, "A") as session:
        assert session.anchors == []
        while session.place is not None:
            trial = session.trial
            left, right = (key.images[name] for name in trial.images)
            assert left.patch == right.patch
            assert left.method != right.method
            left_first += left.method < right.method
            with pytest.raises(ValueError, match="one of"):
                session.rate(4, 1.0)
            session.rate(2, 1.0)
    assert 35 < left_first < 88  # of 123: five standard deviations around half


def test_a_rater_sees_another_order_than_the_next(make_review: Make) -> None:
    path, _ = make_review()
    with Session(path, "A") as first, Session(path, "B") as second:
        query = "SELECT trial FROM places WHERE rater = ? ORDER BY place"
        orders = [[row[0] for row in one._db.execute(query, (one.rater,))] for one in (first, second)]
    assert orders[0] != orders[1]
    assert set(orders[0]) == set(orders[1])


def test_a_name_opened_twice_writes_from_the_latest_window(make_review: Make) -> None:
    path, _ = make_review()
    with Session(path, "A") as first:
        first.rate(1, 1.0)
        with Session(path, "A", go_on=True) as second:
            with pytest.raises(RatingNotSavedError, match="another window"):
                first.rate(2, 1.0)
            second.rate(3, 1.0)
    assert rated(path) == [(0, 1), (1, 3)]


@pytest.mark.parametrize("name", ["", "  ", "x" * 61])
def test_a_rater_needs_a_name(make_review: Make, name: str) -> None:
    with pytest.raises(OptionError, match="pseudonym"):
        Session(make_review()[0], name)


# ---------------------------------------------------------------------- when writing fails


def test_a_full_disk_is_told_before_the_next_image(make_review: Make) -> None:
    """Every file grows no further: what a full disk looks like to SQLite."""
    path, _ = make_review()
    with Session(path, "A") as session:
        session.rate(4, 1.0)
        shown = session.trial
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        try:
            with pytest.raises(RatingNotSavedError, match="This rating is not saved yet"):
                session.rate(5, 2.5)
            assert session.waiting
            assert session.trial == shown
            assert not session.back()
            with pytest.raises(RatingNotSavedError):
                session.retry()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert rated(path) == [(0, 4)]
        session.retry()
        assert not session.waiting
        assert session.place == 2
        session.retry()
    assert rated(path) == [(0, 4), (1, 5)]
    assert acts(path) == ["began", "rated", "rated"]


def test_a_database_that_may_not_grow_says_that_the_disk_is_full(make_review: Make) -> None:
    path, _ = make_review()
    with Session(path, "A") as session:
        pages = store.number(session._db, "PRAGMA page_count")
        session._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(RatingNotSavedError, match=r"disk with study\.review is full"):  # noqa: PT012
            for _ in range(20):
                session.comment("x" * 100_000)
        session.rate(2, 1.0)


def test_a_file_held_by_another_program_is_told(make_review: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = make_review()
    monkeypatch.setattr(store, "BUSY_S", 0.05)
    with Session(path, "A") as session:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RatingNotSavedError, match="another program holds"):
            session.rate(2, 1.0)
        other.execute("ROLLBACK")
        other.close()
        session.retry()
    assert rated(path) == [(0, 2)]


RATE_ALL = """
import sys
from pathlib import Path
from napari_pathsrgan.review.session import Session
with Session(Path(sys.argv[1]), sys.argv[2]) as session:
    while session.place is not None:
        session.rate(1 + session.place % 5, 0.1)
"""


def test_two_raters_on_one_file_do_not_disturb_each_other(make_review: Make) -> None:
    path, _ = make_review(patches=10)
    raters = [
        subprocess.Popen([sys.executable, "-c", RATE_ALL, str(path), name], stderr=subprocess.PIPE, text=True)
        for name in ("A", "B")
    ]
    for process in raters:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    for name in ("A", "B"):
        assert rated(path, name) == [(place, 1 + place % 5) for place in range(43)]
        assert acts(path, name) == ["began", *["rated"] * 43]


# ---------------------------------------------------------------------- files that are not as they should be


def begun(make_review: Make, **options: int) -> Path:
    path, _ = make_review(**options)
    with Session(path, "A") as session:
        for _ in range(3):
            session.rate(4, 1.0)
    return path


def change(path: Path, *commands: str) -> None:
    with sqlite3.connect(path) as db:
        for command in commands:
            db.execute(command)
    db.close()


def test_a_file_of_another_version_is_refused(make_review: Make) -> None:
    path = begun(make_review)
    change(path, "PRAGMA user_version=9")
    with pytest.raises(ReviewFileError, match=r"version 9, but this program knows 2\."):
        Session(path, "B")


def test_missing_images_are_counted(make_review: Make) -> None:
    path = begun(make_review)
    change(path, "DELETE FROM images WHERE id IN (SELECT first FROM trials LIMIT 2)")
    with pytest.raises(ReviewFileError, match=r"(lacks 2 of 23 images|changed after).*3 ratings"):
        Session(path, "A", go_on=True)


def test_a_image_that_goes_missing_meanwhile_is_told(make_review: Make) -> None:
    path, _ = make_review()
    with Session(path, "A") as session:
        (name,) = session.trial.images
        change(path, f"DELETE FROM images WHERE id = '{name}'")
        with pytest.raises(ReviewFileError, match="missing"):
            session.image(name)
        session.rate(None, 0.5)


def test_a_cut_off_file_says_what_can_be_read(make_review: Make, tmp_path: Path) -> None:
    path = begun(make_review, patches=20)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReviewFileError, match=r"cut off\. (No ratings|3 ratings)"):
        Session(path, "A", go_on=True)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no review file"),
        (b"no database at all", "no review file"),
        (b"SQLite format 3\0" + bytes(5000), "no review file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "x.review"
    path.write_bytes(content)
    with pytest.raises(ReviewFileError, match=f"x.review is {problem}"):
        Session(path, "A")
    assert path.read_bytes() == content
    with pytest.raises(ReviewFileError, match="There is no file"):
        Session(tmp_path / "none.review", "A")
