"""A rating that is confirmed is in the file itself, whenever the program is killed or the file is copied."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_pathsrgan.errors import ReviewFileError
from napari_pathsrgan.review import store
from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.rescue import rescue
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]

RATERS = """
import os, sys
from pathlib import Path
from napari_pathsrgan.review.session import Session

for _ in sys.stdin:  # one rater after the other, each in a process of its own
    if not (child := os.fork()):
        with Session(Path(sys.argv[1]), "A", go_on=True) as session:
            while session.place is not None:
                place = session.place
                session.rate(1 + place % 5, 0.1)
                os.write(1, f"{place}\\n".encode())
        os._exit(0)
    os.write(2, f"{child}\\n".encode())
    os.waitpid(child, 0)
    os.write(2, b"ended\\n")
"""


def ratings_in(path: Path) -> dict[int, int]:
    """Ratings in a copy of the file alone, by place; one made in the midst of a write may need to be rescued."""
    try:
        store.connect(path).close()
        with Session(path, "A", go_on=True):
            pass
    except ReviewFileError:
        rescued = path.with_suffix(".rescued.review")
        rescue(path, rescued)
        path = rescued
    with sqlite3.connect(path) as db:
        return dict(db.execute("SELECT place, score FROM ratings"))


def waiting_lines(pipe: int) -> list[bytes]:
    """What was written to a pipe and not read yet; −1 where there is nothing."""
    os.set_blocking(pipe, False)
    try:
        return os.read(pipe, 1 << 16).splitlines()
    except BlockingIOError:
        return [b"-1"]
    finally:
        os.set_blocking(pipe, True)


def test_the_file_alone_holds_every_confirmed_rating_through_twenty_kills(make_review: Make, tmp_path: Path) -> None:
    path, _ = make_review(patches=60, repeats=0, warm_up=0, anchors=0, side=4)
    moments = random.Random(4)
    confirmed = 0
    with subprocess.Popen(
        [sys.executable, "-c", RATERS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, bufsize=0,
    ) as raters:  # fmt: skip
        for life in range(20):
            raters.stdin.write(b"\n")
            child = int(raters.stderr.readline())
            for _ in range(moments.randint(1, 5)):
                confirmed = 1 + int(raters.stdout.readline())
            time.sleep(moments.uniform(0, 0.01))
            shutil.copyfile(path, tmp_path / f"open-{life}.review")
            os.kill(child, signal.SIGKILL)
            assert raters.stderr.readline() == b"ended\n"
            at_copy = confirmed
            confirmed = max(confirmed, *(1 + int(line) for line in waiting_lines(raters.stdout.fileno())))
            shutil.copyfile(path, tmp_path / f"killed-{life}.review")
            for name, least in ((f"open-{life}.review", at_copy), (f"killed-{life}.review", confirmed)):
                found = ratings_in(tmp_path / name)
                assert found == {place: 1 + place % 5 for place in range(len(found))}
                assert len(found) >= least
        raters.stdin.close()
    assert 40 <= confirmed < 240


def test_nothing_lies_beside_the_file_between_ratings(make_review: Make) -> None:
    path, _ = make_review()
    with Session(path, "A") as session:
        for _ in range(3):
            session.rate(3, 1.0)
            assert sorted(one.name for one in path.parent.iterdir()) == ["study.key.json", "study.review"]


def test_a_rating_is_synchronised_with_the_disk(make_review: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    path, _ = make_review()
    with Session(path, "A") as session:
        assert store.number(session._db, "PRAGMA synchronous") == 3
        assert session._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
