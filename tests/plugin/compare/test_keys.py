from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from napari.settings import get_settings
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QLabel
from tests.plugin.crosses import scan_layer

from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.compare.comparison import Comparison
from napari_pathsrgan.plugin.compare.keys import (
    HOLD_KEY,
    LAYERS_KEY,
    NEXT_KEY,
    WHOLE_KEY,
    ZOOM_KEYS,
    CompareKeys,
    used_keys,
)
from napari_pathsrgan.plugin.compare.panel import ComparePanel

OURS = (*(mode.key for mode in modes.compare_modes()), *ZOOM_KEYS.values(), WHOLE_KEY, NEXT_KEY, HOLD_KEY, LAYERS_KEY)


@pytest.fixture
def keys(shared_viewer: Any, comparison: Comparison) -> Iterator[CompareKeys]:
    made = CompareKeys(shared_viewer, comparison)
    yield made
    made.release()


@pytest.fixture
def comparison(shared_viewer: Any) -> Iterator[Comparison]:
    shared_viewer.add_layer(scan_layer(1.465))
    shared_viewer.add_layer(scan_layer(0.586))
    made = Comparison(shared_viewer)
    yield made
    made.close()
    shared_viewer.layers.clear()


def press(viewer: Any, qtbot: Any, key: str, hold: bool = False) -> None:
    """Press a key on the canvas as Qt would tell it."""
    from qtpy.QtCore import Qt

    *modifiers, letter = key.split("+")
    held = Qt.KeyboardModifier.NoModifier
    for name in modifiers:
        held |= {"Ctrl": Qt.KeyboardModifier.ControlModifier, "Shift": Qt.KeyboardModifier.ShiftModifier}[name]
    canvas = viewer.window._qt_viewer.canvas.native
    code = getattr(Qt.Key, f"Key_{letter}")
    (qtbot.keyPress if hold else qtbot.keyClick)(canvas, code, held)


def test_no_key_is_napari_s(shared_viewer: Any) -> None:
    assert len({coerce_keybinding(key) for key in OURS}) == len(OURS)
    taken = {key for keys in default_shortcuts.values() for key in keys}
    shown = [action for menu in shared_viewer.window._qt_window.menuBar().actions() for action in _under(menu)]
    in_menus = {action.shortcut().toString() for action in shown}
    assert len(in_menus) > 5
    for key in OURS:
        assert coerce_keybinding(key) not in taken
        assert coerce_keybinding(key) not in used_keys(shared_viewer)
        assert key not in in_menus


def _under(action: Any) -> list[Any]:
    return [action] if action.menu() is None else [one for part in action.menu().actions() for one in _under(part)]


def test_keys_choose_the_mode_and_go_with_the_dock(
    shared_viewer: Any, qtbot: Any, comparison: Comparison, keys: CompareKeys
) -> None:
    assert not keys.taken
    for mode in (*modes.compare_modes()[1:], modes.SIDE_BY_SIDE):
        press(shared_viewer, qtbot, mode.key)
        assert comparison.mode is mode
    keys.release()
    press(shared_viewer, qtbot, modes.LENS.key)
    assert comparison.mode is modes.SIDE_BY_SIDE


@pytest.mark.usefixtures("keys")
def test_zoom_presets_show_a_scan_s_pixels_one_to_one(shared_viewer: Any, qtbot: Any) -> None:
    centre = shared_viewer.scene.camera.center
    for magnification, mpp in ((4, 1.465), (10, 0.586), (20, 0.293), (40, 0.1465)):
        press(shared_viewer, qtbot, ZOOM_KEYS[magnification])
        np.testing.assert_allclose(1 / shared_viewer.scene.camera.zoom, mpp)
        assert shared_viewer.scene.camera.center == centre
    press(shared_viewer, qtbot, WHOLE_KEY)
    (top, left), (bottom, right) = shared_viewer.layers.extent.world
    pane = np.array(shared_viewer.canvas.size) / (1, len(shared_viewer.layers))
    filled = np.array([bottom - top, right - left]) * shared_viewer.scene.camera.zoom / pane
    assert 0.8 < filled.max() < 1


def test_a_key_gives_the_room_of_the_layer_list_to_the_panes(
    shared_viewer: Any, qtbot: Any, comparison: Comparison, keys: CompareKeys
) -> None:
    panel = ComparePanel(comparison, keys)
    qtbot.addWidget(panel)
    width = shared_viewer.canvas.size[1]
    press(shared_viewer, qtbot, LAYERS_KEY)
    qtbot.waitUntil(lambda: shared_viewer.canvas.size[1] > width + 100)
    assert panel.hide_layers.isChecked()
    panel.hide_layers.click()
    qtbot.waitUntil(lambda: shared_viewer.canvas.size[1] < width + 100)
    assert not comparison.layer_docks_hidden


@pytest.mark.usefixtures("keys")
def test_flicker_lasts_as_long_as_the_key_is_held(shared_viewer: Any, qtbot: Any, comparison: Comparison) -> None:
    comparison.set_mode(modes.FLICKER)
    press(shared_viewer, qtbot, HOLD_KEY, hold=True)
    assert comparison.held
    qtbot.keyRelease(shared_viewer.window._qt_viewer.canvas.native, HOLD_KEY)
    qtbot.waitUntil(lambda: not comparison.held)  # napari waits for an auto-repeat
    press(shared_viewer, qtbot, HOLD_KEY, hold=True)
    comparison.overlay.focus_lost.emit()  # the release goes to another window
    assert not comparison.held
    qtbot.keyRelease(shared_viewer.window._qt_viewer.canvas.native, HOLD_KEY)
    qtbot.wait(150)


def test_a_key_in_a_menu_or_of_a_layer_is_said_to_be_taken(
    shared_viewer: Any, qtbot: Any, comparison: Comparison, keys: CompareKeys
) -> None:
    window = shared_viewer.window._qt_window
    panel = ComparePanel(comparison, keys)
    qtbot.addWidget(panel)
    action = window.menuBar().actions()[0].menu().addAction("Another plugin's")
    action.setShortcut(QKeySequence(modes.FLICKER.key))
    shortcut = QShortcut(QKeySequence(ZOOM_KEYS[10]), window)
    layer = shared_viewer.layers[0]
    layer.bind_key(NEXT_KEY, lambda _layer: None)
    assert not keys.taken
    panel.more.expand(animate=False)
    assert keys.taken == {modes.FLICKER.key, ZOOM_KEYS[10], NEXT_KEY}
    said = [label.text() for label in panel.more.findChildren(QLabel) if "taken by another" in label.text()]
    assert len(said) == 3
    assert f"Zoom to 4× 10× 20× 40× ({ZOOM_KEYS[10]} taken by another)" in said
    assert all(coerce_keybinding(key) not in shared_viewer.keymap for key in keys.taken)
    layer.bind_key(NEXT_KEY, None)
    action.deleteLater()
    shortcut.deleteLater()
    qtbot.wait(10)
    keys.give_way()
    assert not keys.taken
    press(shared_viewer, qtbot, modes.FLICKER.key)
    assert comparison.mode is modes.FLICKER


def test_keys_follow_what_the_user_sets_meanwhile(
    shared_viewer: Any, qtbot: Any, comparison: Comparison, keys: CompareKeys
) -> None:
    key = modes.SWIPE.key
    shortcuts = get_settings().shortcuts
    before = dict(shortcuts.shortcuts)
    try:
        shortcuts.shortcuts = {**before, "napari:toggle_theme": [coerce_keybinding(key)]}
        assert keys.taken == {key}
        press(shared_viewer, qtbot, key)
        assert comparison.mode is modes.SIDE_BY_SIDE
    finally:
        shortcuts.shortcuts = before
    assert not keys.taken
    press(shared_viewer, qtbot, key)
    assert comparison.mode is modes.SWIPE


def test_what_another_plugin_put_in_the_place_of_ours_is_not_unbound(
    shared_viewer: Any, comparison: Comparison, keys: CompareKeys
) -> None:
    def theirs(_viewer: Any) -> None: ...

    shared_viewer.bind_key(NEXT_KEY, theirs, overwrite=True)
    keys.give_way()
    assert keys.taken == {NEXT_KEY}
    keys.release()
    assert shared_viewer.bind_key(NEXT_KEY, None) is theirs


def test_a_key_that_somebody_has_is_left_alone(shared_viewer: Any, qtbot: Any, comparison: Comparison) -> None:
    pressed = []
    shared_viewer.bind_key(NEXT_KEY, lambda _viewer: pressed.append(1))
    shortcuts = get_settings().shortcuts
    before = dict(shortcuts.shortcuts)
    shortcuts.shortcuts = {**before, "napari:toggle_theme": [coerce_keybinding(WHOLE_KEY)]}
    try:
        keys = CompareKeys(shared_viewer, comparison)
        assert keys.taken == {NEXT_KEY, WHOLE_KEY}
        assert dict(keys.lines())[NEXT_KEY].endswith("(taken by another)")
        keys.release()
        press(shared_viewer, qtbot, NEXT_KEY)
        assert pressed
    finally:
        shortcuts.shortcuts = before
        shared_viewer.bind_key(NEXT_KEY, None)
