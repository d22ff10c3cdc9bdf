"""Starts, pauses and stops the tile service of a viewer, and passes on what its threads report."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_pathsrgan.errors import PathSRGANError, SlideGoneError, WorkerError
from napari_pathsrgan.inference.tile_service import ComputeSettings, TileCallbacks, TileService
from napari_pathsrgan.plugin.layers.view_kinds import view_kinds
from napari_pathsrgan.tiles.cache import TileCache

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.grid import TileKey


class ComputeController(QObject):
    """The tile service of one viewer and its cache, whatever the slides are.

    Parameters
    ----------
    settings : ComputeSettings
    on_ready : callable (keys)
        Called with tiles that came, from any thread.

    Attributes
    ----------
    progressed : Signal()
        Tiles came or failed, or computing was paused; like all signals, in the window's thread.
    problem : Signal(PathSRGANError)
    notice : Signal(str)
        A sentence for the user.
    load_failed : Signal()
        A model could not be loaded.
    service : TileService or None
        None while nothing is computed.
    """

    progressed = Signal()
    problem = Signal(object)
    notice = Signal(str)
    load_failed = Signal()
    _failed = Signal(object)
    _loaded = Signal(object, object)

    def __init__(self, settings: ComputeSettings, on_ready: Callable[[frozenset[TileKey]], None]) -> None:
        super().__init__()
        self.settings = settings
        self.cache = TileCache(settings.memory_bytes)
        self.service: TileService | None = None
        self.paused = False
        self.process_failed = False
        self._on_ready = on_ready
        self._missing_slides: set[Path] = set()  # that a problem was reported for
        self._closed = False
        self._failed.connect(self._report)
        self._loaded.connect(self._on_loaded)

    def set_paused(self, paused: bool) -> None:
        """Pause computing, or resume it."""
        self.paused = paused
        if self.service is not None:
            (self.service.scheduler.pause if paused else self.service.scheduler.resume)()
        self.progressed.emit()

    def set_memory(self, n_bytes: int) -> None:
        """Change how much memory tiles may take."""
        self.settings = replace(self.settings, memory_bytes=n_bytes)
        self.cache.resize(n_bytes)

    def start(self) -> TileService:
        """Start the service unless it runs.

        Raises
        ------
        PathSRGANError
            If it can't be started.
        """
        if self.service is None:
            callbacks = TileCallbacks(self._on_ready, self._on_failed, self._on_restart, self._on_disk_error)
            derived = [kind for kind in view_kinds() if kind.derive is not None]
            self.service = TileService(self.settings, self.cache, callbacks, derived)
            self.process_failed = False
            if self.paused:
                self.service.scheduler.pause()
        return self.service

    def stop(self) -> None:
        """Stop the service; tiles stay in the cache."""
        if self.service is not None:
            service, self.service = self.service, None
            service.close()

    def set_settings(self, settings: ComputeSettings) -> None:
        """Stop the service; the next one has other settings."""
        self.stop()
        self.settings = settings
        self._missing_slides.clear()
        self.cache.resize(settings.memory_bytes)

    def retry_failed(self) -> None:
        """Request again the tiles that failed; missing slides are reported again."""
        self._missing_slides.clear()
        if self.service is not None:
            self.service.scheduler.retry_failed()

    def load(self, path: Path, then: Callable[[], None] | None = None) -> None:
        """Have the process import torch and load a model, and call `then` in the window's thread."""
        service = self.start()

        def on_done(done: Future[Any]) -> None:
            if not self._closed and self.service is service:
                self._loaded.emit(done.exception(), then)

        try:
            service.process.load(path).add_done_callback(on_done)
        except PathSRGANError as error:
            self._loaded.emit(error, then)

    def forget_found(self) -> None:
        """Report a slide that was missing and is back, should it go missing again."""
        self._missing_slides = {path for path in self._missing_slides if not path.exists()}

    def close(self) -> None:
        """Stop the service and report nothing more."""
        self._closed = True
        self.stop()
        self.cache.clear()

    # ------------------------------------------------------------------ events of the service

    def _on_loaded(self, error: Exception | None, then: Callable[[], None] | None) -> None:
        try:
            if error is not None:
                raise error
            if then is not None:
                then()
        except PathSRGANError as problem:
            self._report(problem)
            self.load_failed.emit()
        self.progressed.emit()

    def _on_failed(self, _keys: frozenset[TileKey], error: Exception) -> None:
        if not self._closed:
            self._failed.emit(error)

    def _on_restart(self) -> None:
        if not self._closed:
            self.notice.emit("The computing process stopped and was started again. Nothing was lost.")

    def _on_disk_error(self, error: PathSRGANError) -> None:
        if not self._closed:
            self.problem.emit(error)

    def _report(self, error: Exception) -> None:
        if isinstance(error, SlideGoneError):
            if error.path in self._missing_slides:
                return
            self._missing_slides.add(error.path)
        self.process_failed = isinstance(error, WorkerError)
        if not isinstance(error, PathSRGANError):
            error = WorkerError(f"The view could not be computed: {error}.", "Try again, or open the slide anew.")
        self.problem.emit(error)
        self.progressed.emit()
