"""Docks stay whole at 320 px, and with letters twice as large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from napari.settings import get_settings
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLabel, QLineEdit, QScrollArea, QWidget
from tests.plugin.conftest import Window

from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.review.review_widget import ReviewWidget
from napari_pathsrgan.plugin.widgets.narrow_layout import Flowing, Section

NARROW_PX = 320


@pytest.fixture(params=[1, 2], ids=["usual letters", "large letters"])
def letters(request: pytest.FixtureRequest) -> Iterator[int]:
    appearance = get_settings().appearance
    usual = appearance.font_size
    appearance.font_size = request.param * usual
    yield request.param
    appearance.font_size = usual


def cut_off(dock: QWidget) -> list[str]:
    """Words that do not fit where they stand, or stand outside."""
    found = []
    for widget in dock.findChildren(QWidget):
        if not isinstance(widget, QLabel | QAbstractButton | QComboBox | QLineEdit) or not widget.isVisible():
            continue
        if isinstance(widget.parent(), QComboBox | QAbstractSpinBox):  # part of one
            continue
        left = widget.mapTo(dock, widget.rect().topLeft()).x()
        outside = left < 0 or left + widget.width() > dock.width()
        needed = widget.heightForWidth(widget.width()) if widget.hasHeightForWidth() else widget.sizeHint().height()
        narrow = isinstance(widget, QAbstractButton) and widget.width() < widget.sizeHint().width()
        if outside or narrow or widget.height() < needed - 1:
            text = getattr(widget, "text", widget.objectName)()
            found.append(
                f"{text}: {widget.width()} × {widget.height()} px, {widget.sizeHint().width()} × {needed} needed"
            )
    return found


def assert_whole(dock: QWidget, qtbot: QtBot) -> None:
    dock.setFixedWidth(NARROW_PX)
    qtbot.wait(300)
    for area in dock.findChildren(QScrollArea):
        assert area.horizontalScrollBar().maximum() == 0
    assert "\n".join(cut_off(dock)) == ""


def open_sections(dock: QWidget) -> None:
    for section in dock.findChildren(Section):
        section.expand(animate=False)


@pytest.mark.usefixtures("letters")
def test_the_dock_super_resolution_is_whole(make_window: Callable[..., Window], slide_path: Path, qtbot: QtBot) -> None:
    window = make_window(slide_path)
    window.settle(0.5)
    window.dock.comparison.set_mode(modes.SWIPE)
    assert_whole(window.dock, qtbot)
    open_sections(window.dock)
    assert_whole(window.dock, qtbot)
    assert window.dock.compare.scan.isVisible()


@pytest.mark.usefixtures("letters")
def test_the_dock_review_is_whole(shared_viewer: Any, make_review: Callable[..., Any], qtbot: QtBot) -> None:
    path, _ = make_review()
    dock = ReviewWidget(shared_viewer)
    shared_viewer.window.add_dock_widget(dock, name="Review", area="right")
    dock.open(path)
    dock.rater.setText("A")
    dock.form.set_sources([Path("ward-3.zarr")])
    open_sections(dock)
    assert_whole(dock, qtbot)
    assert dock.rater.font().pointSize() == get_settings().appearance.font_size
    shared_viewer.window.remove_dock_widget(dock)


def test_a_line_that_flows_gets_higher_as_words_and_widgets_come(qtbot: QtBot) -> None:
    first, second = QLabel("4×"), QLabel("10×")
    line = Flowing(first, second)
    qtbot.addWidget(line)
    line.show()
    width = first.sizeHint().width() + second.sizeHint().width() + 20
    one = line.heightForWidth(width)
    assert line.heightForWidth(width) == one
    first.setText("4× and much more than fits beside the other")
    assert line.heightForWidth(width) > 1.5 * one
    first.setText("4×")
    assert line.heightForWidth(width) == one
    third = QLabel("20×")
    line.show_only(first, second, third)
    assert line.heightForWidth(first.sizeHint().width() + 2) > 2 * one
    line.show_only(first)
    assert line.heightForWidth(width) <= one
