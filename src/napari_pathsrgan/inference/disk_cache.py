"""Computed tiles kept on disk between sessions: one pyramid store per slide and model."""

from __future__ import annotations

import hashlib
import os
import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_pathsrgan.errors import OutputError, PathSRGANError
from napari_pathsrgan.inference.arithmetic import is_preview
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, Pixels, TileKey

if TYPE_CHECKING:
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide

_WAITING_TILES = 64
"""Tiles that may wait for a slow disk; more are not kept, since the picture matters more than the cache."""


def default_folder() -> Path:
    """Folder of the disk cache; ``PATHSRGAN_CACHE`` overrides it."""
    told = os.environ.get("PATHSRGAN_CACHE")
    return Path(told) if told else platformdirs.user_cache_path("napari-pathsrgan") / "tiles"


class DiskCache:
    """Reads and writes tiles of the slides that are open.

    Writing happens in a thread of its own and never fails a view: what can't be written is told once.

    Parameters
    ----------
    folder : Path
        Made when the first tile is written.
    on_problem : callable
        Told, from the writing thread, why tiles are no longer kept.
    """

    def __init__(self, folder: Path, on_problem: Callable[[PathSRGANError], None]) -> None:
        self.folder = folder
        self._on_problem = on_problem
        self._lock = threading.Lock()
        self._stores: dict[tuple[str, str], PyramidStore] = {}
        self._makers: dict[tuple[str, str], SuperResolvedSlide] = {}
        self._broken = False
        self._waiting: queue.Queue[tuple[TileKey, Pixels] | None] = queue.Queue(_WAITING_TILES)
        self._writer = threading.Thread(target=self._write_all, name="pathsrgan-disk-cache", daemon=True)
        self._writer.start()

    def attach(self, super_resolved: SuperResolvedSlide) -> None:
        """Serve a slide and model from now on; an unreadable store is started anew."""
        identity = (super_resolved.slide.fingerprint, super_resolved.runner.identity)
        path = self._path(identity)
        store: PyramidStore | None = None
        if path.exists():
            try:
                store = open_store(super_resolved, path)
            except PathSRGANError:
                shutil.rmtree(path, ignore_errors=True)
        with self._lock:
            self._makers[identity] = super_resolved
            if store is not None:
                self._stores[identity] = store

    def detach(self, super_resolved: SuperResolvedSlide) -> None:
        """Stop serving a slide and model."""
        identity = (super_resolved.slide.fingerprint, super_resolved.runner.identity)
        with self._lock:
            self._makers.pop(identity, None)
            self._stores.pop(identity, None)

    def has(self, key: TileKey) -> bool:
        """Whether a computed tile is on disk; slide pixels never are."""
        store = self._store(key)
        return store is not None and store.has(key.level, key.row, key.col)

    def read(self, key: TileKey) -> Pixels | None:
        """Read a tile; None where it is missing or damaged."""
        store = self._store(key)
        try:
            return None if store is None else store.read(key.level, key.row, key.col)
        except KeyError:
            return None

    def keep(self, key: TileKey, tile: Pixels) -> None:
        """Write a tile soon; dropped where the disk can't keep up."""
        if self._broken or key.level >= SLIDE_LEVEL:
            return
        try:
            self._waiting.put_nowait((key, tile))
        except queue.Full:
            return

    def flush(self) -> None:
        """Wait until everything kept so far is on disk."""
        self._waiting.join()

    def size_bytes(self) -> int:
        """Bytes on disk, over all slides."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def clear(self) -> None:
        """Remove every kept tile."""
        self.flush()
        with self._lock:
            self._stores.clear()
            shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Write what waits and end the thread."""
        self._waiting.put(None)
        self._writer.join()

    def _path(self, identity: tuple[str, str]) -> Path:
        name = hashlib.blake2b("\n".join(identity).encode(), digest_size=16).hexdigest()
        return self.folder / f"{name}.ome.zarr"

    def _store(self, key: TileKey) -> PyramidStore | None:
        if key.level >= SLIDE_LEVEL:
            return None
        with self._lock:
            return self._stores.get((key.slide, key.model))

    def _write_all(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._write(*item)
            except PathSRGANError as error:
                self._broken = True
                self._on_problem(error)
            except Exception as error:  # the thread must live on, or `flush` and `close` would wait for ever
                self._broken = True
                problem = f"Computed tiles are not kept on disk any more: {error}."
                self._on_problem(OutputError(problem, "Clear the cache, or choose another folder for it."))
            finally:
                self._waiting.task_done()
        self._waiting.task_done()

    def _write(self, key: TileKey, tile: Pixels) -> None:
        identity = (key.slide, key.model)
        with self._lock:
            store, maker = self._stores.get(identity), self._makers.get(identity)
            if maker is None or self._broken:
                return
            if store is None:
                store = self._stores[identity] = open_store(maker, self._path(identity))
        store.write(key.level, key.row, key.col, tile)


def open_store(super_resolved: SuperResolvedSlide, path: Path, blended: bool = False) -> PyramidStore:
    """Go on with the pyramid store of a slide and a model at a path, or make an empty one.

    Blended tiles are other pixels than exact ones: a store holds either.

    Raises
    ------
    OutputError, StoreMismatchError
        See `PyramidStore.open_or_create`.
    """
    grid, arithmetic = super_resolved.grid, super_resolved.runner.arithmetic
    name = super_resolved.runner.card.name
    name += (", int8 preview" if is_preview(super_resolved.runner.identity) else "") + (", blended" if blended else "")
    return PyramidStore.open_or_create(
        path,
        level_shapes=grid.level_shapes,
        level_mpps=grid.level_mpps,
        tile_px=grid.tile_px,
        slide_fingerprint=super_resolved.slide.fingerprint,
        model_hash=super_resolved.runner.identity + ("+blend" if blended else ""),
        slide_name=super_resolved.slide.path.name,
        model_name=name,
        arithmetic="" if arithmetic is None else str(arithmetic),
    )
