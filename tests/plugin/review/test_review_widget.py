"""The dock *Review* in a real viewer: make, rate, copy, bring back, report."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QApplication, QFileDialog, QInputDialog

from napari_pathsrgan.plugin.review.rating_widget import RatingWidget
from napari_pathsrgan.plugin.review.review_widget import ReviewWidget
from napari_pathsrgan.review.key import Key, find_key
from napari_pathsrgan.review.raters import known_raters
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]
PATIENCE_MS = 60_000


@pytest.fixture
def dock(make_napari_viewer: Callable[..., napari.Viewer], qtbot: QtBot) -> ReviewWidget:
    widget = ReviewWidget(make_napari_viewer())
    qtbot.addWidget(widget)
    widget.show()
    return widget


def table(dock: ReviewWidget) -> list[list[str]]:
    return [[dock.states.item(row, column).text() for column in range(3)] for row in range(dock.states.rowCount())]


def test_rating_goes_on_only_when_the_rater_says_so(
    dock: ReviewWidget, make_review: Make, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = make_review()
    assert not dock.begin.isEnabled()
    dock.open(path)
    assert not dock.begin.isEnabled()
    dock.rater.setText("A")
    dock.rate()
    window = dock.window_to_rate
    qtbot.keyClick(window, Qt.Key.Key_Return)
    qtbot.keyClick(window, Qt.Key.Key_4)
    assert not dock.begin.isEnabled()
    assert dock.viewer.layers == []  # nothing of it is a layer
    window.close()
    qtbot.waitUntil(lambda: dock.window_to_rate is None)
    assert table(dock) == [["A", "1", "23"]]
    asked: list[str] = []
    monkeypatch.setattr(dock, "_asks_to_go_on", lambda error: asked.append(str(error)) or len(asked) > 1)
    dock.rate()
    assert dock.window_to_rate is None
    dock.rate()
    assert "“A” has rated 1 of 23" in asked[0]
    assert dock.window_to_rate.session.place == 1
    dock.window_to_rate.close()
    qtbot.waitUntil(lambda: dock.window_to_rate is None)


def test_what_is_no_review_is_told(dock: ReviewWidget, tmp_path: Path) -> None:
    (tmp_path / "x.review").write_text("no")
    dock.open(tmp_path / "x.review")
    assert "x.review" in dock.messages.text
    assert dock.path is None
    assert not dock.report.isEnabled()


def test_a_review_is_made_copied_brought_back_and_reported(
    dock: ReviewWidget, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("a", "b"):
        (tmp_path / "images" / method).mkdir(parents=True)
        for number in range(8):
            image = np.random.default_rng([number, ord(method)]).integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(image).save(tmp_path / "images" / method / f"{number}.png")
    monkeypatch.setenv("PATHSRGAN_KEYS", str(tmp_path / "keys"))
    review, copy = tmp_path / "study.review", tmp_path / "copy.review"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "images"))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(copy if review.exists() else review), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(copy)], ""))
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))

    def wait() -> None:
        assert dock.process.running
        qtbot.waitUntil(lambda: not dock.process.running and dock.messages.text != "Working …", timeout=PATIENCE_MS)

    assert not dock.form.make.isEnabled()
    dock.form.source.click()
    dock.form.options.row("patches").editor.setValue(9)
    dock.form.options.row("warm_up").editor.setValue(1)
    dock.form.make.click()
    wait()
    assert "needs 10 fields" in dock.messages.text or "needs 12 fields" in dock.messages.text
    dock.form.options.row("patches").editor.setValue(5)
    dock.form.make.click()
    wait()
    assert "10 images of 5 fields by a, b" in dock.messages.text
    assert dock.path == review
    assert find_key(review) == tmp_path / "keys" / f"{review.stem}.key.json"
    dock.copy.click()
    wait()
    with Session(copy, "B") as session:
        while session.place is not None:
            session.rate(1 + session.place % 5, 1.0)
    dock.bring.click()
    wait()
    assert "new: B" in dock.messages.text
    assert table(dock) == [["B", "16", "16"]]
    dock.report.click()
    wait()
    assert opened == [str(tmp_path / "study-report" / "report.html")]
    assert Path(opened[0]).exists()
    assert known_raters(review)["B"][:2] == (16, 16)


def test_a_rater_is_left_out_and_a_damaged_copy_rescued(
    dock: ReviewWidget, make_review: Make, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = make_review()
    with Session(path, "B") as session:
        session.rate(3, 1.0)
    runs: list[list[str]] = []
    monkeypatch.setattr(dock.process, "run", runs.append)
    dock.open(path)
    assert not dock.drop.isEnabled()
    dock.states.selectRow(0)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("fell asleep", True))
    dock.drop.click()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "b.review"), ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out.review"), ""))
    dock.rescue.click()
    rescue = ["review", "rescue", str(tmp_path / "b.review"), str(tmp_path / "out.review"), "--study", str(path)]
    assert runs == [["review", "drop", str(path), "B", "--reason=fell asleep"], rescue]


def test_a_verb_that_runs_ends_with_the_dock(dock: ReviewWidget, make_review: Make) -> None:
    path, _ = make_review()
    dock.open(path)
    dock.make_report()
    assert dock.process.running
    dock.end()
    assert not dock.process.running


def test_a_rater_s_window_outlives_the_dock(
    make_napari_viewer: Callable[..., napari.Viewer], make_review: Make, qtbot: QtBot
) -> None:
    path, _ = make_review()
    viewer = make_napari_viewer()
    dock = ReviewWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Review")
    dock.open(path)
    dock.rater.setText("A")
    dock.rate()
    seen = dock.window_to_rate.windowHandle()
    gone: list[bool] = []
    dock.destroyed.connect(lambda: gone.append(True))
    viewer.window.remove_dock_widget(dock)
    del dock
    qtbot.waitUntil(lambda: bool(gone))
    gc.collect()
    assert seen.isVisible()
    (window,) = (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, RatingWidget))
    window.close()
    qtbot.waitUntil(lambda: not any(isinstance(one, RatingWidget) for one in QApplication.topLevelWidgets()))
