"""Real inference processes: that they come back when they die, and that nothing outlives the window."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from qtpy.QtWidgets import QApplication, QDockWidget, QPushButton
from tests.plugin.conftest import Window, eventually, worker_pids

from napari_pathsrgan.inference import process as process_module
from napari_pathsrgan.plugin.viewer.super_resolution_widget import SuperResolutionWidget

ENDS_WITHIN_S = 2.0


def our_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("pathsrgan")}


def our_buffers() -> set[str]:
    """Memory shared with an inference process that this process has mapped; it has no file's name anywhere."""
    mapped = (mapping for mapping in psutil.Process().memory_maps(grouped=False))
    return {mapping.addr for mapping in mapped if "pathsrgan-windows" in mapping.path}


@pytest.fixture(autouse=True)
def nothing_left(qtbot: Any) -> Iterator[None]:
    """Each test leaves as it came: no process, thread, buffer or open slide."""
    pids, threads, buffers = worker_pids(), our_threads(), our_buffers()
    yield
    assert eventually(lambda: worker_pids() <= pids, ENDS_WITHIN_S)
    assert our_threads() <= threads
    assert our_buffers() <= buffers


def browse(window: Window) -> int:
    """Look somewhere and return the inference process's id."""
    window.look(500, 600, 0.4)
    window.until(lambda: window.session.compute.service.process.pid)
    return window.session.compute.service.process.pid


def test_a_killed_process_comes_back_and_says_so(make_own_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_own_window(slide_path)
    pid = browse(window)
    window.until(lambda: window.session.compute.service.process.status.device)
    os.kill(pid, signal.SIGKILL)
    window.until(lambda: window.dock.messages.text)
    assert "started again" in window.dock.messages.text
    window.look(900, 1000, 0.4)
    window.wait_sharp()
    assert window.session.compute.service.process.pid not in (None, pid)

    window.dock.advanced.precision.setCurrentText("fp32")
    dock = window.viewer.window.add_dock_widget(SuperResolutionWidgetless(), name="other")
    window.viewer.window.remove_dock_widget(dock)
    assert window.session.compute.service is not None  # another dock's end is none of ours


class SuperResolutionWidgetless(QPushButton):
    """Any other plugin's dock."""


def test_a_process_that_keeps_dying_is_given_up_until_one_tries_again(
    make_own_window: Callable[..., Window], slide_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Any] = []
    program = ["-c", "import sys; sys.exit('no memory')"]
    real = process_module.subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        if "napari_pathsrgan.inference.worker_start" in command:
            starts.append(command)
            command = [command[0], *(program if broken else command[1:])]
        return real(command, **options)

    broken = True
    monkeypatch.setattr(process_module.subprocess, "Popen", start)
    window = make_own_window(slide_path)
    window.look(500, 600, 0.4)
    window.until(lambda: "keeps stopping" in window.dock.messages.text)
    assert "no memory" in window.dock.messages.text
    assert window.dock.messages.action.text() == "Try again"
    window.settle(1.5)
    window.look(900, 1000, 0.4)
    window.settle(1.5)
    assert len(starts) == process_module.MOST_RESTARTS + 1  # and no more, however one pans
    broken = False
    window.dock.messages.action.click()
    window.wait_sharp()
    assert len(starts) == process_module.MOST_RESTARTS + 2


@pytest.mark.parametrize("way", ["viewer.close", "window's button", "never shown"])
def test_closing_the_window_ends_everything(
    make_own_window: Callable[..., Window], slide_path: Path, way: str, tmp_path: Path
) -> None:
    window = make_own_window(slide_path, show=way != "never shown", cache_folder=tmp_path)
    window.session.compute.load(window.shown.super_resolved.runner.path)
    window.until(lambda: window.session.compute.service.process.pid)
    assert our_threads()
    assert our_buffers()
    session = window.session
    began = time.monotonic()
    if way == "window's button":
        window.viewer.window._qt_window.close()
    else:
        window.viewer.close()
    QApplication.processEvents()
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert session.compute.service is None
    assert not worker_pids()
    assert not our_threads()
    if way == "window's button":
        del window.viewer.window._qt_window  # Qt has deleted it; the fixture would close it once more
    gc.collect()
    assert not our_buffers()


def test_a_refused_close_ends_nothing(
    make_own_window: Callable[..., Window], slide_path: Path, monkeypatch: Any
) -> None:
    window = make_own_window(slide_path)
    qt_window = window.viewer.window._qt_window
    monkeypatch.setattr(type(qt_window), "closeEvent", lambda self, event: event.ignore())
    assert not qt_window.close()
    window.settle()
    assert window.session.compute.service is not None
    monkeypatch.undo()


def test_closing_the_dock_ends_everything_and_it_can_be_opened_again(
    make_napari_viewer: Any, qtbot: Any, slide_path: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through napari's own menu entry, so with the proxy of the viewer that docks are given."""
    monkeypatch.setenv("PATHSRGAN_MODELS", str(model_path.parent))
    monkeypatch.setattr(SuperResolutionWidget.__init__, "__defaults__", (None, "tiny"))
    viewer = make_napari_viewer(show=True)
    viewer.open(str(slide_path), plugin="napari-pathsrgan")
    for way in ("the dock's button", "remove_dock_widget"):
        dock_widget, dock = viewer.window.add_plugin_dock_widget("napari-pathsrgan", "Super-resolution")
        window = Window(viewer, dock, qtbot)
        window.settle()
        assert len(viewer.layers) == 3
        viewer.layers.remove(viewer.layers[2])
        assert len(window.shown.views) == 1
        pid = browse(window)
        dock_widget.title.hide_button.click()
        window.settle()
        assert psutil.pid_exists(pid)  # hidden only
        dock_widget.show()
        session = window.session
        if way == "the dock's button":
            dock_widget.title.close_button.click()
        else:
            viewer.window.remove_dock_widget(dock_widget)
        assert session.compute.service is None
        assert eventually(lambda: not worker_pids(), ENDS_WITHIN_S)
        assert not our_threads()
        assert len(viewer.layers) == 1
        assert not viewer.canvas.grid.enabled
        assert not viewer.canvas.overlays.text.visible
        window.settle()
        viewer.scene.camera.zoom *= 1.1  # nobody listens any more
        del dock, dock_widget, window, session
        gc.collect()
        qtbot.wait(50)
        assert not [widget for widget in QApplication.allWidgets() if isinstance(widget, SuperResolutionWidget)]
    assert not [dock for dock in viewer.window._qt_window.findChildren(QDockWidget) if "Super" in dock.windowTitle()]
