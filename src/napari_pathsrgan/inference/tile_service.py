"""The service that makes tiles for a viewer: inference process, threads, disk cache and scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathsrgan.inference.attached_slides import AttachedSlides
from napari_pathsrgan.inference.cache_folder import cache_settings, folder_in_use
from napari_pathsrgan.inference.derived_source import DerivedSource
from napari_pathsrgan.inference.disk_cache import DiskCache
from napari_pathsrgan.inference.process import InferenceProcess
from napari_pathsrgan.inference.tile_sources import READERS, DiskSource, NetworkSource, SlideSource
from napari_pathsrgan.tiles.scheduler import Scheduler

if TYPE_CHECKING:
    from napari_pathsrgan.errors import PathSRGANError
    from napari_pathsrgan.inference.derived_source import DerivedImage
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.cache import TileCache
    from napari_pathsrgan.tiles.grid import TileKey

DEFAULT_MEMORY_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ComputeSettings:
    """How tiles are computed and kept: what a user may set under *Advanced*.

    Attributes
    ----------
    device : str
        "auto", "cpu", "cuda", "mps" …
    precision : str
        "auto", "fp32", "bf16", "fp16", or "int8" for a preview.
    backend : str
        "auto", "torch", "openvino" or "winograd".
    memory_bytes : int
        Most memory that tiles may take.
    cache_folder : Path or None
        Where computed tiles are stored between sessions; None for nowhere, which is so until the user agrees.
    cache_bytes : int
        Most disk space that they may take.
    """

    device: str = "auto"
    precision: str = "auto"
    backend: str = "auto"
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    cache_folder: Path | None = field(default_factory=folder_in_use)
    cache_bytes: int = field(default_factory=lambda: cache_settings().max_bytes)


@dataclass(frozen=True)
class TileCallbacks:
    """Functions called on events of the service, from any thread.

    Attributes
    ----------
    on_ready : callable (keys)
        Tiles came into the cache.
    on_failed : callable (keys, error)
        Tiles failed and are not tried again.
    on_restart : callable ()
        The inference process died and is started again.
    on_disk_error : callable (error)
        Tiles are no longer stored on disk.
    """

    on_ready: Callable[[frozenset[TileKey]], None]
    on_failed: Callable[[frozenset[TileKey], Exception], None]
    on_restart: Callable[[], None]
    on_disk_error: Callable[[PathSRGANError], None]


class TileService:
    """Makes tiles with one set of settings, until it is closed.

    Parameters
    ----------
    settings : ComputeSettings
    cache : TileCache
        Outlives the service, so that other settings don't throw away what has been computed.
    callbacks : TileCallbacks
    derived : sequence of DerivedImage
        Images besides the computed ones whose tiles may be asked for.
    """

    def __init__(
        self,
        settings: ComputeSettings,
        cache: TileCache,
        callbacks: TileCallbacks,
        derived: Sequence[DerivedImage] = (),
    ) -> None:
        self._attached = AttachedSlides()
        self.process = InferenceProcess(
            settings.device, settings.precision, settings.backend, on_restart=callbacks.on_restart
        )
        # One thread for windows: two would hand them over out of order, and a view's first tile would come second.
        n_threads = [("slide", READERS), ("windows", 1), ("disk", READERS)]
        n_threads += [(image.content, image.n_threads) for image in derived]
        self._pools = [ThreadPoolExecutor(count, f"pathsrgan-{name}") for name, count in n_threads]
        slide_pool, window_pool, disk_pool, *derived_pools = self._pools
        self.disk: DiskCache | None = None
        sources: list[Any] = []
        if settings.cache_folder is not None:
            self.disk = DiskCache(settings.cache_folder, callbacks.on_disk_error, settings.cache_bytes)
            sources.append(DiskSource(self.disk, disk_pool))
        find = self._attached.find
        sources.append(SlideSource(find, slide_pool))
        sources += [
            DerivedSource(find, pool, image, cache.get) for image, pool in zip(derived, derived_pools, strict=True)
        ]
        sources.append(NetworkSource(find, window_pool, None if self.disk is None else self.disk.keep))
        self.scheduler = Scheduler(sources, cache, callbacks.on_ready, callbacks.on_failed)

    def attach(self, super_resolved: SuperResolvedSlide) -> None:
        """Make tiles of a slide and model from now on, and store them on disk where there is a disk cache."""
        self._attached.attach(super_resolved)
        if self.disk is not None:
            self.disk.attach(super_resolved)

    def detach(self, super_resolved: SuperResolvedSlide) -> None:
        """Make no more tiles of a slide and model, and serve none from disk unless another layer shows the same."""
        was_last = self._attached.detach(super_resolved)
        if was_last and self.disk is not None:
            self.disk.detach(super_resolved)

    def close(self) -> None:
        """Stop the process, the threads and the disk cache; tiles under way are dropped."""
        self.scheduler.close()
        self.process.close()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)
        if self.disk is not None:
            self.disk.close()
