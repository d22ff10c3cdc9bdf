"""When the canvas is refreshed."""

import time

import pytest
from qtpy.QtCore import QObject

from napari_pathsrgan.plugin.viewer import redraw_timer
from napari_pathsrgan.plugin.viewer.redraw_timer import RedrawTimer
from napari_pathsrgan.tiles.grid import TileKey


def key(col):
    return TileKey("slide", "model", 0, 0, col)


class Canvas:
    """Notes what is handed over and when; drawing takes `draw_s`."""

    def __init__(self, parent, draw_s=0.0):
        self.came = []
        self.awaited = False
        self._draw_s = draw_s
        self.redraw = RedrawTimer(parent, lambda fresh: self.awaited)
        self.redraw.due.connect(self._draw)

    def _draw(self, fresh):
        self.came.append((time.perf_counter(), fresh))
        time.sleep(self._draw_s)


@pytest.fixture
def parent(qtbot):
    return QObject()


def test_first_tile_comes_at_once_and_the_next_after_a_pause(qtbot, parent):
    canvas = Canvas(parent)
    began = time.perf_counter()
    canvas.redraw.add({key(0)})
    qtbot.waitUntil(lambda: len(canvas.came) == 1)
    canvas.redraw.add({key(1)})
    canvas.redraw.add({key(2)})
    qtbot.waitUntil(lambda: len(canvas.came) == 2)
    (first, _), (second, later) = canvas.came
    assert first - began < 0.05
    assert second - first >= 0.9e-3 * redraw_timer.SHORTEST_PAUSE_MS
    assert later == {key(1), key(2)}


def test_slow_drawing_gets_no_more_than_its_share_of_the_time(qtbot, parent):
    canvas = Canvas(parent, draw_s=0.06)
    for col in range(12):
        canvas.redraw.add({key(col)})
        qtbot.wait(60)
    qtbot.waitUntil(lambda: sum(len(fresh) for _, fresh in canvas.came) == 12)
    gaps = [later - earlier for (earlier, _), (later, _) in zip(canvas.came, canvas.came[1:], strict=False)]
    assert min(gaps) >= 0.95 * (redraw_timer.PAUSE_SHARE + 1) * 0.06


def test_a_tile_that_is_awaited_does_not_wait(qtbot, parent):
    canvas = Canvas(parent, draw_s=0.15)
    canvas.redraw.add({key(0)})
    qtbot.waitUntil(lambda: len(canvas.came) == 1)
    qtbot.wait(20)
    canvas.awaited = True
    asked = time.perf_counter()
    canvas.redraw.add({key(1)})
    qtbot.waitUntil(lambda: len(canvas.came) == 2)
    assert canvas.came[1][0] - asked < 0.1


def test_a_tile_that_is_awaited_may_come_while_the_canvas_is_drawn(qtbot, parent):
    canvas = Canvas(parent)

    def arrives_meanwhile(_fresh):
        if len(canvas.came) == 1:
            canvas.awaited = True
            canvas.redraw.add({key(1)})

    canvas.redraw.due.connect(arrives_meanwhile)
    canvas.redraw.add({key(0)})
    qtbot.waitUntil(lambda: len(canvas.came) == 2)
    assert canvas.came[1][0] - canvas.came[0][0] < 0.9e-3 * redraw_timer.SHORTEST_PAUSE_MS


def test_nothing_comes_after_the_end(qtbot, parent):
    canvas = Canvas(parent)
    canvas.redraw.add({key(0)})
    canvas.redraw.stop()
    qtbot.wait(50)
    assert canvas.came == []


def test_a_window_that_draws_all_the_while_is_not_at_rest(qtbot, parent):
    canvas = Canvas(parent)
    settled = []
    canvas.redraw.settled.connect(lambda: settled.append(True))
    for _ in range(4):
        canvas.redraw.camera_moved()
        time.sleep(2e-3 * redraw_timer.SETTLED_MS)  # drawing; the next move waits in the queue meanwhile
        qtbot.wait(5)
    assert not settled
    qtbot.waitUntil(lambda: len(settled) == 1)
    qtbot.wait(2 * redraw_timer.SETTLED_MS)
    assert len(settled) == 1
