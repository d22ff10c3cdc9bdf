"""A real napari window to measure in: opened on a screen, or on a virtual one, and worked like a user would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_pathsrgan.inference.tile_service import ComputeSettings
from napari_pathsrgan.plugin.compare.canvas import CanvasAccess
from napari_pathsrgan.plugin.layers.view_kinds import SR_10, SR_20, ViewKind
from napari_pathsrgan.plugin.main_window import open_window
from napari_pathsrgan.plugin.widgets import screen

if TYPE_CHECKING:
    from collections.abc import Collection

    import napari

    from napari_pathsrgan.inference.process import InferenceProcess
    from napari_pathsrgan.plugin.viewer.super_resolution_widget import SuperResolutionWidget

CANVAS_PX = (1080, 1920)
"""Height and width of the canvas."""
MPP_20 = 0.293

_PATIENCE_S = 300.0


@contextmanager
def some_large_screen() -> Iterator[None]:
    """Provide a screen; a virtual one is made large enough for a canvas of `CANVAS_PX` with the dock beside it."""
    usual, screen.VIRTUAL_SIZE = screen.VIRTUAL_SIZE, "2560x1440x24"
    try:
        with screen.some_screen():
            yield
    finally:
        screen.VIRTUAL_SIZE = usual


class Browser:
    """A window on one slide, nothing kept on disk.

    Parameters
    ----------
    path : Path
        Of the slide.
    kinds : collection of ViewKind
        Computed panes shown.
    show_scan : bool
        Whether the slide's own pane is shown too.
    memory_bytes : int, optional
        Bound of the tile cache; the window's default otherwise.
    """

    def __init__(
        self,
        path: Path,
        kinds: Collection[ViewKind] = (SR_10, SR_20),
        show_scan: bool = True,
        memory_bytes: int | None = None,
    ) -> None:
        settings = ComputeSettings(cache_folder=None)
        if memory_bytes is not None:
            settings = ComputeSettings(cache_folder=None, memory_bytes=memory_bytes)
        began = time.perf_counter()
        self.viewer: napari.Viewer
        self.widget: SuperResolutionWidget
        self.viewer, self.widget = open_window(path, None, "lite", settings)
        self.work()
        self.opened_s = time.perf_counter() - began
        """Seconds from the call to the first picture of all three panes."""
        self.session = self.widget.session
        self._problems: list[object] = []
        self.session.compute.problem.connect(self._problems.append)
        self.scan, self.shown = next(iter(self.session.slides.items()))
        self.scan.visible = show_scan
        for kind in (SR_10, SR_20):
            self.session.set_kind_shown(self.scan, kind, kind in kinds)
        self.drawn = 0
        """Sharp tiles of what is in sight, as last drawn; 0 from `look` on."""
        self.drawings = 0
        """How often the canvas was drawn."""
        self._refreshed = 0
        self.session.compute.progressed.connect(self._note_refresh)
        self._parts = CanvasAccess(self.viewer)
        self._parts.on_draw(self._note_drawing)
        self._fit_canvas()
        self.work(lambda: self.process.status.device != "")

    @property
    def process(self) -> InferenceProcess:
        """The window's inference process."""
        assert self.session.compute.service is not None
        return self.session.compute.service.process

    def close(self) -> None:
        """Close the window and end its process."""
        self.widget.end()
        self.viewer.close()
        self.work()

    def work(self, until: Callable[[], bool] = lambda: True, at_least_s: float = 0.0) -> float:
        """Let the window work, as its event loop would, until something has come true.

        Returns
        -------
        float
            Seconds that took, the redraw it caused included.

        Raises
        ------
        TimeoutError
            If it doesn't come true within five minutes.
        """
        began = time.perf_counter()
        while True:
            QApplication.processEvents()
            waited = time.perf_counter() - began
            if until() and waited >= at_least_s:
                QApplication.processEvents()
                return time.perf_counter() - began
            if waited > _PATIENCE_S:
                ready, wanted = self.session.progress()
                raise TimeoutError(
                    f"After {_PATIENCE_S:.0f} s {ready} of {wanted} tiles are sharp. Problems told: {self._problems}"
                )
            time.sleep(0.001)

    def work_in_event_loop(self, seconds: float) -> None:
        """Let the window work in Qt's own event loop, as in `napari.run`, for some seconds."""
        loop = QEventLoop()
        QTimer.singleShot(round(1e3 * seconds), loop.quit)
        loop.exec()

    def look(self, row_um: float, col_um: float, screen_mpp: float) -> None:
        """Move the camera to a place, µm per screen pixel, of which no tile is there."""
        self.drawn = self._refreshed = 0
        camera = self.viewer.scene.camera
        camera.zoom = 1 / screen_mpp
        camera.center = (row_um, col_um)

    def draw(self) -> float:
        """Draw the canvas as it is, and return the seconds that took."""
        before = self.drawings
        self._parts.redraw()
        return self.work(lambda: self.drawings > before)

    def rest(self, quiet_s: float = 0.5) -> None:
        """Let everything in sight and around it be computed, until nothing new has come for a while."""
        held, since = -1, time.perf_counter()

        def quiet() -> bool:
            nonlocal held, since
            ready, wanted = self.session.progress()
            if len(self.session.compute.cache) != held or ready < wanted:
                held, since = len(self.session.compute.cache), time.perf_counter()
            return time.perf_counter() - since > quiet_s

        self.work(quiet)

    def _note_refresh(self) -> None:
        self._refreshed, _ = self.session.progress()

    def _note_drawing(self, _event: object) -> None:
        self.drawn = self._refreshed
        self.drawings += 1

    def _fit_canvas(self) -> None:
        """Size the window so that the canvas has `CANVAS_PX`; its frame and docks take what they need."""
        window = self.viewer.window
        for _ in range(3):
            height, width = self.viewer.canvas.size
            _, _, window_width, window_height = window.geometry()
            window.resize(window_width + CANVAS_PX[1] - width, window_height + CANVAS_PX[0] - height)
            self.work(at_least_s=0.2)
        if tuple(self.viewer.canvas.size) != CANVAS_PX:
            raise RuntimeError(f"The canvas has {self.viewer.canvas.size} px, not {CANVAS_PX}.")


@contextmanager
def browser(
    path: Path,
    kinds: Collection[ViewKind] = (SR_10, SR_20),
    show_scan: bool = True,
    memory_bytes: int | None = None,
) -> Iterator[Browser]:
    """Open a `Browser` and close it again."""
    opened = Browser(path, kinds, show_scan, memory_bytes)
    try:
        yield opened
    finally:
        opened.close()
