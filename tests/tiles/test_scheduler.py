"""The request cycle, step by step, on sources whose jobs the test finishes by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from napari_pathsrgan.errors import WorkerError
from napari_pathsrgan.tiles.cache import TileCache
from napari_pathsrgan.tiles.grid import TileKey
from napari_pathsrgan.tiles.scheduler import Progress, Scheduler, TileState
from napari_pathsrgan.tiles.tile_source import Done
from napari_pathsrgan.types import Pixels

TILE_BYTES = 12


def key(col: int, level: int = 0) -> TileKey:
    return TileKey("s", "m", level, 0, col)


def keys(*cols: int) -> list[TileKey]:
    return [key(col) for col in cols]


def tile() -> Pixels:
    return np.zeros((2, 2, 3), np.uint8)


class HandLane:
    """A source whose jobs wait until the test finishes them."""

    def __init__(
        self, capacity: int = 1, levels: Sequence[int] = (0, 1), group: int = 1, by_products: bool = False
    ) -> None:
        self.capacity = capacity
        self.levels = levels
        self.group = group
        self.by_products = by_products
        self.offered: list[tuple[TileKey, ...]] = []
        self.started: list[tuple[TileKey, ...]] = []
        self.open: dict[tuple[TileKey, ...], Done] = {}

    def accepts(self, key: TileKey) -> bool:
        return key.level in self.levels

    def batch(self, first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        self.offered.append(tuple(wanted))
        job = tuple(wanted[: self.group])
        return (*job, *(key(wanted.col, 1) for wanted in job if wanted.level == 0)) if self.by_products else job

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        self.started.append(keys)
        self.open[keys] = done

    def finish(self, *cols: int, extra: Sequence[TileKey] = (), error: Exception | None = None) -> None:
        """End the job that computes these tiles, with all of them, or with none if it failed."""
        job = next(job for job in self.open if job[: len(cols)] == tuple(keys(*cols)))
        done = self.open.pop(job)
        done({} if error else {key: tile() for key in (*job, *extra)}, error)

    def started_cols(self) -> list[int]:
        return [key.col for job in self.started for key in job]


class Ears:
    """What the scheduler told."""

    def __init__(self) -> None:
        self.ready: list[frozenset[TileKey]] = []
        self.failed: list[tuple[frozenset[TileKey], Exception]] = []

    def on_failed(self, keys: frozenset[TileKey], error: Exception) -> None:
        self.failed.append((keys, error))


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A scheduler with everything around it."""

    def __init__(self, *sources: HandLane, max_tiles: int = 1000, retries: int = 2) -> None:
        self.ears, self.clock = Ears(), Clock()
        self.cache = TileCache(max_tiles * TILE_BYTES)
        self.scheduler = Scheduler(
            sources,
            self.cache,
            self.ears.ready.append,
            self.ears.on_failed,
            retries=retries,
            retry_delay_s=60,
            clock=self.clock,
        )

    def states(self, *cols: int) -> list[TileState]:
        return [self.scheduler.state(key(col)) for col in cols]

    def pass_time(self, seconds: float = 60) -> None:
        self.clock.now += seconds
        self.scheduler.poll()


@pytest.fixture(autouse=True)
def no_thread_left(request: pytest.FixtureRequest) -> object:
    before = set(threading.enumerate())
    benches: list[Bench] = []
    request.node.benches = benches
    yield
    for bench in benches:
        bench.scheduler.close()
    assert set(threading.enumerate()) <= before


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Callable[..., Bench]:
    def make(*sources: HandLane, max_tiles: int = 1000, retries: int = 2) -> Bench:
        made = Bench(*sources, max_tiles=max_tiles, retries=retries)
        request.node.benches.append(made)
        return made

    return make


MakeBench = Callable[..., Bench]


def test_a_tile_from_wish_to_cache(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    assert b.states(0) == [TileState.ABSENT]
    b.scheduler.want("20x", keys(0, 1))
    assert b.states(0, 1) == [TileState.RUNNING, TileState.QUEUED]
    assert b.scheduler.progress() == Progress(ready=0, wanted=2, running=1, failed=0)
    source.finish(0)
    assert b.ears.ready == [frozenset(keys(0))]
    assert b.states(0, 1) == [TileState.READY, TileState.RUNNING]
    assert b.cache.get(key(0)) is not None
    source.finish(1)
    progress = b.scheduler.progress()
    assert progress == Progress(ready=2, wanted=2, running=0, failed=0)
    assert progress.queued == 0


def test_what_is_cached_counts_as_ready_without_a_callback(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.cache.put(key(0), tile())
    b.scheduler.want("20x", keys(0))
    assert source.started == []
    assert b.ears.ready == []
    assert b.scheduler.progress().ready == 1


def test_stale_work_is_dropped_and_running_work_is_kept(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.want("20x", keys(0, 1, 2))
    b.scheduler.want("20x", keys(7, 8))
    assert b.states(0, 1, 2, 7) == [TileState.RUNNING, TileState.ABSENT, TileState.ABSENT, TileState.QUEUED]
    source.finish(0)
    source.finish(7)
    source.finish(8)
    assert source.started_cols() == [0, 7, 8]
    assert key(0) in b.cache
    assert b.scheduler.progress().wanted == 2


def test_a_reservation_that_goes_stale_while_a_batch_is_chosen_is_released(bench: MakeBench) -> None:
    source = HandLane(group=4)
    b = bench(source)
    batch = source.batch

    def pan_meanwhile(first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        source.batch = batch  # type: ignore[method-assign]
        b.scheduler.want("20x", keys(5))
        return batch(first, wanted)

    source.batch = pan_meanwhile  # type: ignore[method-assign]
    b.scheduler.want("20x", keys(0))
    assert source.started_cols() == [5]
    assert b.states(0) == [TileState.ABSENT]


def test_company_that_goes_stale_while_a_batch_is_chosen_is_released(bench: MakeBench) -> None:
    source = HandLane(group=4)
    b = bench(source)
    b.cache.put(key(9), tile())
    batch = source.batch

    def pan_meanwhile(first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        b.scheduler.want("20x", keys(9, 0, 2))
        return batch(first, wanted)

    source.batch = pan_meanwhile  # type: ignore[method-assign]
    b.scheduler.want("20x", keys(9, 0, 1, 2))
    assert source.started == [tuple(keys(0, 2))]


def test_the_first_tile_of_a_view_is_computed_alone_and_then_groups(bench: MakeBench) -> None:
    source = HandLane(group=3)
    b = bench(source)
    b.scheduler.want("20x", keys(0, 1, 2, 3, 4))
    assert source.offered == [tuple(keys(0))]
    source.finish(0)
    assert source.offered[1] == tuple(keys(1, 2, 3, 4))
    assert source.started[1] == tuple(keys(1, 2, 3))
    b.scheduler.want("20x", keys(20, 21, 22))  # somewhere else: again the first alone
    source.finish(1, 2, 3)
    source.finish(20)
    assert source.started[2:] == [tuple(keys(20)), tuple(keys(21, 22))]


def test_tiles_fetched_ahead_do_not_make_the_first_tile_wait_for_a_group(bench: MakeBench) -> None:
    network, reader = HandLane(levels=(0,), group=3), HandLane(levels=(2,))
    b = bench(reader, network)
    b.scheduler.want("20x", keys(0, 1, 2), prefetch=[key(0, 2)])
    assert reader.started == [(key(0, 2),)]
    assert network.started == [tuple(keys(0))]


def test_what_is_in_sight_is_not_kept_waiting_by_company_from_beyond(bench: MakeBench) -> None:
    source = HandLane(group=3)
    b = bench(source)
    b.scheduler.want("20x", keys(0, 1, 2), prefetch=keys(3, 4, 5))
    for done in ([0], [1, 2], [3], [4]):
        source.finish(*done)
    assert source.offered == [tuple(keys(*cols)) for cols in ([0], [1, 2], [3], [4], [5])]


def test_two_views_take_turns_and_share_what_both_want(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.pause()
    b.scheduler.want("a", keys(0, 1, 2))
    b.scheduler.want("b", keys(10, 1, 12))
    b.scheduler.resume()
    for col in (0, 10, 1, 12, 2):
        source.finish(col)
    assert source.started_cols() == [0, 10, 1, 12, 2]
    assert b.scheduler.progress() == Progress(ready=5, wanted=5, running=0, failed=0)


def test_a_view_that_stops_wanting_leaves_the_others_alone(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source, max_tiles=1)
    b.scheduler.want("a", keys(0, 1))
    b.scheduler.want("b", keys(1))
    source.finish(0)
    b.scheduler.forget("a")
    b.scheduler.forget("nobody")
    assert key(0) in b.cache
    source.finish(1)
    assert b.scheduler.progress() == Progress(ready=1, wanted=1, running=0, failed=0)
    assert key(0) not in b.cache  # its pin is gone, and there is room for one
    assert key(1) in b.cache


def test_fetching_ahead_comes_last_and_is_not_counted(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.pause()
    b.scheduler.want("a", keys(0), prefetch=keys(5, 0))
    b.scheduler.want("b", keys(1, 2))
    b.scheduler.resume()
    for col in (0, 1, 2, 5):
        source.finish(col)
    assert b.scheduler.progress().wanted == 3
    assert key(5) in b.cache


def test_fetching_ahead_leaves_a_source_room_for_the_next_view(bench: MakeBench) -> None:
    source = HandLane(capacity=2)
    b = bench(source)
    b.scheduler.want("a", (), prefetch=keys(5, 6, 7))
    assert source.started_cols() == [5]
    b.scheduler.want("a", keys(0, 1), prefetch=keys(5, 6, 7))
    assert source.started_cols() == [5, 0]
    source.finish(5)
    assert source.started_cols() == [5, 0, 1]


def test_fetching_ahead_into_a_full_cache_comes_to_an_end(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source, max_tiles=1)
    for _ in range(3):
        b.scheduler.want("a", keys(0), prefetch=keys(5))
        for job in list(source.open):
            source.finish(job[0].col)
        for job in list(source.open):
            source.finish(job[0].col)
    assert source.started_cols() == [0, 5]
    assert b.ears.ready == [frozenset(keys(0))]
    assert b.states(5) == [TileState.ABSENT]


def test_an_evicted_tile_is_computed_again_when_it_is_wanted_again(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source, max_tiles=1)
    for col in (0, 1, 0):
        b.scheduler.want("a", keys(col))
        source.finish(col)
    assert source.started_cols() == [0, 1, 0]


def test_a_tile_dropped_from_the_cache_under_a_view_is_computed_again(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.want("a", keys(0))
    source.finish(0)
    b.cache.clear()
    b.scheduler.poll()
    assert b.states(0) == [TileState.RUNNING]


def test_by_products_are_kept_and_told(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.want("20x", keys(0))
    b.scheduler.want("10x", [key(0, 1)])
    source.finish(0, extra=[key(0, 1)])
    assert b.ears.ready == [frozenset([key(0), key(0, 1)])]
    assert source.started == [tuple(keys(0))]
    assert b.scheduler.progress().ready == 2


def test_a_promised_by_product_is_waited_for(bench: MakeBench) -> None:
    source = HandLane(capacity=2, by_products=True)
    b = bench(source)
    b.scheduler.want("20x", keys(0))
    assert source.started == [(key(0), key(0, 1))]
    b.scheduler.want("10x", [key(0, 1)])
    assert b.scheduler.state(key(0, 1)) is TileState.RUNNING
    assert len(source.started) == 1
    source.finish(0)
    assert b.scheduler.progress() == Progress(ready=2, wanted=2, running=0, failed=0)


def test_each_source_works_up_to_its_capacity_on_its_own_tiles(bench: MakeBench) -> None:
    network, reader = HandLane(levels=(0, 1)), HandLane(capacity=2, levels=(2,))
    b = bench(network, reader)
    b.scheduler.want("a", [*keys(0, 1), *(key(col, 2) for col in range(4))])
    assert network.started_cols() == [0]
    assert reader.started_cols() == [0, 1]


def test_a_tile_that_no_source_computes_is_refused(bench: MakeBench) -> None:
    b = bench(HandLane(levels=(0,)))
    with pytest.raises(ValueError, match="No source"):
        b.scheduler.want("a", [key(0, 3)])
    assert b.scheduler.progress().wanted == 0


def test_a_failed_tile_is_tried_again_later_and_alone(bench: MakeBench) -> None:
    source = HandLane(group=3)
    b = bench(source)
    b.cache.put(key(9), tile())
    b.scheduler.want("a", keys(9, 0, 1))
    assert source.started == [tuple(keys(0, 1))]
    source.finish(0, 1, error=WorkerError("It died.", "Wait."))
    assert b.states(0, 1) == [TileState.QUEUED] * 2
    b.pass_time(59)
    assert len(source.started) == 1
    b.scheduler.pause()
    b.scheduler.want("a", keys(9, 0, 1, 2, 3))
    b.pass_time(1)
    b.scheduler.resume()
    for job in ([0], [1], [2, 3]):
        source.finish(*job)
    assert source.offered[1:] == [(key(0),), (key(1),), tuple(keys(2, 3))]
    assert b.ears.failed == []
    assert b.scheduler.progress().ready == 5


def give_up(b: Bench, source: HandLane, col: int = 0) -> WorkerError:
    error = WorkerError("It died.", "Wait.")
    for _ in range(3):
        source.finish(col, error=error)
        b.pass_time()
    return error


def test_after_the_last_try_a_tile_is_given_up_and_told_once(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.want("a", keys(0))
    error = give_up(b, source)
    b.scheduler.want("a", keys(0, 1))  # still wanted: still given up
    assert source.started_cols() == [0, 0, 0, 1]
    assert b.ears.failed == [(frozenset(keys(0)), error)]
    assert b.states(0) == [TileState.FAILED]
    assert b.scheduler.progress() == Progress(ready=0, wanted=2, running=1, failed=1)


def test_retry_failed_tries_again(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.want("a", keys(0))
    give_up(b, source)
    b.scheduler.retry_failed()
    assert b.states(0) == [TileState.RUNNING]
    source.finish(0)
    assert b.states(0) == [TileState.READY]


def test_a_tile_given_up_is_tried_again_once_every_view_had_left_it(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.want("a", keys(0))
    b.scheduler.want("b", keys(0))
    give_up(b, source)
    b.scheduler.want("a", [])
    b.scheduler.want("a", keys(0))
    assert b.states(0) == [TileState.FAILED]  # b never left
    b.scheduler.forget("a")
    b.scheduler.forget("b")
    assert b.states(0) == [TileState.ABSENT]
    b.scheduler.want("a", keys(0))
    assert b.states(0) == [TileState.RUNNING]


def test_the_failure_of_a_tile_nobody_wants_any_more_is_no_news(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source, retries=0)
    b.scheduler.want("a", keys(0))
    b.scheduler.want("a", [])
    source.finish(0, error=WorkerError("It died.", "Wait."))
    assert b.ears.failed == []
    assert b.states(0) == [TileState.ABSENT]


def test_tiles_that_a_job_leaves_out_have_failed(bench: MakeBench) -> None:
    source = HandLane(group=2)
    b = bench(source, retries=0)
    b.cache.put(key(9), tile())
    b.scheduler.want("a", keys(9, 0, 1))
    source.open.pop(tuple(keys(0, 1)))({key(0): tile()}, None)
    assert b.states(0, 1) == [TileState.READY, TileState.FAILED]
    ((failed, error),) = b.ears.failed
    assert failed == frozenset(keys(1))
    assert "1 of 2 tiles" in str(error)


@pytest.mark.parametrize("method", ["batch", "start"])
def test_a_source_that_breaks_has_failed(bench: MakeBench, method: str) -> None:
    source = HandLane()
    b = bench(source, retries=0)

    def broken(*_: object) -> None:
        raise OSError("no memory")

    setattr(source, method, broken)
    b.scheduler.want("a", keys(0))
    ((failed, error),) = b.ears.failed
    assert failed == frozenset(keys(0))
    assert str(error) == "no memory"
    assert b.states(0) == [TileState.FAILED]


def test_another_source_is_asked_where_the_first_has_failed(bench: MakeBench) -> None:
    disk, network = HandLane(), HandLane()
    b = bench(disk, network)
    b.scheduler.want("a", keys(0))
    disk.accepts = lambda key: False  # type: ignore[method-assign]
    disk.finish(0, error=WorkerError("The tile is damaged.", "It is computed again."))
    b.pass_time()
    assert (disk.started_cols(), network.started_cols()) == ([0], [0])


def test_a_job_that_ends_twice_is_a_sources_mistake(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.want("a", keys(0))
    done = source.open[tuple(keys(0))]
    done({key(0): tile()}, None)
    with pytest.raises(RuntimeError, match="twice"):
        done({key(0): tile()}, None)


def test_pause_finishes_what_runs_and_starts_nothing(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source)
    b.scheduler.want("a", keys(0, 1))
    b.scheduler.pause()
    assert b.scheduler.paused is True
    source.finish(0)
    assert b.states(0, 1) == [TileState.READY, TileState.QUEUED]
    b.scheduler.resume()
    assert bool(b.scheduler.paused) is False
    assert b.states(1) == [TileState.RUNNING]


def test_after_close_nothing_starts_and_late_tiles_are_dropped(bench: MakeBench) -> None:
    source = HandLane()
    b = bench(source, max_tiles=0)
    b.scheduler.want("a", keys(0, 1))
    b.scheduler.close()
    b.scheduler.close()
    source.finish(0)
    b.scheduler.want("a", keys(2))
    assert source.started_cols() == [0]
    assert b.ears.ready == []
    assert b.scheduler.progress() == Progress(ready=0, wanted=0, running=0, failed=0)
    assert not b.cache.put(key(0), tile())  # no pin is left


class AtOnce(HandLane):
    """A source that is done before `start` returns."""

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        self.started.append(keys)
        done({key: tile() for key in keys}, None)


def test_a_source_that_is_done_at_once_needs_no_stack(bench: MakeBench) -> None:
    source = AtOnce()
    b = bench(source)
    b.scheduler.want("a", keys(*range(400)))
    assert b.scheduler.progress().ready == 400


def test_callbacks_may_call_back(bench: MakeBench) -> None:
    source = AtOnce()
    b = bench(source)
    told: list[int] = []

    def pan_on(ready: frozenset[TileKey]) -> None:
        (done,) = ready
        told.append(done.col)
        assert b.scheduler.progress().ready == 1
        if done.col < 5:
            b.scheduler.want("a", keys(done.col + 1))

    b.scheduler._on_ready = pan_on
    b.scheduler.want("a", keys(0))
    assert told == [0, 1, 2, 3, 4, 5]


def test_an_error_in_a_callback_is_the_callers_and_harms_nothing(bench: MakeBench) -> None:
    source = AtOnce()
    b = bench(source)

    def broken(_: frozenset[TileKey]) -> None:
        raise ZeroDivisionError

    b.scheduler._on_ready = broken
    with pytest.raises(ZeroDivisionError):
        b.scheduler.want("a", keys(0))
    b.scheduler._on_ready = b.ears.ready.append
    b.scheduler.want("a", keys(0, 1))
    assert b.scheduler.progress().ready == 2


def test_real_time_retries_by_itself_and_close_leaves_no_thread() -> None:
    before = threading.enumerate()
    source, tries = HandLane(), threading.Semaphore(0)
    failed = threading.Event()

    def fail(_: tuple[TileKey, ...], done: Done) -> None:
        tries.release()
        done({}, WorkerError("It died.", "Wait."))

    source.start = fail  # type: ignore[method-assign, assignment]
    cache = TileCache(1000)
    scheduler = Scheduler([source], cache, lambda _: None, lambda *_: failed.set(), retries=2, retry_delay_s=0.02)
    scheduler.want("a", keys(0))
    assert failed.wait(5)
    assert [tries.acquire(blocking=False) for _ in range(4)] == [True, True, True, False]
    scheduler.close()
    assert threading.enumerate() == before

    waiting = Scheduler([source], cache, lambda _: None, lambda *_: None, retry_delay_s=60)
    waiting.want("a", keys(0, 1))
    begun = time.monotonic()
    waiting.close()
    assert time.monotonic() - begun < 1
    assert threading.enumerate() == before


def test_close_from_within_a_retry(bench: MakeBench) -> None:
    source = HandLane()
    closed = threading.Event()

    def fail(_: tuple[TileKey, ...], done: Callable[[Mapping[TileKey, Pixels], Exception | None], None]) -> None:
        done({}, WorkerError("It died.", "Wait."))

    def close(*_: object) -> None:
        scheduler.close()
        closed.set()

    source.start = fail  # type: ignore[method-assign, assignment]
    scheduler = Scheduler([source], TileCache(1000), lambda _: None, close, retries=1, retry_delay_s=0.01)
    scheduler.want("a", keys(0))
    assert closed.wait(5)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)
