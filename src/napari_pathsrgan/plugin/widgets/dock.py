"""A widget in napari's dock that knows when it is over."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QApplication, QWidget

from napari_pathsrgan.plugin.widgets.qt_types import existing
from napari_pathsrgan.plugin.widgets.wheel_guard import guard_wheel


class DockWidget(QWidget):
    """Ends once: with its dock, with its window or with the application; hiding the dock ends nothing."""

    # Class attributes, since Qt may still send events when Python has begun to destroy the object.
    _docked = _closing = _ended = False
    _window: QObject | None = None

    def __init__(self) -> None:
        super().__init__()
        existing(QApplication.instance()).aboutToQuit.connect(self.end)

    def teardown(self, window_stays: bool) -> None:
        """Release what the dock holds.

        Parameters
        ----------
        window_stays : bool
            Whether only the dock goes.
        """
        raise NotImplementedError

    def end(self, window_stays: bool = False) -> None:
        """Tear down, once; a second call does nothing.

        Parameters
        ----------
        window_stays : bool
            Whether only the dock goes.
        """
        if self._ended:
            return
        self._ended = True
        if self._window is not None:
            self._window.removeEventFilter(self)
        self.teardown(window_stays)

    def event(self, event: QEvent | None) -> bool:
        """End when napari takes the widget out of its dock: that is how it closes one."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.end(window_stays=True)
                self.deleteLater()
            self._docked = self.parent() is not None
        return super().event(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Watch the window this dock lives in; leave the wheel to scrolling."""
        super().showEvent(event)
        if self._window is None:
            self._window = self.window()
            existing(self._window).installEventFilter(self)
            guard_wheel(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """End when the window closes; the user may still say no to that, and then it is not hidden."""
        if watched is self._window and event is not None:
            if event.type() == QEvent.Type.Close:
                self._closing = True
                QTimer.singleShot(0, self._stay)
            elif event.type() == QEvent.Type.Hide and self._closing:
                self.end()
        return super().eventFilter(watched, event)

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """End a widget that is a window of its own."""
        self.end()
        super().closeEvent(event)

    def _stay(self) -> None:
        self._closing = False
