from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QPushButton, QSpinBox, QWidget
from tests.plugin.conftest import Window, draw_smear, write_model, write_slide

from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.layers.names import pane_label
from napari_pathsrgan.plugin.layers.view_kinds import SR_10, SR_20
from napari_pathsrgan.plugin.viewer.overview_map import visible_um

pytestmark = pytest.mark.usefixtures("shared_process")


def test_without_a_slide_the_dock_says_what_to_do(make_window: Callable[..., Window]) -> None:
    window = make_window()
    assert window.dock.empty.isVisible()
    assert not window.dock.body.isVisible()
    assert "File ▸ Open Sample ▸ Cytology phantom" in window.dock.empty.text()
    window.viewer.add_image(np.zeros((10, 10)))
    window.settle()
    assert window.dock.empty.isVisible()  # not a slide
    assert not window.viewer.canvas.grid.enabled
    assert window.session.compute.service is None


def test_the_dock_fits_320_px_and_every_control_explains_itself(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.dock.messages.show_problem(Exception("A long sentence about what went wrong. " * 4), "Try again", None)
    window.dock.advanced.expand(animate=False)
    window.settle()
    assert window.dock.minimumSizeHint().width() <= 320
    for kind in (QComboBox, QSpinBox, QPushButton):
        for control in window.dock.findChildren(kind):
            if control.isVisible() and control.text() if kind is QPushButton else True:
                assert control.toolTip() or control.text() in ("Try again", "Advanced"), control
    for control in (window.dock.advanced.device, window.dock.advanced.precision, window.dock.advanced.memory):
        assert "default" in control.toolTip()
    assert "MiB" in window.dock.advanced.memory.toolTip()


def test_the_slide_stays_in_sight_whole_when_panes_appear(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    window.settle()
    (top, left), (bottom, right) = window.shown.source.extent.world
    row, col, height, width = window.dock.overview._visible_um
    assert row <= top
    assert col <= left
    assert row + height >= bottom
    assert col + width >= right


def test_a_place_looked_at_stays_there_when_the_dock_comes(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window()
    window.close_dock()
    window.viewer.open(str(slide_path), plugin="napari-pathsrgan")
    window.look(500, 600, 0.8)
    assert len(window.viewer.layers) == 1
    make_window()
    assert len(window.viewer.layers) == 3
    np.testing.assert_allclose(window.viewer.scene.camera.center[-2:], (500, 600))
    np.testing.assert_allclose(window.viewer.scene.camera.zoom, 1.25)


def test_a_2x_slide_is_shown_as_scanned_with_a_sentence(make_window: Callable[..., Window], tmp_path: Path) -> None:
    path = write_slide(tmp_path / "coarse.svs", draw_smear(400, 500), mpp=2.93, power=2)
    window = make_window(path)
    assert len(window.viewer.layers) == 1
    assert "coarse.svs has 2.93 µm/px, about 2×" in window.dock.messages.text
    assert window.dock.form.facts.text() == "Shown as scanned only"
    assert window.session.compute.service is None
    assert not window.dock.progress.isVisible()
    assert not window.dock.form.boxes[SR_20].isChecked()
    window.dock.form.boxes[SR_10].click()
    assert not window.dock.form.boxes[SR_10].isChecked()
    assert "coarse.svs" in window.dock.messages.text


def test_a_40x_slide_says_that_it_is_resampled(make_window: Callable[..., Window], tmp_path: Path) -> None:
    path = write_slide(tmp_path / "fine.svs", draw_smear(900, 900), mpp=0.25, power=40)
    window = make_window(path)
    assert "0.25 µm/px, finer than the 4× scans" in window.dock.messages.text
    assert window.viewer.layers[0].name == "40× scan · 250 nm per px"
    assert window.dock.form.facts.text().replace("\u00a0", " ") == "40× · 0.250 µm/px · 900 × 900 px"


def test_a_model_of_other_pixel_sizes_gets_new_layers_in_the_same_places(
    make_window: Callable[..., Window], slide_path: Path, tmp_path: Path
) -> None:
    other = write_model(tmp_path / "finer.safetensors", 0.0, mpp_in=1.0, mpp_mr=0.5, mpp_hr=0.25)
    window = make_window(slide_path)
    with window.qtbot.waitSignal(window.session.model_set, timeout=60_000):
        window.dock.choose_model(other)
    assert [layer.name for layer in window.viewer.layers] == [
        "4× scan · 1465 nm per px",
        "SR-10× computed · 500 nm per px",
        "SR-20× computed · 250 nm per px",
    ]
    window.look(500, 600, 0.3)
    window.wait_sharp()


def test_labels_break_rather_than_being_cut_off(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    window.viewer.window.resize(1700, 500)
    window.settle(0.4)
    assert ("SR-10× computed · tiny · 0.586 µm/px",) in window.dock.comparison.labels.lines
    window.viewer.window.resize(1050, 500)
    window.settle(0.4)
    broken = window.dock.comparison.labels.lines[1]
    assert len(broken) > 1
    assert " ".join(broken).replace("· ", "") == "SR-10× computed tiny 0.586 µm/px"
    window.dock.comparison.set_mode(modes.ONE)
    assert not window.viewer.canvas.grid.enabled


def test_a_layer_the_user_renamed_keeps_its_name(
    make_window: Callable[..., Window], slide_path: Path, other_slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.viewer.layers[1].name = "mine"
    window.open(other_slide_path)
    names = [layer.name for layer in window.viewer.layers]
    assert names[:3] == ["case-17 · 4× scan · 1465 nm per px", "mine", "case-17 · SR-20× computed · 293 nm per px"]


def test_labels_say_computed_the_model_and_the_pixel_size_whatever_the_layer_is_called(
    make_window: Callable[..., Window], slide_path: Path, other_slide_path: Path
) -> None:
    window = make_window(slide_path)
    scan, _, computed = window.viewer.layers
    assert pane_label(scan) == "4× scan · 1.465 µm/px"
    assert pane_label(computed) == "SR-20× computed · tiny · 0.293 µm/px"
    computed.name = "real tissue"
    window.viewer.window.resize(1700, 500)
    window.settle(0.4)
    assert " · ".join(window.dock.comparison.labels.lines[-1]).startswith("real tissue · SR-20× computed · tiny")
    window.open(other_slide_path)
    assert pane_label(scan) == "case-17 · 4× scan · 1.465 µm/px"
    assert pane_label(computed) == "real tissue · SR-20× computed · tiny · 0.293 µm/px"


def test_a_second_slide_opens_in_view_and_choosing_a_slide_goes_back_to_its_place(
    make_window: Callable[..., Window], slide_path: Path, other_slide_path: Path
) -> None:
    window = make_window(slide_path)
    first = window.shown.source
    window.look(1500, 2000, 0.3)  # beyond the other slide's edge
    second = window.open(other_slide_path)
    camera, slides = window.viewer.scene.camera, window.dock.form.slides
    (top, left), (bottom, right) = second.extent.world
    np.testing.assert_allclose(camera.center[-2:], ((top + bottom) / 2, (left + right) / 2), atol=1)
    row, col, height, width = visible_um(window.viewer)
    assert row <= top
    assert col <= left
    assert row + height >= bottom
    assert col + width >= right
    slides.setCurrentIndex(slides.findData(first))
    np.testing.assert_allclose(camera.center[-2:], (1500, 2000))
    np.testing.assert_allclose(camera.zoom, 1 / 0.3)
    window.look(300, 200, 1.0)
    slides.setCurrentIndex(slides.findData(second))
    np.testing.assert_allclose(camera.center[-2:], ((top + bottom) / 2, (left + right) / 2), atol=1)
    slides.setCurrentIndex(slides.findData(first))
    np.testing.assert_allclose(camera.center[-2:], (300, 200))


def test_the_wheel_over_the_dock_changes_no_box_without_the_focus(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.dock.advanced.expand(animate=False)
    window.settle()
    advanced = window.dock.advanced
    boxes = [window.dock.form.models, window.dock.compare.modes, advanced.device, advanced.memory]
    before = [box.text() if isinstance(box, QSpinBox) else box.currentText() for box in boxes]
    for box in boxes:
        turn_wheel(box)
    assert [box.text() if isinstance(box, QSpinBox) else box.currentText() for box in boxes] == before


def turn_wheel(widget: QWidget) -> None:
    """Turn the wheel by a notch over a widget."""
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(widget.mapToGlobal(widget.rect().center())),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def test_memory_is_bounded_by_what_is_set(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path, memory_bytes=64 * 2**20)
    window.dock.advanced.memory.setValue(128)
    assert window.session.compute.cache.max_bytes == 128 * 2**20
    assert window.session.compute.settings.memory_bytes == 128 * 2**20


def test_an_unknown_device_is_told_and_can_be_corrected(make_window: Callable[..., Window], slide_path: Path) -> None:
    from napari_pathsrgan.errors import DeviceError

    window = make_window(slide_path)
    window.dock._on_problem(DeviceError("There is no device “foo”.", "Choose another under Advanced."))
    assert window.dock.messages.text == "There is no device “foo”. Choose another under Advanced."
    dismiss = [button for button in window.dock.messages.findChildren(QLabel) if button.text()]
    assert dismiss
    window.dock.messages.hide()
    assert window.dock.messages.text == ""


def test_async_slicing_draws_the_same(
    make_window: Callable[..., Window], slide_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_settings().experimental, "async_", True)
    window = make_window(slide_path)
    assert not window.viewer._layer_slicer._force_sync
    window.look(500, 600, 0.3)
    window.wait_sharp()
    layer, _ = window.view("SR-20")
    window.until(lambda: layer.loaded)
    level, rows, cols, pixels = window.drawn(layer)
    np.testing.assert_array_equal(pixels, window.shown.super_resolved.levels[level][rows, cols].compute())
    window.viewer.layers.clear()
    assert window.session.compute.service is None
