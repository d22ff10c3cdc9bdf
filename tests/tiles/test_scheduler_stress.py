"""Three views, two sources with threads of their own, failures at random: nothing is lost, doubled or stuck."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from napari_pathsrgan.errors import WorkerError
from napari_pathsrgan.tiles.cache import TileCache
from napari_pathsrgan.tiles.grid import TileKey
from napari_pathsrgan.tiles.scheduler import Scheduler, TileState
from napari_pathsrgan.tiles.tile_source import Done
from napari_pathsrgan.types import Pixels

SECONDS = 2.0
TILE_BYTES = 2 * 2 * 3


def pixels_of(key: TileKey) -> Pixels:
    return np.full((2, 2, 3), (key.level * 100 + key.row * 10 + key.col) % 256, np.uint8)


class ThreadSource:
    """Computes in threads; fails now and then, and always on column 30; notes a tile asked for twice at a time."""

    def __init__(self, levels: Sequence[int], capacity: int, group: int, failing: float, seed: int) -> None:
        self.capacity = capacity
        self.levels, self.group, self.failing = levels, group, failing
        self.doubled: list[TileKey] = []
        self.too_many = 0
        self.computed = 0
        self._under_way: set[TileKey] = set()
        self._jobs_under_way = 0
        self._lock = threading.Lock()
        self._rng = np.random.default_rng(seed)
        self._jobs: queue.SimpleQueue[tuple[tuple[TileKey, ...], Done] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(capacity)]
        for thread in self._threads:
            thread.start()

    def accepts(self, key: TileKey) -> bool:
        return key.level in self.levels

    def batch(self, first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        near = [key for key in wanted if abs(key.row - first.row) <= 1 and key.level == first.level]
        chosen = near[: self.group] if first in near[: self.group] else [first]
        by_products = [TileKey(key.slide, key.product, 1, key.row, key.col) for key in chosen if key.level == 0]
        return (*chosen, *by_products)

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        with self._lock:
            self.doubled += [key for key in keys if key in self._under_way]
            self._under_way.update(keys)
            self._jobs_under_way += 1
            self.too_many += self._jobs_under_way > self.capacity
        self._jobs.put((keys, done))

    def stop(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            keys, done = job
            with self._lock:
                pause, luck = self._rng.random(2)
            time.sleep(pause * 0.002)
            with self._lock:
                self._under_way.difference_update(keys)
                self._jobs_under_way -= 1
                self.computed += len(keys)
            if self.failing and any(key.col == 30 for key in keys):
                luck = 0.0
            if luck < self.failing:
                some = keys[: len(keys) // 2] if luck > self.failing / 2 else ()
                done({key: pixels_of(key) for key in some}, WorkerError("It died.", "Wait."))
            else:
                done({key: pixels_of(key) for key in keys}, None)


@pytest.mark.parametrize("max_tiles", [10_000, 40])
def test_nothing_is_lost_doubled_or_stuck(max_tiles: int) -> None:
    before = set(threading.enumerate())
    network = ThreadSource(levels=(0, 1), capacity=2, group=4, failing=0.15, seed=1)
    reader = ThreadSource(levels=(2,), capacity=3, group=1, failing=0.05, seed=2)
    told: set[TileKey] = set()
    failed: set[TileKey] = set()
    wrong: list[object] = []
    ears = threading.Lock()

    def on_ready(keys: frozenset[TileKey]) -> None:
        with ears:
            told.update(keys)
        scheduler.progress()  # a callback may ask

    def on_failed(keys: frozenset[TileKey], error: Exception) -> None:
        with ears:
            failed.update(keys)
        if not isinstance(error, WorkerError):
            wrong.append(error)

    cache = TileCache(max_tiles * TILE_BYTES)
    scheduler = Scheduler([network, reader], cache, on_ready, on_failed, retries=2, retry_delay_s=0.005)
    end = time.monotonic() + SECONDS
    last_requests: dict[int, list[TileKey]] = {}

    def browse(view: int) -> None:
        rng = np.random.default_rng(view)
        while time.monotonic() < end:
            level, top, left = int(rng.integers(0, 3)), int(rng.integers(0, 20)), int(rng.integers(0, 20))
            square = [TileKey("s", "m", level, top + row, left + col) for row in range(4) for col in range(4)]
            rng.shuffle(square)
            last_requests[view] = square[:10]
            scheduler.want(view, square[:10], prefetch=square[8:])
            progress = scheduler.progress()
            if min(progress.ready, progress.running, progress.failed, progress.queued) < 0:
                wrong.append(progress)
            chance = rng.random()
            if chance < 0.02:
                scheduler.pause()
                scheduler.resume()
            elif chance < 0.04:
                scheduler.forget(view)
                last_requests[view] = []
            elif chance < 0.06:
                cache.drop(lambda key: key.row % 7 == 0)
            elif chance < 0.08:
                scheduler.retry_failed()
            time.sleep(rng.random() * 0.01)

    viewers = [threading.Thread(target=browse, args=(view,)) for view in range(3)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join(SECONDS + 10)
        assert not viewer.is_alive()

    hopeless = [TileKey("s", "m", 0, row, 30) for row in range(3)]
    last_requests[3] = [*hopeless, *last_requests[0]]
    scheduler.want(3, last_requests[3])
    wanted = {key for requests in last_requests.values() for key in requests}
    patience = time.monotonic() + 10
    while (progress := scheduler.progress()).ready + progress.failed < len(wanted) or not failed.issuperset(hopeless):
        assert time.monotonic() < patience, f"stuck at {progress}"
        time.sleep(0.005)
    assert all(scheduler.state(key) is TileState.FAILED for key in hopeless)
    network.failing = reader.failing = 0.0
    scheduler.retry_failed()
    while (progress := scheduler.progress()).ready < len(wanted):
        assert time.monotonic() < patience, f"stuck at {progress}"
        time.sleep(0.005)

    assert progress.wanted == len(wanted)
    assert all(scheduler.state(key) is TileState.READY for key in wanted)
    for key in wanted:
        np.testing.assert_array_equal(cache.get(key), pixels_of(key))
    assert wanted <= told
    assert network.doubled == reader.doubled == []
    assert network.too_many == reader.too_many == 0
    assert wrong == []
    assert network.computed > 200
    scheduler.close()
    network.stop()
    reader.stop()
    assert set(threading.enumerate()) <= before
