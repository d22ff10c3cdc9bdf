from __future__ import annotations

import gc
import shutil
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils._dask_utils import _DASK_CACHE
from tests.plugin.conftest import Lease, Window

from napari_pathsrgan.errors import SlideGoneError, SlideNotFoundError, SlideUnreadableError
from napari_pathsrgan.inference import tile_service
from napari_pathsrgan.inference.cache_folder import CacheFolder
from napari_pathsrgan.inference.process import InferenceProcess
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.models.zoo import user_folder
from napari_pathsrgan.plugin.layers.computed_layer import SlideView
from napari_pathsrgan.plugin.layers.view_kinds import BICUBIC, CONSISTENCY, SCAN, SR_10, SR_20
from napari_pathsrgan.plugin.viewer import advanced_panel
from napari_pathsrgan.slides.openslide_source import OpenSlideSource
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.slides.slide import Slide
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, TileKey

pytestmark = pytest.mark.usefixtures("shared_process")


def test_opening_a_slide_adds_its_views_in_panes_that_begin_at_one_corner(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    names = [layer.name for layer in window.viewer.layers]
    assert names == ["4× scan · 1465 nm per px", "SR-10× computed · 586 nm per px", "SR-20× computed · 293 nm per px"]
    grid = window.viewer.canvas.grid
    assert grid.enabled
    assert [grid.position(place, window.viewer.layers) for place in range(3)] == [(0, 0), (0, 1), (0, 2)]
    for layer, mpp in zip(window.viewer.layers, (1.465, 0.586, 0.293), strict=True):
        np.testing.assert_allclose(layer.scale, mpp)
        assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
        np.testing.assert_allclose(layer.extent.world[0] - layer.scale / 2, 0, atol=1e-9)
        np.testing.assert_allclose(layer._extent_data_augmented[0] * layer.scale + layer.translate, 0, atol=1e-9)
    height_um, width_um = 1200 * 1.465, 1500 * 1.465
    for layer in window.viewer.layers:
        np.testing.assert_allclose(layer.extent.world[1], (height_um, width_um), atol=1.2)


def test_every_level_is_drawn_at_once_and_becomes_exactly_the_dask_level(
    make_window: Callable[..., Window], slide_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowest = 0.0
    draw = SlideView.draw

    def timed(view: SlideView, level: int, rows: slice, cols: slice) -> np.ndarray:
        nonlocal slowest
        began = time.thread_time()  # of this thread alone: other programs' work is not ours
        try:
            return draw(view, level, rows, cols)
        finally:
            slowest = max(slowest, time.thread_time() - began)

    monkeypatch.setattr(SlideView, "draw", timed)
    window = make_window(slide_path)
    shown = window.shown
    levels = shown.super_resolved.levels
    seen = set()
    for um_per_px in (7.0, 3.5, 2.0, 0.8, 0.25):
        window.look(500, 600, um_per_px)
        window.look(650, 800, um_per_px)  # a pan, with tiles outstanding
        window.until(lambda: not window.session.compute.cache.missing({key.whole for key in shown.requested()}))
        window.settle(1.0)  # what is beyond the edge may wait for its drawing
        for kind, (layer, _) in shown.views.items():
            level, rows, cols, pixels = window.drawn(layer)
            seen.add(kind.finest_level + level)
            expected = levels[kind.finest_level + level][rows, cols].compute()
            np.testing.assert_array_equal(pixels, expected, err_msg=f"{kind.name}, level {level}")
    assert seen == set(range(len(levels)))
    assert slowest < 0.05


def test_layer_dask_level_and_export_agree(
    make_window: Callable[..., Window], slide_path: Path, tmp_path: Path
) -> None:
    window = make_window(slide_path)
    levels = window.shown.super_resolved.levels
    for name, kind in (("SR-20", SR_20), ("SR-10", SR_10)):
        layer = window.view(name)[0]
        region = np.s_[400:1100, 700:1400]
        lazily = np.asarray(layer.data[0][region])
        np.testing.assert_array_equal(lazily, levels[kind.finest_level][region].compute())
        np.testing.assert_array_equal(np.asarray(layer.data[0][region[0], region[1], 1]), lazily[..., 1])
    mpp = 0.293
    write_whole_slide(
        window.shown.super_resolved, tmp_path / "out.ome.zarr", (400 * mpp, 700 * mpp, 700 * mpp, 700 * mpp)
    )
    store = PyramidStore.open(tmp_path / "out.ome.zarr")
    tile = store.read(0, 1, 2)
    np.testing.assert_array_equal(tile, np.asarray(window.view("SR-20")[0].data[0][512:1024, 1024:1536]))


def test_of_two_slides_one_goes_and_the_other_goes_on(
    make_window: Callable[..., Window], slide_path: Path, other_slide_path: Path
) -> None:
    window = make_window(slide_path)
    second = window.open(other_slide_path)
    assert len(window.viewer.layers) == 6
    grid = window.viewer.canvas.grid
    places = [grid.position(place, window.viewer.layers) for place in range(6)]
    assert places == [(row, col) for row in range(2) for col in range(3)]
    assert window.viewer.layers[0].name == "case-17 · 4× scan · 1465 nm per px"
    assert window.viewer.layers[5].name == "case-18 · SR-20× computed · 293 nm per px"
    window.look(300, 400, 0.3)
    window.wait_sharp()
    first = next(source for source in window.session.slides if source is not second)
    window.viewer.layers.remove(first)
    assert window.viewer.layers[0].name == "4× scan · 1465 nm per px"
    assert list(window.session.slides) == [second]
    window.look(600, 700, 0.3)
    window.wait_sharp()
    level, rows, cols, pixels = window.drawn(window.view("SR-20")[0])
    np.testing.assert_array_equal(pixels, window.shown.super_resolved.levels[level][rows, cols].compute())


def test_one_file_opened_twice_is_served_until_both_are_gone(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.open(slide_path)
    assert len(window.session.slides) == 2
    window.viewer.layers.remove(next(iter(window.session.slides)))
    window.look(500, 600, 0.3)
    window.wait_sharp()
    assert window.dock.messages.text == ""


def test_another_model_is_swapped_in_place(
    make_window: Callable[..., Window], slide_path: Path, model_path: Path, other_model_path: Path
) -> None:
    window = make_window(slide_path)
    window.look(500, 600, 0.3)
    window.wait_sharp()
    layers = list(window.viewer.layers)
    layer, view = window.view("SR-20")
    levels = list(layer.data)
    dark = window.drawn(layer)[3].mean()
    with window.qtbot.waitSignal(window.session.model_set, timeout=30_000):
        window.dock.choose_model(other_model_path)
        assert view.super_resolved.runner.path == model_path  # until the other one has been loaded
    assert window.dock.form.models.currentText() == "other"
    window.settle()
    window.wait_sharp()
    assert list(window.viewer.layers) == layers
    assert list(layer.data) == levels
    level, rows, cols, pixels = window.drawn(layer)
    assert pixels.mean() > dark + 20
    np.testing.assert_array_equal(pixels, window.shown.super_resolved.levels[level][rows, cols].compute())


def test_bicubic_is_exact_too(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    window.dock.form.boxes[BICUBIC].click()
    window.look(500, 600, 0.3)
    window.wait_sharp()
    layer, _ = window.shown.views[BICUBIC]
    level, rows, cols, pixels = window.drawn(layer)
    assert level == 0
    np.testing.assert_array_equal(pixels, np.asarray(layer.data[0][rows, cols]))
    computed = window.drawn(window.view("SR-20")[0])[3]
    assert np.abs(pixels.astype(int) - computed).mean() > 3


def test_disagreement_is_the_computed_view_with_orange_where_it_disagrees(
    make_window: Callable[..., Window], slide_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_pathsrgan.inference.consistency_map._CALIBRATION_BLOCKS", 1
    )  # what is learnt is tested there
    window = make_window(slide_path)
    window.look(500, 600, 0.3)
    window.wait_sharp()
    window.dock.form.boxes[CONSISTENCY].click()
    assert [*window.shown.kinds()] == [SR_10, SR_20, CONSISTENCY]
    window.wait_sharp()
    layer, _ = window.shown.views[CONSISTENCY]
    level, rows, cols, pixels = window.drawn(layer)
    assert level == 0
    np.testing.assert_array_equal(pixels, np.asarray(layer.data[0][rows, cols]))
    window.dock.form.boxes[CONSISTENCY].click()
    assert CONSISTENCY not in window.shown.views


def test_other_settings_keep_the_layers(
    make_window: Callable[..., Window], slide_path: Path, shared_process: list[Lease]
) -> None:
    window = make_window(slide_path)
    window.look(500, 600, 0.3)
    window.wait_sharp()
    layers = list(window.viewer.layers)
    before, scheduler = window.session.compute.service, window.session.compute.service.scheduler
    window.session.compute.set_paused(True)
    window.dock.advanced.precision.setCurrentText("fp32")
    window.dock.advanced.device.setCurrentText("auto")
    window.dock.advanced.device.activated.emit(0)
    assert window.session.compute.service is not before
    assert window.session.compute.settings.device == "auto"
    assert shared_process[0].closed
    assert not shared_process[1].closed
    assert list(window.viewer.layers) == layers
    for _, view in window.shown.views.values():
        assert view._scheduler is window.session.compute.service.scheduler is not scheduler
        assert view.super_resolved is window.shown.super_resolved
        assert view.super_resolved.runner.process is shared_process[1]
    assert window.session.compute.service.scheduler.paused
    window.session.compute.set_paused(False)
    window.look(1200, 1300, 0.3)
    window.wait_sharp()
    assert shared_process[1].runs > 0


def test_a_slide_that_cannot_be_read_any_more_is_told(
    make_window: Callable[..., Window], slide_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window(slide_path)
    source = window.shown.slide._source

    def fail(*_: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(source, "read", fail)  # of our handle; what napari draws itself it reads by another
    window.look(500, 600, 0.3)
    window.until(lambda: window.dock.messages.text)
    assert "case-17.svs cannot be read" in window.dock.messages.text
    assert window.dock.messages.action.text() == "Try again"
    monkeypatch.undo()
    window.dock.messages.action.click()
    window.wait_sharp()


def test_the_second_visit_is_sharp_from_disk_until_it_is_cleared(
    make_window: Callable[..., Window],
    slide_path: Path,
    shared_process: list[Lease],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = tmp_path / "kept"
    window = make_window(slide_path, cache_folder=kept)
    window.look(500, 600, 0.3)
    window.wait_sharp()
    window.wait_quiet()
    assert shared_process[0].runs > 0
    picture = window.drawn(window.view("SR-20")[0])[3].copy()

    window.viewer.layers.clear()
    assert window.session.compute.service is None
    window.open(slide_path)
    window.look(500, 600, 0.3)
    window.wait_sharp()
    assert shared_process[1].runs == 0
    np.testing.assert_array_equal(window.drawn(window.view("SR-20")[0])[3], picture)

    advanced = window.dock.advanced
    advanced.expand(animate=False)
    assert advanced.clear_disk.isEnabled()
    answers = [False, True]
    monkeypatch.setattr(advanced_panel, "confirm", lambda *_: answers.pop(0))
    advanced.clear_disk.click()
    assert CacheFolder(kept).size_bytes() > 0, "the user has said no"
    advanced.clear_disk.click()
    assert CacheFolder(kept).stores() == []
    assert not advanced.clear_disk.isEnabled()
    assert "removed" in window.dock.messages.text


def test_a_full_disk_is_told_once(
    make_window: Callable[..., Window], slide_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PyramidStore, "write", fail)
    window = make_window(slide_path, cache_folder=tmp_path / "kept")
    told: list[Any] = []
    window.session.compute.problem.connect(told.append)
    for row_um in (500, 1200):
        window.look(row_um, 600, 0.3)
        window.wait_sharp()
    window.settle(0.3)
    assert len(told) == 1
    assert "No space left" in window.dock.messages.text
    assert not window.dock.messages.action.isVisible()


def test_a_slide_that_went_away_is_told_once_until_it_is_back(
    make_window: Callable[..., Window], slide_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(slide_path, tmp_path / "case-19.svs"))
    read = OpenSlideSource.read

    def read_if_there(source: OpenSlideSource, *region: int) -> Any:
        if not path.exists():  # a drive that was pulled out; a file that was only renamed may be read on
            raise OSError("gone")
        return read(source, *region)

    monkeypatch.setattr(OpenSlideSource, "read", read_if_there)
    window = make_window(path)
    told: list[Any] = []
    window.session.compute.problem.connect(told.append)
    noticed: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_warning", noticed.append)
    monkeypatch.setattr("napari_pathsrgan.plugin.layers.scan_layer.QUIET_S", 3600.0)

    def look(row_um: float, col_um: float) -> None:
        """Look at a place, and wait until all of it is there or given up."""
        before = window.shown.requested()
        window.look(row_um, col_um, 0.3)
        window.until(lambda: window.shown.requested() != before)
        scheduler = window.session.compute.service.scheduler
        window.until(lambda: (seen := scheduler.progress()).wanted and seen.ready + seen.failed == seen.wanted)
        window.settle(0.3)

    look(300, 300)
    assert not told
    path.rename(tmp_path / "away")
    for row_um, col_um in ((300, 1300), (1100, 1300), (1100, 300)):
        look(row_um, col_um)
    assert [str(error) for error in told] == [str(SlideGoneError(path))]
    window.dock.messages.action.click()
    window.until(lambda: len(told) == 2)
    (tmp_path / "away").rename(path)
    look(300, 900)
    window.settle(3.0)  # what lies beyond the edge is read as well: a late success would end the silence
    path.rename(tmp_path / "away")
    look(1500, 900)
    (tmp_path / "away").rename(path)
    window.settle(0.3)
    assert len(told) == 3
    assert noticed == [str(SlideGoneError(path))]  # of the scan's own layer, which napari draws on


def test_napari_keeps_no_regions_of_the_scan(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    held = _DASK_CACHE.cache.total_bytes
    for col in range(300, 1500, 300):
        window.look(600, col, 1.0)
        window.settle()
    assert _DASK_CACHE.cache.total_bytes == held


def test_slides_are_let_go_of_with_their_layers(make_window: Callable[..., Window], slide_path: Path) -> None:
    def open_slides() -> list[Slide]:
        gc.collect()
        return [one for one in gc.get_objects() if type(one) is Slide]

    before = weakref.WeakSet(open_slides())
    window = make_window(slide_path)
    ours = weakref.WeakSet(slide for slide in open_slides() if slide not in before)
    assert len(ours) == 2  # the reader's and the dock's
    window.viewer.layers.clear()
    window.settle()
    gc.collect()
    assert not ours


def test_a_bad_model_is_told_and_the_last_one_stays(
    make_window: Callable[..., Window], slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    window = make_window(slide_path)
    content = bytearray(model_path.read_bytes())
    content[-100:] = bytes(100)
    for name, damage in (("pickled", b"\x80\x04not a model"), ("damaged", bytes(content)), ("absent", None)):
        bad = tmp_path / f"{name}.safetensors"
        if damage is not None:
            bad.write_bytes(damage)
        window.dock.choose_model(bad)
        window.until(lambda bad=bad: bad.name in window.dock.messages.text)
        assert window.dock.form.models.currentText() == "tiny"
        assert window.shown.super_resolved.runner.path == model_path
    window.look(500, 600, 0.3)
    window.wait_sharp()


def test_the_box_goes_back_to_the_model_in_use_when_another_cannot_be_loaded(
    make_window: Callable[..., Window], slide_path: Path, model_path: Path
) -> None:
    window = make_window(slide_path)
    content = bytearray(model_path.read_bytes())
    content[-100:] = bytes(100)
    user_folder().mkdir(parents=True, exist_ok=True)
    (user_folder() / "damaged.safetensors").write_bytes(content)
    box = window.dock.form.models
    window.until(lambda: box.findText("damaged") >= 0)
    box.setCurrentText("damaged")
    box.activated.emit(box.currentIndex())
    assert box.currentText() == "damaged"  # while it is being loaded
    window.until(lambda: window.dock.messages.text)
    window.settle(0.3)
    assert box.currentText() == "tiny"
    assert "damaged" in window.dock.messages.text


def test_a_failure_to_change_over_to_a_loaded_model_is_told(
    make_window: Callable[..., Window], slide_path: Path, other_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window(slide_path)

    def fail(*_: Any) -> None:
        raise SlideNotFoundError("The slide is gone.", "Open it again.")

    monkeypatch.setattr(type(window.shown), "set_model", fail)
    window.dock.choose_model(other_model_path)
    window.until(lambda: window.dock.messages.text)
    assert "The slide is gone." in window.dock.messages.text


def test_drawing_never_computes_and_pausing_says_so(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    window.dock.progress.pause.click()
    window.look(500, 600, 0.3)
    window.settle(0.3)
    layer, _ = window.view("SR-20")
    soft = window.drawn(layer)[3].copy()
    assert soft.std() > 1  # a picture, though a soft one
    ready, wanted = window.session.progress()
    assert ready == 0 < wanted
    assert not any(key.level < 2 for key in window.session.compute.cache._tiles)
    assert window.dock.progress.counts.text() == f"Paused: 0 of {wanted} sharp"
    assert window.dock.progress.pause.text() == "Resume"
    window.dock.progress.pause.click()
    window.wait_sharp()
    assert window.dock.progress.counts.text() == f"Sharp: all {window.session.progress()[1]}"
    sharp = window.drawn(layer)[3]
    assert sharp.shape == soft.shape
    assert np.abs(sharp.astype(int) - soft).mean() > 3


def test_what_is_wanted_follows_the_camera_where_napari_does_not_slice(
    make_window: Callable[..., Window], slide_path: Path, shared_process: list[Lease]
) -> None:
    window = make_window(slide_path)
    window.session.compute.set_paused(True)
    _, view = window.view("SR-20")
    window.look(800, 800, 0.4)
    before = {key for key in view.requested if key.level == 0}
    window.look(760, 830, 0.05)  # within the level
    window.settle(0.3)
    after = {key.whole for key in view.requested if key.level == 0}
    assert after < {key.whole for key in before}
    assert TileKey(*window.shown.identity, 0, int(760 / 0.293 / 512), int(830 / 0.293 / 512)) in after
    window.look(880, 1100, 8.0)  # the coarsest level
    window.settle(0.3)
    assert window.session.progress() == (0, 0)
    window.session.compute.set_paused(False)
    window.settle(0.3)
    assert shared_process[-1].runs == 0
    assert "as scanned" in window.dock.progress.counts.text()


def test_hiding_a_view_drops_its_requests_and_removing_it_keeps_the_others(
    make_window: Callable[..., Window], slide_path: Path, shared_process: list[Lease]
) -> None:
    window = make_window(slide_path)
    window.session.compute.set_paused(True)
    window.look(500, 600, 0.3)
    layer, view = window.view("SR-20")
    layer.visible = False
    assert not view.requested
    assert not any(key.level == 0 for key in window.session.compute.service.scheduler._requests.visible())
    assert not window.dock.form.boxes[SR_20].isChecked()
    window.session.compute.set_paused(False)
    layer.visible = True
    window.settle(0.3)
    assert view.requested

    window.viewer.layers.remove(window.view("SR-10")[0])
    assert list(window.shown.views) == [SR_20]
    assert not window.dock.form.boxes[SR_10].isChecked()
    assert not shared_process[-1].closed
    window.wait_sharp()
    level, rows, cols, pixels = window.drawn(layer)
    np.testing.assert_array_equal(pixels, np.asarray(layer.data[level][rows, cols]))

    boxes = window.dock.form.boxes
    boxes[BICUBIC].click()
    boxes[SR_10].click()
    window.settle()
    kinds = [layer.name.split(" · ")[0] for layer in window.viewer.layers]
    assert kinds == ["4× scan", SR_10.title, SR_20.title, BICUBIC.title]
    boxes[SCAN].click()
    assert not window.viewer.layers[0].visible


def test_removing_a_slide_ends_everything_and_it_can_be_opened_again(
    make_window: Callable[..., Window], slide_path: Path, shared_process: list[Lease]
) -> None:
    window = make_window(slide_path)
    slide = window.shown.slide

    def everything_has_ended() -> bool:
        return (
            shared_process[-1].closed
            and window.session.compute.service is None
            and len(window.session.compute.cache) == 0
        )

    for layer, _ in list(window.shown.views.values()):
        window.viewer.layers.remove(layer)
    assert everything_has_ended()
    assert len(window.viewer.layers) == 1
    with pytest.raises(SlideUnreadableError, match="closed"):
        slide.read_level(0, 0, 0, 8, 8)
    assert window.dock.form.facts.text() == "Shown as scanned only"
    assert not window.dock.form.boxes[SR_20].isChecked()

    window.dock.form.boxes[SR_20].click()
    window.look(500, 600, 0.3)
    window.wait_sharp()
    window.viewer.layers.remove(window.shown.source)
    assert everything_has_ended()
    assert window.session.slides == {}
    assert len(window.viewer.layers) == 0
    assert window.dock.empty.isVisible()

    window.open(slide_path)
    assert len(window.viewer.layers) == 2  # the kinds last asked for
    window.look(500, 600, 0.3)
    window.wait_sharp()


def test_the_first_sharp_tile_of_a_view_is_awaited_and_the_last(
    make_window: Callable[..., Window], slide_path: Path
) -> None:
    window = make_window(slide_path)
    window.look(600, 900, 0.3)
    session = window.session
    session.compute.set_paused(True)
    window.wait_quiet()
    session.compute.cache.clear()
    first, *between, last = sorted(key for key in window.shown.requested() if key.level < SLIDE_LEVEL)
    assert between
    assert not session._is_awaited({first})  # it has been dropped again
    for key in (first, *between, last):
        rows, cols = window.shown.super_resolved.grid.tile_slices(*key.place, key.part)
        session.compute.cache.put(key, np.zeros((rows.stop - rows.start, cols.stop - cols.start, 3), np.uint8))
        assert session._is_awaited({key}) == (key in (first, last))


def test_an_int8_preview_is_called_one_and_its_tiles_are_no_others(
    make_window: Callable[..., Window], slide_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_service, "InferenceProcess", InferenceProcess)  # the shared one computes in fp32 alone
    window = make_window(slide_path)
    session = window.session
    window.look(600, 900, 0.3)
    window.wait_sharp()
    layer, _ = window.view("SR-20")
    name, exact = layer.name, window.drawn(layer)[3].copy()

    session.restart(replace(session.compute.settings, precision="int8"))
    window.wait_sharp()
    assert layer.name == f"{name} · int8 preview"
    assert session.compute.service.process.status.precision == "int8"
    assert "int8 preview, off by" in window.dock.progress.speed.text()
    off = np.abs(window.drawn(layer)[3].astype(int) - exact)
    assert off.max() > 0
    assert off.mean() < 6

    session.restart(replace(session.compute.settings, precision="fp32"))
    assert session.progress()[0] > 0  # the exact tiles are still there
    window.wait_sharp()
    assert layer.name == name
    np.testing.assert_array_equal(window.drawn(layer)[3], exact)
