"""When the canvas is drawn anew: not for every tile, but as soon and as often as the window can bear."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Set
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.grid import TileKey

SHORTEST_PAUSE_MS = 100
"""Between two refreshes of the canvas, where there is a graphics card to draw it."""
PAUSE_SHARE = 3
"""Without one, cores that compute tiles draw too: the pause is this many times what the last refresh took, so that no
more than a quarter of the time goes into drawing."""
LONGEST_PAUSE_MS = 500
SETTLED_MS = 80
"""How long the camera rests, in a window that is not busy drawing, before what is in sight is requested anew."""


class RedrawTimer(QObject):
    """Collects the tiles that arrive from threads, and passes them on in the window's thread.

    Parameters
    ----------
    parent : QObject
    awaited : callable (set of TileKey) -> bool
        Whether these tiles bring the first sharp ones of what is in sight, or the last. Called in the window's thread.

    Attributes
    ----------
    due : Signal(set of TileKey)
        Tiles that came since the last time. A view's first sharp one and its last come through at once, others after a
        pause.
    settled : Signal()
        The camera has come to rest.
    """

    due = Signal(object)
    settled = Signal()
    _arrived = Signal()

    def __init__(self, parent: QObject, awaited: Callable[[Set[TileKey]], bool]) -> None:
        super().__init__(parent)
        self._awaited = awaited
        self._began_s = self._waits_since_s = 0.0
        self._fresh: set[TileKey] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._pause_timer, self._settle_timer, self._drawn_timer = QTimer(self), QTimer(self), QTimer(self)
        for timer, then in (
            (self._pause_timer, self._hand_over),
            (self._settle_timer, self._settle),
            (self._drawn_timer, self._pause),
        ):
            timer.setSingleShot(True)
            timer.timeout.connect(then)
        self._arrived.connect(self._schedule)

    def add(self, keys: Set[TileKey]) -> None:
        """Take note of tiles that came; may be called from any thread."""
        with self._lock:
            self._fresh |= keys
        if not self._stopped:
            self._arrived.emit()

    def camera_moved(self, _event: Any = None) -> None:
        """Begin to wait for the camera to rest."""
        self._waits_since_s = time.perf_counter()
        self._settle_timer.start(SETTLED_MS)

    def _settle(self) -> None:
        """Signal that the camera rests, unless the window was drawing meanwhile: the next move may wait behind it."""
        if 1e3 * (time.perf_counter() - self._waits_since_s) > 1.5 * SETTLED_MS:
            self.camera_moved()
        else:
            self.settled.emit()

    def stop(self) -> None:
        """Hand over nothing more."""
        self._stopped = True
        for timer in (self._pause_timer, self._settle_timer, self._drawn_timer):
            timer.stop()

    def _schedule(self) -> None:
        if self._stopped or self._drawn_timer.isActive():
            return
        if not self._pause_timer.isActive() or self._awaited(self._fresh):
            self._pause_timer.start(0)

    def _hand_over(self) -> None:
        with self._lock:
            fresh, self._fresh = self._fresh, set()
        if fresh:
            self._began_s = time.perf_counter()
            self.due.emit(fresh)
            self._drawn_timer.start(0)  # its turn comes after the painting that was asked for

    def _pause(self) -> None:
        if self._fresh and self._awaited(self._fresh):
            self._pause_timer.start(0)
            return
        took_ms = 1e3 * (time.perf_counter() - self._began_s)
        self._pause_timer.start(round(min(max(PAUSE_SHARE * took_ms, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS)))
