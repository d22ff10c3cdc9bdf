"""Which tile is computed next, and what becomes of it.

The request cycle
-----------------
1. **Want.** A view hands over its requests: the tiles in sight, most urgent first, and those worth fetching ahead. They
   replace the view's last ones, so there is no queue to clean up: what no view requests any more is simply not next.
2. **Reserve.** While a source has room, the most urgent tile it accepts is marked RUNNING. Views take turns rank by
   rank, all that is in sight before anything that is fetched ahead; and that is started only where a source has nothing
   else to do, so that the next view waits for one tile of it at most.
3. **Batch.** The source says which requested tiles it would like to compute together with that one, because neighbours
   share their halo; but only tiles in sight, or they would wait for the others. A view that has nothing yet gets its
   first tile alone, for that is the soonest; so does a tile that failed before, so that it doesn't take others down
   with it.
4. **Commit.** The batched tiles are marked RUNNING and the source starts. If the requests changed meanwhile (their
   generation did), tiles that nobody requests any more are released first, the reserved one included.
5. **Done.** Tiles go into the cache: READY, by-products too. Tiles that failed wait, and are tried again; after the
   last try they are FAILED until `retry_failed`, or until nobody requests them and they come back. Work that went
   stale while it ran is kept: it is paid for, and the user may pan back.

Every step that changes what is next ends in `_dispatch`, which repeats 2 to 4. One thread dispatches at a time; others
leave it the work. So a source may call `done` from inside `start`, and a callback may call `want`, to any depth.
Sources and callbacks are never called with the lock held.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from napari_pathsrgan.errors import WorkerError
from napari_pathsrgan.tiles.requests import RequestQueue

if TYPE_CHECKING:
    from napari_pathsrgan.tiles.cache import TileCache
    from napari_pathsrgan.tiles.grid import TileKey
    from napari_pathsrgan.tiles.tile_source import TileSource
    from napari_pathsrgan.types import Pixels


class TileState(Enum):
    """Where a tile is in the request cycle."""

    ABSENT = "nobody wants it, and it is not in the cache"
    QUEUED = "wanted; its turn comes, or it waits to be tried again"
    RUNNING = "a source is computing it"
    READY = "in the cache"
    FAILED = "wanted, but given up"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the tiles in sight are, over all views, each counted once: "14 of 18 sharp"."""

    ready: int
    wanted: int
    running: int
    failed: int

    @property
    def queued(self) -> int:
        """Tiles whose turn has not come."""
        return self.wanted - self.ready - self.running - self.failed


@dataclass(slots=True)
class _Failure:
    tries: int
    due: float  # when it may be tried again, on the scheduler's clock
    given_up: bool


@dataclass(slots=True, eq=False)
class _Job:
    source: int
    first: TileKey
    wanted: tuple[TileKey, ...]  # offered to the source
    generation: int  # of the requests it was made from
    keys: tuple[TileKey, ...]  # marked as running
    finished: bool = False


class Scheduler:
    """Computes what views want, most urgent first, on the sources there are. Safe to use from any thread.

    Parameters
    ----------
    sources : sequence of TileSource
        A tile goes to the first source that accepts it when it is wanted, and again after each failure.
    cache : TileCache
        Where tiles go. What a view has in sight is pinned there under the view's name.
    on_ready : callable (keys)
        Told the tiles that have just come into the cache, by-products included. Called from any thread.
    on_failed : callable (keys, exception)
        Told the wanted tiles that have been given up after the last try, and why. Called from any thread.
    retries : int
        How often a failed tile is tried again.
    retry_delay_s : float
        Seconds between tries.
    clock : callable () -> float
        Seconds that never run backwards.
    """

    def __init__(
        self,
        sources: Sequence[TileSource],
        cache: TileCache,
        on_ready: Callable[[frozenset[TileKey]], None],
        on_failed: Callable[[frozenset[TileKey], Exception], None],
        retries: int = 2,
        retry_delay_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = tuple(sources)
        self._cache = cache
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._retries = retries
        self._retry_delay_s = retry_delay_s
        self._clock = clock

        self._lock = threading.Lock()
        self._requests = RequestQueue()
        self._source_of: dict[TileKey, int] = {}  # for every tile that a requests names
        self._running: set[TileKey] = set()
        self._jobs_on: Counter[int] = Counter()
        self._failures: dict[TileKey, _Failure] = {}
        self._generation = 0
        self._dispatching = False
        self._paused = False
        self._closed = False
        self._timer_set = False
        self._timers: list[threading.Timer] = []  # the one that is set, and those on their way out

    def want(self, view: Hashable, keys: Sequence[TileKey], prefetch: Sequence[TileKey] = ()) -> None:
        """Replace what a view wants; after `close`, do nothing.

        Parameters
        ----------
        view : hashable
            Who wants it.
        keys : sequence of TileKey
            In sight, most urgent first. Pinned in the cache and counted by `progress`. What is cached already counts
            as ready, without a callback.
        prefetch : sequence of TileKey
            Worth having once nothing in sight of any view is waiting, most urgent first. Neither pinned nor counted.

        Raises
        ------
        ValueError
            If no source accepts one of the tiles.
        """
        source_of: dict[TileKey, int] = {}
        for key in (*keys, *prefetch):
            source = self._find_source(key)
            if source is None:
                raise ValueError(f"No source computes {key}.")
            source_of[key] = source
        with self._lock:
            if self._closed:
                return
            self._requests.replace(view, keys, prefetch)
            self._cache.pin(view, keys)
            self._source_of.update(source_of)
            self._begin_generation()
        self._dispatch()

    def forget(self, view: Hashable) -> None:
        """Drop a view's requests and its pins; a view that has none is fine."""
        with self._lock:
            if not self._requests.remove(view):
                return
            self._cache.pin(view, ())
            self._begin_generation()
        self._dispatch()

    @property
    def paused(self) -> bool:
        """Whether nothing new is started."""
        return self._paused

    def pause(self) -> None:
        """Start nothing new; what runs is finished."""
        with self._lock:
            self._paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        with self._lock:
            self._paused = False
        self._dispatch()

    def retry_failed(self) -> None:
        """Try everything again that was given up or waits for its next try."""
        with self._lock:
            self._failures.clear()
        self._dispatch()

    def poll(self) -> None:
        """Look for work that nobody told of: after tiles were dropped from the cache, or a clock was set by hand."""
        self._dispatch()

    def close(self) -> None:
        """Start nothing more, let go of all pins, and leave no thread behind; tiles that come in later are dropped."""
        with self._lock:
            self._closed = True
            for view in self._requests.views():
                self._requests.remove(view)
                self._cache.pin(view, ())
            self._running.clear()
            self._begin_generation()
            timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()
            if timer is not threading.current_thread():
                timer.join()

    def progress(self) -> Progress:
        """Count the tiles in sight."""
        with self._lock:
            visible = self._requests.visible()
            missing = self._cache.missing(visible)
            running = sum(key in self._running for key in missing)
            failed = sum(self._is_given_up(key) and key not in self._running for key in missing)
        return Progress(ready=len(visible) - len(missing), wanted=len(visible), running=running, failed=failed)

    def state(self, key: TileKey) -> TileState:
        """Where a tile is in the request cycle."""
        with self._lock:
            return self._state(key)

    def _find_source(self, key: TileKey) -> int | None:
        return next((number for number, source in enumerate(self._sources) if source.accepts(key)), None)

    def _state(self, key: TileKey) -> TileState:
        """State of a tile; the lock is held."""
        if key in self._cache:
            return TileState.READY
        if key in self._running:
            return TileState.RUNNING
        if not self._requests.lack(key):
            return TileState.ABSENT
        return TileState.FAILED if self._is_given_up(key) else TileState.QUEUED

    def _is_given_up(self, key: TileKey) -> bool:
        return key in self._failures and self._failures[key].given_up

    def _queue(self) -> list[TileKey]:
        """Tiles in state QUEUED, most urgent first; the lock is held."""
        if self._paused or self._closed:
            return []
        missing = self._cache.missing(self._requests.in_order())
        return [key for key in missing if key not in self._running and not self._is_given_up(key)]

    def _begin_generation(self) -> None:
        """Forget what no requests names any more; the lock is held."""
        self._generation += 1
        wanted = self._requests.all()
        self._source_of = {key: source for key, source in self._source_of.items() if key in wanted}
        self._failures = {key: failure for key, failure in self._failures.items() if key in wanted}

    def _dispatch(self) -> None:
        """Start jobs until no source has room or nothing is wanted, unless another thread is at it already."""
        with self._lock:
            if self._dispatching:
                return
            self._dispatching = True
        try:
            while (job := self._reserve()) is not None:
                self._hand_over(job)
        except BaseException:
            with self._lock:
                self._dispatching = False
            raise

    def _reserve(self) -> _Job | None:
        """Take the next tile for a source with room; or end the dispatching, in the same breath as finding none."""
        now = self._clock()
        with self._lock:
            queue = self._queue()
            due = [key for key in queue if key not in self._failures or self._failures[key].due <= now]
            in_sight = self._requests.visible()
            first = next((key for key in due if self._has_room(self._source_of[key], key in in_sight)), None)
            if first is None:
                self._dispatching = False
                self._set_timer(queue, now)
                return None
            source = self._source_of[first]
            requests = self._requests.take_turn(first)
            begun = any(self._state(key) in (TileState.READY, TileState.RUNNING) for key in requests.visible)
            wanted: tuple[TileKey, ...] = (first,)
            if begun and first in in_sight and first not in self._failures:
                together = (key for key in due if key in in_sight and key not in self._failures)
                wanted = tuple(key for key in together if self._source_of[key] == source)
            self._running.add(first)
            self._jobs_on[source] += 1
            return _Job(source, first, wanted, self._generation, (first,))

    def _has_room(self, source: int, in_sight: bool) -> bool:
        return self._jobs_on[source] < (self._sources[source].capacity if in_sight else 1)

    def _hand_over(self, job: _Job) -> None:
        """Batch, commit and start a reserved job."""
        source = self._sources[job.source]
        try:
            if self._commit(job, source.batch(job.first, job.wanted)):
                source.start(job.keys, lambda tiles, error: self._finish(job, tiles, error))
        except Exception as failure:
            if job.finished:  # it broke in a callback, after `done`: no failure of the job's
                raise
            self._finish(job, {}, failure)

    def _commit(self, job: _Job, batched: Iterable[TileKey]) -> bool:
        """Mark a job's tiles as running; or let go of its reservation if that has gone stale."""
        with self._lock:
            stale = self._generation != job.generation
            if stale and job.first not in self._source_of:
                self._running.discard(job.first)
                self._jobs_on[job.source] -= 1
                return False
            dropped = {key for key in job.wanted if key not in self._source_of} if stale else set()
            others = [
                key
                for key in dict.fromkeys(batched)
                if key not in dropped and self._state(key) not in (TileState.READY, TileState.RUNNING)
            ]
            job.keys = (job.first, *others)
            self._running.update(others)
            return True

    def _finish(self, job: _Job, tiles: Mapping[TileKey, Pixels], error: Exception | None) -> None:
        """Take in what a job brought, start what comes next, then tell."""
        with self._lock:
            if job.finished:
                raise RuntimeError(f"A source finished the job for {job.first} twice.")
            job.finished = True
            if self._closed:
                return
        # Into the cache first: a tile that is neither there nor running would be computed a second time.
        ready = frozenset([key for key, tile in tiles.items() if self._cache.put(key, tile)])
        missing = [key for key in job.keys if key not in tiles]
        failure = error or WorkerError(
            f"The computation ended without {len(missing)} of {len(job.keys)} tiles.", "Try again, or restart it."
        )
        due = self._clock() + self._retry_delay_s
        # Another source may be the one to ask now: what was stored on disk may have proved damaged.
        sources = {key: job.source if (source := self._find_source(key)) is None else source for key in missing}
        with self._lock:
            self._running.difference_update(job.keys)
            self._jobs_on[job.source] -= 1
            self._requests.serve(tiles)
            for key in tiles:
                self._failures.pop(key, None)
            self._source_of.update((key, source) for key, source in sources.items() if key in self._source_of)
            given_up = frozenset([key for key in missing if key in self._source_of and self._note_failure(key, due)])
        self._dispatch()
        if ready:
            self._on_ready(ready)
        if given_up:
            self._on_failed(given_up, failure)

    def _note_failure(self, key: TileKey, due: float) -> bool:
        """Count a failed try and return whether the tile is given up now; the lock is held."""
        tries = self._failures[key].tries + 1 if key in self._failures else 1
        self._failures[key] = _Failure(tries, due, given_up=tries > self._retries)
        return self._failures[key].given_up

    def _set_timer(self, queue: Iterable[TileKey], now: float) -> None:
        """Have the next failed tile tried again in time; the lock is held.

        A timer that is set already is never late: all delays are equal, so what failed later is due later.
        """
        waits = [self._failures[key].due - now for key in queue if key in self._failures]
        waits = [wait for wait in waits if wait > 0]  # what is due but finds no room starts when a job ends
        if waits and not self._timer_set:
            timer = threading.Timer(min(waits), self._time_is_up)
            timer.daemon = True
            timer.start()
            self._timer_set = True
            self._timers = [*(timer for timer in self._timers if timer.is_alive()), timer]

    def _time_is_up(self) -> None:
        with self._lock:
            self._timer_set = False
        self._dispatch()
