"""When the canvas is drawn anew: not for every tile, but as soon and as often as the window can bear."""

from __future__ import annotations

import threading
from collections.abc import Set
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.grid import TileKey

REFRESH_MS = 100
"""Pause between two refreshes of the canvas: a refresh costs 3 to 12 ms for a view of 1 to 4 Mpx."""
SETTLED_MS = 80
"""How long the camera rests before what is in sight is looked at afresh."""


class Redraw(QObject):
    """Gathers what arrives from the lanes' threads, and hands it over in the window's thread.

    Attributes
    ----------
    due : Signal(set of TileKey)
        Tiles that came since the last time. The first comes through at once, later ones every `REFRESH_MS`.
    settled : Signal()
        The camera has come to rest.
    """

    due = Signal(object)
    settled = Signal()
    _arrived = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._fresh: set[TileKey] = set()
        self._lock = threading.Lock()
        self._just_done = False
        self._stopped = False
        self._refresh_timer, self._look_timer = QTimer(self), QTimer(self)
        for timer, then in ((self._refresh_timer, self._hand_over), (self._look_timer, self.settled)):
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
        self._look_timer.start(SETTLED_MS)

    def stop(self) -> None:
        """Hand over nothing more."""
        self._stopped = True
        self._refresh_timer.stop()
        self._look_timer.stop()

    def _schedule(self) -> None:
        if not self._stopped and not self._refresh_timer.isActive():
            self._refresh_timer.start(REFRESH_MS if self._just_done else 0)

    def _hand_over(self) -> None:
        with self._lock:
            fresh, self._fresh = self._fresh, set()
        self._just_done = bool(fresh)
        if fresh:
            self.due.emit(fresh)
            self._refresh_timer.start(REFRESH_MS)
