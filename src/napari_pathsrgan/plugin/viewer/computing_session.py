"""What computes for a viewer, from the first slide to the last: started when needed, paused, ended, and heard out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_pathsrgan.errors import PathSRGANError, SlideGoneError, WorkerError
from napari_pathsrgan.plugin.viewer.computing import Computing, Listeners, SessionSettings
from napari_pathsrgan.tiles.cache import TileCache

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.grid import TileKey


class ComputingSession(QObject):
    """Process, threads and tiles of a session, whatever its slides are.

    Signals are emitted in the window's thread: ``advanced`` when tiles came or went, ``problem`` with a
    `PathSRGANError`, ``notice`` with a sentence, ``changed`` when what is shown may be another.

    Parameters
    ----------
    settings : SessionSettings
    """

    advanced = Signal()
    problem = Signal(object)
    notice = Signal(str)
    changed = Signal()
    _failed = Signal(object)
    _loaded = Signal(object, object)

    def __init__(self, settings: SessionSettings) -> None:
        super().__init__()
        self.settings = settings
        self.cache = TileCache(settings.memory_bytes)
        self.computing: Computing | None = None
        self._paused = False
        self._process_given_up = False
        self._gone: set[Path] = set()  # slides that went away, and were told of
        self._closed = False
        self._failed.connect(self._tell_problem)
        self._loaded.connect(self._on_loaded)

    def _on_ready(self, keys: frozenset[TileKey]) -> None:
        """Hear of tiles that came; called from any thread."""
        raise NotImplementedError

    @property
    def paused(self) -> bool:
        """Whether nothing new is computed."""
        return self._paused

    def set_paused(self, paused: bool) -> None:
        """Stop computing, or go on."""
        self._paused = paused
        if self.computing is not None:
            (self.computing.scheduler.pause if paused else self.computing.scheduler.resume)()
        self.advanced.emit()

    def set_memory(self, n_bytes: int) -> None:
        """Change the bound of the pictures kept in memory."""
        self.settings = replace(self.settings, memory_bytes=n_bytes)
        self.cache.resize(n_bytes)

    # ------------------------------------------------------------------ from start to stop

    def retry(self) -> None:
        """Try again what failed; a process that was given up is started anew.

        Raises
        ------
        PathSRGANError
            As `restart`.
        """
        self._gone.clear()  # whoever asks again is told again
        if self._process_given_up:
            self.restart(self.settings)
        elif self.computing is not None:
            self.computing.scheduler.retry_failed()

    def restart(self, settings: SessionSettings) -> None:
        """Use other settings; process, threads and disk cache are started anew when they are needed."""
        self._stop()
        self.settings = settings
        self.cache.resize(settings.memory_bytes)

    def _start(self) -> Computing:
        if self.computing is None:
            listeners = Listeners(self._on_ready, self._on_given_up, self._on_process_died, self._on_disk_failed)
            self.computing = Computing(self.settings, self.cache, listeners)
            self._process_given_up = False
            if self._paused:
                self.computing.scheduler.pause()
        return self.computing

    def _stop(self) -> None:
        if self.computing is not None:
            computing, self.computing = self.computing, None
            computing.close()

    def _load(self, path: Path, then: Callable[[], None] | None = None) -> None:
        """Have the process import torch and load a model, while the user still looks at what there is."""
        computing = self._start()

        def tell(done: Future[Any]) -> None:
            if not self._closed and self.computing is computing:
                self._loaded.emit(done.exception(), then)

        try:
            computing.process.load(path).add_done_callback(tell)
        except PathSRGANError as error:
            self._loaded.emit(error, then)

    def _on_loaded(self, error: Exception | None, then: Callable[[], None] | None) -> None:
        try:
            if error is not None:
                raise error
            if then is not None:
                then()
        except PathSRGANError as problem:
            self._tell_problem(problem)
            self.changed.emit()
        self.advanced.emit()

    # ------------------------------------------------------------------ told by the sources' threads

    def _on_given_up(self, keys: frozenset[TileKey], error: Exception) -> None:
        if not self._closed:
            self._failed.emit(error)

    def _on_process_died(self) -> None:
        if not self._closed:
            self.notice.emit("The computing process stopped and was started again. Nothing was lost.")

    def _on_disk_failed(self, error: PathSRGANError) -> None:
        if not self._closed:
            self.problem.emit(error)

    def _look_for_gone(self) -> None:
        """Forget which slides went away, where they are back: should they go again, that is told again."""
        self._gone = {path for path in self._gone if not path.exists()}

    def _tell_problem(self, error: Exception) -> None:
        if isinstance(error, SlideGoneError):
            if error.path in self._gone:
                return
            self._gone.add(error.path)
        self._process_given_up = isinstance(error, WorkerError)
        if not isinstance(error, PathSRGANError):
            error = WorkerError(f"The view could not be computed: {error}.", "Try again, or open the slide anew.")
        self.problem.emit(error)
        self.advanced.emit()
