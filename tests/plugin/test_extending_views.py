"""A view kind and a compare mode, each defined in one object here, go through the window without another change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.plugin.conftest import Window

from napari_pathsrgan.inference.derived_source import CachedTile, RegionReader
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.compare.modes import CompareMode
from napari_pathsrgan.plugin.layers import view_kinds
from napari_pathsrgan.plugin.layers.view_kinds import ViewKind
from napari_pathsrgan.types import Pixels

pytestmark = pytest.mark.usefixtures("shared_process")


def invert(super_resolved: SuperResolvedSlide, _cached: CachedTile) -> RegionReader:
    def read(level: int, row: int, col: int, height: int, width: int) -> Pixels:
        return 255 - super_resolved.read_bicubic(level, row, col, height, width)

    return read


NEGATIVE = ViewKind(
    "negative",
    "Negative 20×",
    box="negative",
    tip="The scan with its colours inverted",
    content="negative",
    uses_model=False,
    derive=invert,
)

CHECKERBOARD = CompareMode(
    "Checkerboard",
    "Shift+K",
    "squares of one image and of the other in turns",
    ("Light squares", "Dark squares"),
    regions=(
        "mod(floor(offset.x / 100.0) + floor(offset.y / 100.0), 2.0) < 0.5",
        "mod(floor(offset.x / 100.0) + floor(offset.y / 100.0), 2.0) > 0.5",
    ),
    can_hold=True,
)


@pytest.fixture
def negative() -> Iterator[ViewKind]:
    yield view_kinds.register_view_kind(NEGATIVE)
    view_kinds.remove_view_kind(NEGATIVE)


@pytest.fixture
def checkerboard() -> Iterator[CompareMode]:
    yield modes.register_compare_mode(CHECKERBOARD)
    modes.remove_compare_mode(CHECKERBOARD)


def test_a_view_kind_of_a_test_is_ticked_sharpened_labelled_and_exact(
    make_window: Callable[..., Window], slide_path: Path, negative: ViewKind
) -> None:
    window = make_window(slide_path)
    window.look(500, 600, 0.3)
    box = window.dock.form.boxes[negative]
    assert (box.text(), box.isChecked()) == ("negative", False)
    box.click()
    window.wait_sharp()
    layer, _ = window.shown.views[negative]
    assert layer.name == "Negative 20× · 293 nm per px"
    assert " · ".join(window.dock.comparison.labels.lines[-1]).startswith("Negative 20×")
    level, rows, cols, pixels = window.drawn(layer)
    expected = 255 - window.shown.super_resolved.read_bicubic(
        level, rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start
    )
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(layer.data[level][rows, cols], expected)
    box.click()
    assert negative not in window.shown.views


def test_a_compare_mode_of_a_test_has_its_key_list_entry_regions_and_labels(
    make_window: Callable[..., Window], slide_path: Path, checkerboard: CompareMode
) -> None:
    window = make_window(slide_path)
    window.look(500, 600, 0.3)
    window.wait_sharp()
    panel, comparison = window.dock.compare, window.dock.comparison
    assert panel.modes.findText("Checkerboard") >= 0
    assert ("Shift+K", "Checkerboard") in window.dock.keys.lines()
    window.qtbot.keyClick(comparison.canvas, Qt.Key.Key_K, Qt.KeyboardModifier.ShiftModifier)
    window.settle()
    assert comparison.mode is checkerboard
    assert panel.modes.currentText() == "Checkerboard"
    seen = window.viewer.screenshot(canvas_only=True, flash=False)
    middle_row, middle_col = seen.shape[0] // 2, seen.shape[1] // 2
    alone = {}
    for held in (True, False):  # the second image everywhere, then the first
        comparison.hold(held)
        if not held:
            comparison.choose(first=comparison.second)
            comparison.hold(True)
        window.settle()
        alone[held] = window.viewer.screenshot(canvas_only=True, flash=False)
        comparison.hold(False)
    first, second = alone[False], alone[True]
    squares = {
        (down, across): (
            slice(middle_row - 90, middle_row - 10) if down < 0 else slice(middle_row + 10, middle_row + 90),
            slice(middle_col - 90, middle_col - 10) if across < 0 else slice(middle_col + 10, middle_col + 90),
        )
        for down in (-1, 1)
        for across in (-1, 1)
    }
    for (down, across), place in squares.items():
        shown = first if down * across < 0 else second
        np.testing.assert_array_equal(seen[place], shown[place])
        assert (first[place] != second[place]).any()


def test_two_kinds_or_modes_of_one_name_are_refused(negative: ViewKind, checkerboard: CompareMode) -> None:
    with pytest.raises(ValueError, match="negative"):
        view_kinds.register_view_kind(NEGATIVE)
    with pytest.raises(ValueError, match="Checkerboard"):
        modes.register_compare_mode(CHECKERBOARD)
