"""Computed tiles written to disk and read from there while slides are open: one pyramid store per slide and model."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.errors import OutputError, PathSRGANError
from napari_pathsrgan.inference.cache_folder import DEFAULT_MAX_BYTES, CacheFolder, mark_used
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, TileKey
from napari_pathsrgan.tiles.product import Product

if TYPE_CHECKING:
    from napari_pathsrgan.inference.exact_levels import ExactLevels
    from napari_pathsrgan.types import Pixels

Source = tuple[str, Product]
"""A slide, by its cache id, and what is seen of it."""
_WAITING_TILES = 64
"""Tiles that may wait for a slow disk; more are not kept, since the picture matters more than the cache."""


_TRIMMED_TO = 0.9
"""Share of the bound that is left when slides had to leave, so that this is seldom."""


class DiskCache:
    """Reads and writes tiles of the slides that are open.

    Writing happens in a thread of its own and never fails a view: what can't be written is told once.

    Parameters
    ----------
    folder : Path
        The cache makes a folder of its own in it when the first tile is written.
    on_problem : callable
        Told, from the writing thread, why tiles are no longer kept.
    max_bytes : int
        Bound on all that is kept. The slides used longest ago leave first; those that are open stay, and what does not
        fit beside them is not kept.
    """

    def __init__(
        self, folder: Path, on_problem: Callable[[PathSRGANError], None], max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        self.folder = CacheFolder(folder)
        self._max_bytes = max_bytes
        self._size: int | None = None  # not counted yet
        self._on_problem = on_problem
        self._lock = threading.Lock()
        self._stores: dict[Source, PyramidStore] = {}
        self._makers: dict[Source, ExactLevels] = {}
        self._broken = False
        self._waiting: queue.Queue[tuple[TileKey, Pixels] | None] = queue.Queue(_WAITING_TILES)
        self._writer = threading.Thread(target=self._write_all, name="pathsrgan-disk-cache", daemon=True)
        self._writer.start()

    def attach(self, super_resolved: ExactLevels) -> None:
        """Serve a slide and model from now on; an unreadable store is started anew."""
        source = (super_resolved.slide.cache_id, super_resolved.product)
        path = self._path(source)
        store: PyramidStore | None = None
        if path in self.folder.stores():
            try:
                store = open_store(super_resolved, path, kept=True)
                mark_used(path)
            except PathSRGANError:
                self.folder.remove(path)
        with self._lock:
            self._makers[source] = super_resolved
            self._size = None
            if store is not None:
                self._stores[source] = store

    def detach(self, super_resolved: ExactLevels) -> None:
        """Stop serving a slide and model."""
        source = (super_resolved.slide.cache_id, super_resolved.product)
        with self._lock:
            self._makers.pop(source, None)
            self._stores.pop(source, None)

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
        return self.folder.size_bytes()

    def clear(self) -> None:
        """Remove every kept tile."""
        self.flush()
        with self._lock:
            self._stores.clear()
            self._size = None
            self.folder.clear()

    def close(self) -> None:
        """Write what waits and end the thread."""
        self._waiting.put(None)
        self._writer.join()

    def _path(self, source: Source) -> Path:
        slide, product = source
        name = hashlib.blake2b(f"{slide}\n{product.text}".encode(), digest_size=16).hexdigest()
        return self.folder.store_path(name)

    def _store(self, key: TileKey) -> PyramidStore | None:
        if key.level >= SLIDE_LEVEL:
            return None
        with self._lock:
            return self._stores.get((key.slide, key.product))

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
        source = (key.slide, key.product)
        with self._lock:
            store, maker = self._stores.get(source), self._makers.get(source)
        if maker is None or self._broken or not self._has_room(tile.nbytes):
            return
        with self._lock:
            if store is None or not store.path.exists():  # another process may have cleared the cache
                store = self._stores[source] = self._make_store(maker, self._path(source))
        written = store.write(key.level, key.row, key.col, tile)
        with self._lock:
            self._size = None if self._size is None else self._size + written

    def _make_store(self, maker: ExactLevels, path: Path) -> PyramidStore:
        self.folder.prepare()
        store = open_store(maker, path, kept=True)
        mark_used(path)
        return store

    def _has_room(self, n_bytes: int) -> bool:
        """Make room by having the slides used longest ago leave; False where what is open takes all there is.

        Only the writing thread counts: that takes a while, and nobody else must wait for it.
        """
        size = self._size
        if size is None:
            self.folder.remove_leftovers()
            size = self.folder.size_bytes()
        if size + n_bytes > self._max_bytes:
            with self._lock:
                in_use = {self._path(source) for source in self._makers}
            if any(store not in in_use for store in self.folder.stores()):
                size = self.folder.trim(int(self._max_bytes * _TRIMMED_TO) - n_bytes, in_use)
        self._size = size
        return size + n_bytes <= self._max_bytes


def open_store(super_resolved: ExactLevels, path: Path, blended: bool = False, kept: bool = False) -> PyramidStore:
    """Go on with the pyramid store of a slide and a model at a path, or make an empty one.

    Blended tiles are other pixels than exact ones: a store holds either. One that is `kept` in the cache is its owner's
    alone, and belongs to the very file that was opened.

    Raises
    ------
    OutputError, StoreMismatchError
        See `PyramidStore.open_or_create`.
    """
    grid, execution = super_resolved.grid, super_resolved.runner.execution
    name = super_resolved.runner.card.name
    name += (", int8 preview" if super_resolved.product.is_preview else "") + (", blended" if blended else "")
    return PyramidStore.open_or_create(
        path,
        level_shapes=grid.level_shapes,
        level_mpps=grid.level_mpps,
        tile_px=grid.tile_px,
        slide_fingerprint=super_resolved.slide.cache_id if kept else super_resolved.slide.fingerprint,
        product=super_resolved.product._replace(merge="blended" if blended else "exact").text,
        slide_name=super_resolved.slide.path.name,
        model_name=name,
        execution="" if execution is None else str(execution),
        private=kept,
    )
