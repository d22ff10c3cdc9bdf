"""The rater's window, by keys and by mouse; and killed in the middle of it."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QKeyEvent

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.plugin.review import rating_window
from napari_pathsrgan.plugin.review.rating_widget import RatingWidget
from napari_pathsrgan.plugin.widgets import screen
from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]
Open = Callable[..., RatingWidget]
Key_ = Qt.Key


def rated(path: Path) -> list[tuple[int, int | None]]:
    with sqlite3.connect(path) as db:
        return db.execute("SELECT place, score FROM ratings ORDER BY place").fetchall()


def acts(path: Path) -> list[tuple[str, int | None]]:
    with sqlite3.connect(path) as db:
        return db.execute("SELECT act, place FROM journal ORDER BY number").fetchall()


@pytest.fixture
def open_widget(qtbot: QtBot) -> Iterator[Open]:
    made: list[RatingWidget] = []

    def open_widget(path: Path, rater: str = "A", go_on: bool = False, begin: bool = True) -> RatingWidget:
        widget = RatingWidget(Session(path, rater, go_on))
        qtbot.addWidget(widget)
        widget.resize(900, 600)
        widget.show()
        qtbot.waitExposed(widget)
        if begin:
            qtbot.keyClick(widget, Key_.Key_Return)
        made.append(widget)
        return widget

    yield open_widget
    for widget in made:
        widget.close()


def grabbed(widget: RatingWidget) -> np.ndarray:
    image = widget.page.view.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    pointer = image.constBits()
    pointer.setsize(image.sizeInBytes())
    rows = np.frombuffer(bytes(pointer), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def test_the_first_page_says_what_to_judge_and_shows_examples(make_review: Make, open_widget: Open) -> None:
    path, _ = make_review(title="Study", question="How sharp?")
    widget = open_widget(path, begin=False)
    words = " ".join(label.text() for label in widget.first.findChildren(type(widget.page.count)))
    for part in ("Study", "How sharp?", "1 · Bad", "5 · Excellent"):
        assert part in words
    assert widget.first.begin.text() == "Begin"
    assert not widget.rating


def test_images_are_shown_to_the_pixel_on_grey_at_one_place(make_review: Make, open_widget: Open, qtbot: QtBot) -> None:
    path, _ = make_review(zoom=2)
    widget = open_widget(path)
    places = set()
    for _number in range(6):
        (rect,) = widget.page.view.image_rects()
        places.add((rect.x(), rect.y(), rect.width(), rect.height()))
        seen = grabbed(widget)
        (name,) = widget.session.trial.images
        inside = seen[rect.y() : rect.y() + 64, rect.x() : rect.x() + 64]
        np.testing.assert_array_equal(inside, np.kron(widget.session.image(name), np.ones((2, 2, 1), int)))
        outside = np.ones(seen.shape[:2], bool)
        outside[rect.y() : rect.y() + 64, rect.x() : rect.x() + 64] = False
        assert np.all(seen[outside] == 128)
        qtbot.keyClick(widget, Key_.Key_3)
    assert len(places) == 1
    assert next(iter(places))[2:] == (64, 64)


def test_keys_and_buttons_rate(make_review: Make, open_widget: Open, qtbot: QtBot) -> None:
    path, _ = make_review()
    widget = open_widget(path)
    assert widget.page.count.text() == "Practice (not counted): 1 of 1"
    qtbot.keyClick(widget, Key_.Key_5)
    assert widget.page.count.text() == "1 of 22"
    qtbot.mouseClick(widget.page.scores[2], Qt.MouseButton.LeftButton)
    qtbot.keyClick(widget, Key_.Key_0)
    qtbot.mouseClick(widget.page.unjudged, Qt.MouseButton.LeftButton)
    assert widget.page.count.text() == "4 of 22"
    assert rated(path) == [(0, 5), (1, 2), (2, None), (3, None)]
    assert not any(button.isChecked() for button in widget.page.scores.values())


def test_a_key_that_is_held_counts_once(make_review: Make, open_widget: Open) -> None:
    path, _ = make_review()
    widget = open_widget(path)
    for repeat in (False, True, True):
        widget.keyPressEvent(
            QKeyEvent(QKeyEvent.Type.KeyPress, Key_.Key_4, Qt.KeyboardModifier.NoModifier, "4", repeat)
        )
    assert rated(path) == [(0, 4)]


def test_back_shows_what_was_rated_and_corrects_it(make_review: Make, open_widget: Open, qtbot: QtBot) -> None:
    path, _ = make_review()
    widget = open_widget(path)
    assert not widget.page.back.isEnabled()
    qtbot.keyClick(widget, Key_.Key_5)
    qtbot.keyClick(widget, Key_.Key_4)
    assert not widget.page.forward.isVisible()
    qtbot.keyClick(widget, Key_.Key_Backspace)
    assert widget.page.scores[4].isChecked()
    qtbot.keyClick(widget, Key_.Key_Tab)
    assert widget.session.place == 2
    qtbot.keyClick(widget, Key_.Key_Backspace)
    qtbot.keyClick(widget, Key_.Key_1)
    assert widget.session.place == 2
    assert rated(path) == [(0, 5), (1, 1)]


def test_comments_flags_and_pauses(make_review: Make, open_widget: Open, qtbot: QtBot) -> None:
    path, _ = make_review()
    widget = open_widget(path)
    before = widget.page.view.image_rects()
    qtbot.keyClick(widget, Key_.Key_C)
    assert widget.focusWidget() is widget.page.words
    assert widget.page.view.image_rects() == before
    qtbot.keyClicks(widget.page.words, "32 nuclei")
    assert rated(path) == []
    qtbot.keyClick(widget.page.words, Key_.Key_Return)
    assert widget.page.comment.text() == "Comment ✓"
    assert widget.page.view.image_rects() == before
    qtbot.keyClick(widget, Key_.Key_F)
    assert widget.page.flag.isChecked()
    qtbot.keyClick(widget, Key_.Key_Space)
    assert widget.page.view.note.startswith("Paused")
    assert not widget.page.scores[3].isEnabled()
    qtbot.keyClick(widget, Key_.Key_3)
    qtbot.keyClick(widget, Key_.Key_Backspace)
    assert rated(path) == []
    assert widget.page.view.note
    qtbot.wait(300)
    qtbot.keyClick(widget, Key_.Key_Space)
    assert not widget.page.view.note
    assert widget.page.scores[3].isEnabled()
    qtbot.keyClick(widget, Key_.Key_3)
    with sqlite3.connect(path) as db:
        ((flagged, comment),) = db.execute("SELECT flagged, comment FROM remarks").fetchall()
        ((seconds,),) = db.execute("SELECT seconds FROM ratings").fetchall()
    assert (flagged, comment) == (1, "32 nuclei")
    paused = [act for act, _ in acts(path)]
    assert paused == ["began", "commented", "flagged", "paused", "resumed", "rated"]
    spent = widget.session._db.execute("SELECT seconds FROM journal WHERE act = 'rated'").fetchone()[0]
    assert 0 < spent == seconds


def test_the_clock_stands_still_while_paused(
    make_review: Make, open_widget: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path, _ = make_review()
    widget = open_widget(path)
    now[0] += 2
    widget.set_pause(True)
    now[0] += 50
    widget.set_pause(False)
    now[0] += 3
    widget.rate(4)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT seconds FROM ratings").fetchone()[0] == pytest.approx(5.0)


def test_two_are_compared_side_by_side(make_review: Make, open_widget: Open, qtbot: QtBot) -> None:
    path, _ = make_review(mode="pair")
    widget = open_widget(path)
    left, right = widget.page.view.image_rects()
    assert left.right() < right.left()
    for key in (Key_.Key_Left, Key_.Key_Down, Key_.Key_Right, Key_.Key_1, Key_.Key_4):
        qtbot.keyClick(widget, key)
    assert rated(path) == [(0, 1), (1, 2), (2, 3), (3, 1)]


def test_after_the_last_thanks_are_all(make_review: Make, open_widget: Open, qtbot: QtBot) -> None:
    path, _ = make_review(patches=1, repeats=0, warm_up=0, anchors=0)
    widget = open_widget(path)
    for _number in range(4):
        qtbot.keyClick(widget, Key_.Key_2)
    assert widget.last.thanks.text() == "Thank you, A.\nAll 4 are rated and saved."
    qtbot.keyClick(widget, Key_.Key_Backspace)
    qtbot.keyClick(widget, Key_.Key_5)
    assert rated(path) == [(0, 2), (1, 2), (2, 2), (3, 5)]
    with qtbot.waitSignal(widget.finished):
        qtbot.keyClick(widget, Key_.Key_Return)


def test_a_rating_that_can_not_be_saved_is_told_kept_and_tried_again(
    make_review: Make, open_widget: Open, qtbot: QtBot
) -> None:
    path, _ = make_review()
    widget = open_widget(path)
    widget._retry.setInterval(50)
    widget.session._db.execute("PRAGMA busy_timeout=20")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = grabbed(widget)
    qtbot.keyClick(widget, Key_.Key_4)
    assert "This rating is not saved yet" in widget.messages.text
    qtbot.keyClick(widget, Key_.Key_1)
    qtbot.keyClick(widget, Key_.Key_Backspace)
    qtbot.keyClick(widget, Key_.Key_Space)
    qtbot.wait(150)
    assert widget.session.place == 0
    assert not widget.close()
    np.testing.assert_array_equal(np.unique(grabbed(widget)), np.unique(before))
    other.execute("ROLLBACK")
    other.close()
    qtbot.waitUntil(lambda: widget.session.place == 1, timeout=10_000)
    assert widget.messages.text == ""
    assert rated(path) == [(0, 4)]


def test_damaged_images_can_be_passed_over(make_review: Make, open_widget: Open, qtbot: QtBot) -> None:
    path, _ = make_review()
    with Session(path, "A") as session:
        (name,) = session.trial.images
    with sqlite3.connect(path) as db:
        db.execute("UPDATE images SET pixels = zeroblob(length(pixels)) WHERE id = ?", (name,))
    db.close()
    widget = open_widget(path)
    assert "damaged" in widget.page.view.note
    qtbot.keyClick(widget, Key_.Key_0)
    assert rated(path) == [(0, None)]


def test_the_command_line_opens_the_window(
    make_review: Make, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = make_review()
    opened: list[RatingWidget] = []

    class Application:
        @staticmethod
        def instance() -> type[Application]:
            return Application

        @staticmethod
        def exec() -> None:
            qtbot.keyClick(opened[-1], Key_.Key_Return)
            qtbot.keyClick(opened[-1], Key_.Key_4)
            opened[-1].close()

    def open_rating(*arguments: object) -> RatingWidget:
        opened.append(real(*arguments))
        qtbot.addWidget(opened[-1])
        return opened[-1]

    real = rating_window.open_rating
    monkeypatch.setattr(rating_window, "QApplication", Application)
    monkeypatch.setattr(rating_window, "open_rating", open_rating)
    monkeypatch.setattr(screen, "has_screen", lambda: True)
    assert main(["review", "rate", str(path), "--rater", "A"]) == 0
    assert main(["review", "rate", str(path), "--rater", "A"]) == 2
    assert "“A” has rated 1 of 23" in capsys.readouterr().err
    assert main(["review", "rate", str(path), "--rater", "A", "--continue"]) == 0
    assert opened[-1].first.begin.text() == "Continue"
    assert rated(path) == [(0, 4), (1, 4)]
    monkeypatch.setattr(rating_window, "has_screen", lambda: False)
    assert main(["review", "rate", str(path), "--rater", "B"]) == 2


# ---------------------------------------------------------------------- killed

RATER = """
import os, sys
from pathlib import Path
from qtpy.QtCore import QSocketNotifier, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from napari_pathsrgan.plugin.review.rating_window import open_rating

application = QApplication([])
window = open_rating(Path(sys.argv[1]), "A", go_on=True)
window.shown.connect(lambda place: os.write(1, f"{place}\\n".encode()))
QTest.keyClick(window, Qt.Key.Key_Return)
keys = QSocketNotifier(0, QSocketNotifier.Type.Read)
keys.activated.connect(lambda *_: [QTest.keyClick(window, chr(key)) for key in os.read(0, 100)])
application.exec()
"""


def score_at(place: int) -> int:
    return 1 + place * 7 % 5


class Rater:
    """A window in a process of its own, and what it has shown."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RATER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def wait_shown(self) -> int:
        line = self.process.stdout.readline()
        assert line, "The window has gone."
        return int(line)

    def press(self, keys: str) -> None:
        os.write(self.process.stdin.fileno(), keys.encode())

    def kill(self) -> list[int]:
        """End it at once; gives the places it had shown since asked last."""
        self.process.send_signal(signal.SIGKILL)
        rest = b"" if self.process.stdout.closed else self.process.stdout.read()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        return [int(line) for line in rest.split(b"\n")[:-1]]


@pytest.fixture
def start() -> Iterator[Callable[[Path], Rater]]:
    """Start windows; those that a failed test leaves are ended."""
    started: list[Rater] = []

    def start(path: Path) -> Rater:
        started.append(Rater(path))
        return started[-1]

    yield start
    for rater in started:
        rater.kill()


def test_no_rating_is_lost_or_doubled_by_twenty_kills(make_review: Make, start: Callable[[Path], Rater]) -> None:
    """60 ratings by keys; SIGKILL while windows open, while ratings are written, and between."""
    path, _ = make_review(patches=13, repeats=8, warm_up=0, anchors=0)
    moments = random.Random(20)
    while_opening = set(moments.sample(range(20), 5))
    for life in range(20):
        rater = start(path)
        done = len(rated(path)) if path.exists() else 0
        if life in while_opening:
            time.sleep(moments.uniform(0.0, 0.8))
            rater.kill()
        else:
            assert rater.wait_shown() == done  # it goes on at the same image
            end = min(done + moments.randint(2, 8), 59 * (life + 1) // 20)  # kills all along the way, none after it
            rater.press("".join(str(score_at(place)) for place in range(done, end)))
            time.sleep(moments.uniform(0.0, 0.05))
            shown = rater.kill()
            # What is shown next is shown after the rating before it is on disk.
            assert len(rated(path)) >= max(shown, default=done)
            assert len(rated(path)) - max(shown, default=done) <= 1
        assert rated(path) == [(place, score_at(place)) for place in range(len(rated(path)))]
    done = len(rated(path))
    assert done < 60
    rater = start(path)
    assert rater.wait_shown() == done
    rater.press("".join(str(score_at(place)) for place in range(done, 60)))
    while rater.wait_shown() != -1:
        pass
    rater.kill()
    assert rated(path) == [(place, score_at(place)) for place in range(60)]
    assert [place for act, place in acts(path) if act in ("rated", "corrected")] == list(range(60))
