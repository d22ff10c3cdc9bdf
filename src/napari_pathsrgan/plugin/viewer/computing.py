"""What makes a window's tiles: process, threads, disk cache and scheduler, started together and ended together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathsrgan.inference.attached_slides import AttachedSlides
from napari_pathsrgan.inference.cache_folder import cache_settings, folder_in_use
from napari_pathsrgan.inference.disk_cache import DiskCache
from napari_pathsrgan.inference.process import InferenceProcess
from napari_pathsrgan.inference.tile_sources import READERS, DiskSource, NetworkSource, SlideSource
from napari_pathsrgan.plugin.viewer.bicubic_source import BicubicSource
from napari_pathsrgan.plugin.viewer.trust_source import TrustSource
from napari_pathsrgan.tiles.scheduler import Scheduler

if TYPE_CHECKING:
    from napari_pathsrgan.errors import PathSRGANError
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.cache import TileCache
    from napari_pathsrgan.tiles.grid import TileKey

DEFAULT_MEMORY_BYTES = 512 * 2**20


@dataclass(frozen=True)
class SessionSettings:
    """What a user may set under Advanced.

    Attributes
    ----------
    device : str
        "auto", "cpu", "cuda", "mps" …
    precision : str
        "auto", "fp32", "bf16", "fp16", or "int8" for a preview.
    backend : str
        "auto", "torch", "openvino" or "winograd".
    memory_bytes : int
        Bound of the pictures kept in memory.
    cache_folder : Path or None
        Where computed tiles are kept between sessions; None for nowhere, as long as the user has not said yes.
    cache_bytes : int
        Bound of what is kept there.
    """

    device: str = "auto"
    precision: str = "auto"
    backend: str = "auto"
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    cache_folder: Path | None = field(default_factory=folder_in_use)
    cache_bytes: int = field(default_factory=lambda: cache_settings().max_bytes)


@dataclass(frozen=True)
class Listeners:
    """Who is told what, from whichever thread it happens in.

    Attributes
    ----------
    ready : callable (keys)
        Tiles came into the cache.
    given_up : callable (keys, error)
        Tiles failed for good.
    process_died : callable ()
        The inference process died and is started again.
    disk_failed : callable (error)
        Tiles are no longer kept on disk.
    """

    ready: Callable[[frozenset[TileKey]], None]
    given_up: Callable[[frozenset[TileKey], Exception], None]
    process_died: Callable[[], None]
    disk_failed: Callable[[PathSRGANError], None]


class Computing:
    """Process, threads, disk cache and scheduler of one session with one set of settings.

    Parameters
    ----------
    settings : SessionSettings
    cache : TileCache
        Outlives this, so that other settings don't throw away what has been computed.
    listeners : Listeners
    """

    def __init__(
        self,
        settings: SessionSettings,
        cache: TileCache,
        listeners: Listeners,
    ) -> None:
        self._sources = AttachedSlides()
        self.process = InferenceProcess(
            settings.device, settings.precision, settings.backend, on_restart=listeners.process_died
        )
        # One thread for windows: two would hand them over out of order, and a view's first tile would come second.
        pools = {"slide": READERS, "windows": 1, "disk": READERS, "trust": READERS}
        self._pools = [ThreadPoolExecutor(threads, f"pathsrgan-{name}") for name, threads in pools.items()]
        slide_pool, window_pool, disk_pool, trust_pool = self._pools
        self.disk: DiskCache | None = None
        sources: list[Any] = []
        if settings.cache_folder is not None:
            self.disk = DiskCache(settings.cache_folder, listeners.disk_failed, settings.cache_bytes)
            sources.append(DiskSource(self.disk, disk_pool))
        find = self._sources.find
        sources += [
            SlideSource(find, slide_pool),
            BicubicSource(find, slide_pool),
            TrustSource(find, trust_pool, cache.get),
        ]
        sources.append(NetworkSource(find, window_pool, None if self.disk is None else self.disk.keep))
        self.scheduler = Scheduler(sources, cache, listeners.ready, listeners.given_up)

    def attach(self, super_resolved: SuperResolvedSlide) -> None:
        """Make tiles of a slide and model; serve from disk what is there of them, and keep there what is computed."""
        self._sources.attach(super_resolved)
        if self.disk is not None:
            self.disk.attach(super_resolved)

    def detach(self, super_resolved: SuperResolvedSlide) -> None:
        """Make no more tiles of a slide and model, and serve none from disk unless another layer shows the same."""
        was_last = self._sources.detach(super_resolved)
        if was_last and self.disk is not None:
            self.disk.detach(super_resolved)

    def close(self) -> None:
        """End the process, the threads and the disk cache; tiles on their way are dropped."""
        self.scheduler.close()
        self.process.close()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)
        if self.disk is not None:
            self.disk.close()
