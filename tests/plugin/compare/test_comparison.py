from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtWidgets import QApplication
from tests.plugin.conftest import Window
from vispy.visuals.shaders.program import ModularProgram

from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.compare.canvas_overlay import cross_lines
from napari_pathsrgan.plugin.compare.comparison import LENS_PX
from napari_pathsrgan.plugin.layers.names import slide_of
from napari_pathsrgan.plugin.layers.view_kinds import BICUBIC

pytestmark = pytest.mark.usefixtures("shared_process")
PAIRS = (modes.SWIPE, modes.LENS, modes.FLICKER, modes.DIFFERENCE)


def mouse(window: Window, kind: QEvent.Type, x: float, y: float) -> None:
    canvas = window.dock.comparison._canvas.widget
    place = QPointF(x, y)
    moved = kind == QEvent.Type.MouseMove
    button = Qt.MouseButton.NoButton if moved else Qt.MouseButton.LeftButton
    held = Qt.MouseButton.NoButton if moved or kind == QEvent.Type.MouseButtonRelease else Qt.MouseButton.LeftButton
    there = QPointF(canvas.mapToGlobal(place.toPoint()))
    QApplication.sendEvent(canvas, QMouseEvent(kind, place, there, button, held, Qt.KeyboardModifier.NoModifier))


def visible(window: Window) -> list[str]:
    return [layer.name.split(" · ")[0] for layer in window.viewer.layers if layer.visible]


def test_modes_hide_what_is_not_compared_and_bring_it_back(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.look(600, 900, 0.3)
    comparison = window.dock.comparison
    before = visible(window)
    for mode in PAIRS:
        comparison.set_mode(mode)
        window.settle()
        assert visible(window)[:2] == ["4× scan", "SR-20× computed"]
        assert not window.viewer.canvas.grid.enabled
        assert window.view("SR-10")[1].requested == frozenset()  # costs nothing
        assert not window.dock.form.show_row.isEnabled()
    comparison.set_mode(modes.ONE)
    assert visible(window) == ["SR-20× computed"]
    comparison.set_mode(modes.SIDE_BY_SIDE)
    window.settle()
    assert visible(window) == before
    assert window.viewer.canvas.grid.enabled
    assert len(window.viewer.layers) == 3


@pytest.mark.parametrize("mode", PAIRS)
def test_what_is_compared_gets_sharp_as_it_does_side_by_side(
    make_window: Callable[..., Window], slide_path: Path, mode: modes.CompareMode
) -> None:
    window = make_window(slide_path)
    window.dock.comparison.set_mode(mode)
    window.look(600, 900, 0.3)
    assert window.view("SR-20")[1].requested
    window.wait_sharp()
    level, rows, cols, drawn = window.drawn(window.view("SR-20")[0])
    exact = window.shown.super_resolved.read(
        level, rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start
    )
    assert (np.abs(drawn.astype(int) - exact) <= 1).mean() > 0.999
    centre = window.viewer.scene.camera.center
    window.settle(0.3)
    assert window.viewer.scene.camera.center == centre


def test_the_difference_follows_as_the_pictures_get_sharp(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    window.dock.comparison.set_mode(modes.DIFFERENCE)
    window.look(600, 900, 0.3)
    window.wait_sharp()
    window.wait_quiet()
    difference = window.dock.comparison.derived
    level, rows, cols, drawn = window.drawn(difference)
    assert level == 0
    np.testing.assert_array_equal(drawn, difference.data[0][rows, cols])
    assert drawn.max() > 10
    window.viewer.layers.remove(difference)  # as a user may
    window.settle()
    assert window.dock.comparison.mode is modes.SIDE_BY_SIDE


def test_the_difference_computes_nothing_itself(
    make_window: Callable[..., Window], slide_path: Path, shared_process: Any
) -> None:
    window = make_window(slide_path)
    window.session.compute.set_paused(True)
    runs = shared_process[-1].runs
    window.dock.comparison.set_mode(modes.DIFFERENCE)
    window.look(600, 900, 0.3)
    window.settle(0.3)
    assert shared_process[-1].runs == runs
    window.session.compute.set_paused(False)


def test_the_divider_is_dragged_without_panning_and_centred_by_a_double_click(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.dock.comparison.set_mode(modes.SWIPE)
    window.look(600, 900, 0.3)
    camera, overlay = window.viewer.scene.camera, window.dock.comparison.overlay
    center, zoom = camera.center, camera.zoom
    middle = overlay.canvas_size[0] / 2
    mouse(window, QEvent.Type.MouseMove, middle, 200)
    assert overlay._canvas.cursor().shape() == Qt.CursorShape.SplitHCursor
    mouse(window, QEvent.Type.MouseButtonPress, middle, 200)
    for x in (middle - 50, middle - 100, 120):
        mouse(window, QEvent.Type.MouseMove, x, 210)
    mouse(window, QEvent.Type.MouseButtonRelease, 120, 210)
    window.settle()
    assert overlay.state.divider == pytest.approx(120)
    mouse(window, QEvent.Type.MouseButtonDblClick, 120, 210)
    mouse(window, QEvent.Type.MouseButtonRelease, 120, 210)
    window.settle()
    assert overlay.state.divider == pytest.approx(middle)
    assert camera.center == center
    assert camera.zoom == zoom
    mouse(window, QEvent.Type.MouseMove, middle + 100, 210)
    assert overlay._canvas.cursor().shape() != Qt.CursorShape.SplitHCursor


def test_a_pan_links_no_shader_anew(
    make_window: Callable[..., Window], slide_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window(slide_path)
    window.look(600, 900, 0.3)
    window.wait_sharp()
    window.settle()
    assert len(window.dock.comparison.labels.lines) == 3
    linked: list[object] = []
    build = ModularProgram._build
    monkeypatch.setattr(ModularProgram, "_build", lambda program: (linked.append(program), build(program)))
    for col_um in (905.0, 910.0, 915.0):
        window.look(600, col_um, 0.3)
        window.settle()
    assert linked == []


def test_labels_stay_with_their_side(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    comparison = window.dock.comparison
    comparison.set_mode(modes.SWIPE)
    window.settle()
    assert [lines[0].split(" ")[0] for lines in comparison.labels.lines] == ["4×", "SR-20×"]
    comparison.overlay.divider_moved.emit(0.02)
    window.settle()
    assert len(comparison.labels.lines) == 1  # no room on the left
    comparison.choose(first=comparison.second)  # exchanges them
    comparison.overlay.divider_moved.emit(0.5)
    window.settle()
    assert [lines[0].split(" ")[0] for lines in comparison.labels.lines] == ["SR-20×", "4×"]
    comparison.set_mode(modes.FLICKER)
    comparison.hold(True)
    window.settle()
    assert [lines[0].split(" ")[0] for lines in comparison.labels.lines] == ["4×"]


def test_the_lens_follows_the_cursor_and_alt_and_wheel_change_its_size(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    comparison = window.dock.comparison
    comparison.set_mode(modes.LENS)
    window.settle()
    mouse(window, QEvent.Type.MouseMove, 150, 120)
    centre, radius = comparison.overlay.state.lens
    assert (centre.x(), centre.y()) == pytest.approx((150, 120))
    assert radius == LENS_PX
    active, zoom = window.viewer.layers.selection.active, window.viewer.scene.camera.zoom
    place = QPointF(150, 120)
    for notches in (1, 1, -4):
        event = QWheelEvent(
            place, place, QPoint(), QPoint(120 * notches, 0), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.AltModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(comparison._canvas.widget, event)
    assert comparison.overlay.state.lens[1] == pytest.approx(LENS_PX * 1.15**-2)
    assert window.viewer.layers.selection.active is active
    assert window.viewer.scene.camera.zoom == zoom


def test_the_cross_hair_marks_the_same_place_in_every_pane(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.settle()
    marks = window.dock.comparison.overlay.state
    assert marks.cross
    assert len(marks.panes) == 3
    first, last = marks.panes[0], marks.panes[-1]
    lines = cross_lines(QPointF(first.left() + 40, first.top() + 70), last, marks.panes)
    assert {line.x1() for line in lines[2:]} == {last.left() + 40}
    assert {line.y1() for line in lines[:2]} == {last.top() + 70}
    assert cross_lines(QPointF(-5, 0), last, marks.panes) == []
    window.dock.compare.cross.click()
    assert not window.dock.comparison.overlay.state.cross


def test_next_turns_through_the_pictures(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    comparison = window.dock.comparison
    window.session.set_kind_shown(window.shown.source, BICUBIC, True)
    window.settle()
    comparison.next_image()
    assert comparison.mode is modes.ONE
    seen = []
    for _ in range(4):
        seen += visible(window)
        comparison.next_image()
    assert sorted(seen) == ["4× scan", "Bicubic 20×", "SR-10× computed", "SR-20× computed"]
    comparison.set_mode(modes.SWIPE)
    others = []
    for _ in range(3):
        others.append(comparison.second.name.split(" · ")[0])
        comparison.next_image()
    assert sorted(others) == ["Bicubic 20×", "SR-10× computed", "SR-20× computed"]


def test_a_new_slide_and_a_removed_layer_lead_back_side_by_side(
    make_window: Callable[..., Window], slide_path: Path, other_slide_path: Path
) -> None:
    window = make_window(slide_path)
    comparison = window.dock.comparison
    comparison.set_mode(modes.SWIPE)
    window.open(other_slide_path)
    window.settle()
    assert comparison.mode is modes.SIDE_BY_SIDE
    assert all(layer.visible for layer in window.viewer.layers)
    comparison.set_mode(modes.FLICKER)
    window.viewer.layers.remove(comparison.second)
    window.settle()
    assert comparison.mode is modes.SIDE_BY_SIDE
    assert window.dock.compare.modes.currentData() is modes.SIDE_BY_SIDE


def test_two_slides_are_never_compared_with_each_other(
    make_window: Callable[..., Window], slide_path: Path, other_slide_path: Path
) -> None:
    window = make_window(slide_path)
    first = window.shown.source
    second = window.open(other_slide_path)
    comparison, form = window.dock.comparison, window.dock.form
    comparison.set_mode(modes.SWIPE)
    assert {slide_of(layer) for layer in (comparison.first, comparison.second)} == {slide_of(second)}
    panel = window.dock.compare
    assert {slide_of(panel.second.itemData(at)) for at in range(panel.second.count())} == {slide_of(second)}
    form.slides.setCurrentIndex(form.slides.findData(first))
    assert comparison.mode is modes.SWIPE
    assert {slide_of(layer) for layer in (comparison.first, comparison.second)} == {slide_of(first)}
    assert {slide_of(layer) for layer in window.viewer.layers if layer.visible} == {slide_of(first)}
    comparison.next_image()
    assert slide_of(comparison.second) == slide_of(first)


def test_one_picture_alone_cannot_be_compared(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    for layer in list(window.viewer.layers)[1:]:
        window.viewer.layers.remove(layer)
    window.settle()
    window.dock.comparison.set_mode(modes.SWIPE)
    assert window.dock.comparison.mode is modes.SIDE_BY_SIDE
    assert window.dock.compare.modes.currentData() is modes.SIDE_BY_SIDE


def test_closing_the_dock_leaves_the_canvas_as_it_was(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    comparison = window.dock.comparison
    canvas = comparison._canvas.widget
    comparison.set_mode(modes.SWIPE)
    window.settle()
    window.close_dock()
    window.settle()
    assert [layer.name for layer in window.viewer.layers] == ["4× scan · 1465 nm per px"]
    assert window.viewer.layers[0].visible
    assert not [child for child in canvas.children() if child is comparison.overlay]
    assert comparison._clips._attached == {}


def test_a_mark_says_which_panes_are_being_worked_on(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    overlay = window.dock.comparison.overlay
    window.session.compute.set_paused(True)
    window.look(600, 900, 0.3)
    assert overlay._working == ()  # nobody works
    window.session.compute.set_paused(False)
    told: list[tuple[tuple[QRectF, float], ...]] = []
    overlay.set_working = lambda working: told.append(tuple(working))
    window.look(300, 300, 0.3)
    window.wait_sharp()
    assert any(working and working[0][0].left() > 0 for working in told)  # never the scan's own pane
    assert not any(rect.left() == 0 for working in told for rect, _ in working)
    assert told[-1] == ()


def test_another_model_s_view_comes_beside_and_survives_a_restart(
    make_window: Callable[..., Window], slide_path: Path, other_model_path: Path
) -> None:
    window = make_window(slide_path)
    window.dock.compare_actions.add_model(other_model_path)
    window.look(600, 900, 0.3)
    window.wait_sharp()
    names = [layer.name.rpartition(" · ")[0] for layer in window.viewer.layers]
    assert names == ["4× scan", "SR-10× computed", "SR-20× computed", "SR-20× computed · other"]
    own, guest = (window.drawn(layer)[3].astype(int).mean() for layer in list(window.viewer.layers)[2:])
    assert guest - own > 10  # its pictures are brighter
    window.dock.compare_actions.add_model(other_model_path)
    assert "What other computes is shown already." in window.dock.messages.text
    window.session.restart(window.session.compute.settings)
    window.session.compute.cache.clear()
    window.look(300, 500, 0.3)
    window.wait_sharp()
    window.viewer.layers.remove(window.viewer.layers[-1])
    window.settle()
    assert window.shown.comparison_models == {}
    assert len(window.viewer.layers) == 3


def test_the_canvas_is_drawn_once_where_the_pictures_are_sliced_anew(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.session.compute.set_paused(True)
    window.look(500, 500, 0.3)
    window.settle(0.5)
    layer, _ = window.view("SR-20")
    before = layer.corner_pixels.copy()
    drawn: list[Any] = []
    window.dock.comparison._canvas.on_draw(drawn.append)
    window.viewer.scene.camera.center = (900, 1100)
    window.settle(0.5)
    window.dock.comparison._canvas.off_draw(drawn.append)
    assert not np.array_equal(layer.corner_pixels, before)
    assert len(drawn) == 1
