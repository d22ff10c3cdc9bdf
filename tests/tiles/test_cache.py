"""The cache keeps to its bound, forgets the oldest, and never what is on the screen."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from napari_pathsrgan.tiles.cache import TileCache
from napari_pathsrgan.tiles.grid import TileKey
from napari_pathsrgan.types import Pixels

TILE_BYTES = 4 * 4 * 3


def key(number: int, slide: str = "s") -> TileKey:
    return TileKey(slide, "m", 0, 0, number)


def tile(value: int = 0, height: int = 4) -> Pixels:
    return np.full((height, 4, 3), value, np.uint8)


def filled(max_tiles: int, count: int) -> TileCache:
    cache = TileCache(max_tiles * TILE_BYTES)
    for number in range(count):
        cache.put(key(number), tile(number))
    return cache


def test_the_oldest_goes_first_and_use_makes_young() -> None:
    cache = filled(3, 3)
    assert cache.get(key(0)) is not None
    assert cache.peek(key(1)) is not None  # looking is no use
    assert key(1) in cache
    cache.put(key(3), tile())
    assert [number for number in range(4) if key(number) in cache] == [0, 2, 3]
    assert cache.get(key(1)) is None
    assert cache.nbytes == 3 * TILE_BYTES


def test_a_tile_put_twice_counts_once() -> None:
    cache = TileCache(1000)
    cache.put(key(0), tile(1))
    cache.put(key(0), tile(2, height=2))
    assert cache.nbytes == TILE_BYTES // 2
    assert len(cache) == 1


def test_what_is_visible_stays_even_beyond_the_bound() -> None:
    cache = TileCache(2 * TILE_BYTES)
    cache.pin("20x", [key(number) for number in range(3)])
    cache.put(key(9), tile())
    assert all(cache.put(key(number), tile()) for number in range(3))
    assert cache.nbytes == 3 * TILE_BYTES
    assert key(9) not in cache
    assert not cache.put(key(10), tile())
    cache.pin("20x", [key(2)])
    assert cache.nbytes == 2 * TILE_BYTES
    assert key(0) not in cache


def test_a_tile_that_two_views_show_stays_until_both_let_go() -> None:
    cache = filled(1, 1)
    cache.pin("a", [key(0), key(0)])
    cache.pin("b", [key(0)])
    cache.pin("a", [])
    cache.put(key(1), tile())
    assert key(0) in cache
    cache.pin("b", [])
    cache.put(key(1), tile())
    assert key(0) not in cache


def test_a_smaller_bound_holds_at_once() -> None:
    cache = filled(4, 4)
    cache.resize(TILE_BYTES)
    assert cache.max_bytes == cache.nbytes == TILE_BYTES
    assert key(3) in cache


def test_drop_and_clear_take_pinned_tiles_too() -> None:
    cache = filled(4, 2)
    cache.put(key(0, "other"), tile())
    cache.pin("a", [key(0)])
    assert cache.drop(lambda key: key.slide == "s") == 2
    assert cache.nbytes == TILE_BYTES
    cache.clear()
    assert cache.nbytes == len(cache) == 0


def test_tiles_are_read_only_and_hold_no_bigger_array_alive() -> None:
    cache = TileCache(10_000)
    own = tile(7)
    cache.put(key(0), own)
    kept = cache.get(key(0))
    assert kept is own
    with pytest.raises(ValueError, match="read-only"):
        kept[0, 0, 0] = 1
    batch = np.zeros((2, 4, 4, 3), np.uint8)
    cache.put(key(1), batch[1])
    copied = cache.get(key(1))
    assert copied is not None
    assert copied.base is None
    batch[:] = 9
    assert not copied.any()


@pytest.mark.parametrize("make", [lambda: TileCache(-1), lambda: TileCache(1).resize(-1)])
def test_a_bound_is_not_negative(make: object) -> None:
    with pytest.raises(ValueError, match="bytes"):
        make()  # type: ignore[operator]


class CacheAgainstAModel(RuleBasedStateMachine):
    """Any sequence of uses leaves the cache within its bound, but for what is pinned, and counting right."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = TileCache(5 * TILE_BYTES)
        self.pins: dict[str, set[TileKey]] = {}

    keys = st.integers(0, 11).map(key)

    @rule(key=keys, height=st.integers(1, 8))
    def put(self, key: TileKey, height: int) -> None:
        assert self.cache.put(key, tile(height=height)) == (key in self.cache)

    @rule(key=keys)
    def get(self, key: TileKey) -> None:
        assert (self.cache.get(key) is None) == (key not in self.cache)

    @rule(view=st.sampled_from("ab"), keys=st.sets(keys, max_size=6))
    def pin(self, view: str, keys: set[TileKey]) -> None:
        before = {key for pinned in self.pins.values() for key in pinned if key in self.cache}
        self.cache.pin(view, keys)
        self.pins[view] = keys
        assert all(key in self.cache for key in before if any(key in pinned for pinned in self.pins.values()))

    @rule(tiles=st.integers(0, 8))
    def resize(self, tiles: int) -> None:
        self.cache.resize(tiles * TILE_BYTES)

    @rule(number=st.integers(0, 11))
    def drop(self, number: int) -> None:
        self.cache.drop(lambda key: key.col == number)

    @invariant()
    def bounded(self) -> None:
        held = {number: self.cache.peek(key(number)) for number in range(12)}
        sizes = {number: kept.nbytes for number, kept in held.items() if kept is not None}
        assert self.cache.nbytes == sum(sizes.values())
        loose = [number for number in sizes if not any(key(number) in pinned for pinned in self.pins.values())]
        assert self.cache.nbytes <= self.cache.max_bytes or not loose


TestCacheAgainstAModel = CacheAgainstAModel.TestCase
TestCacheAgainstAModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_many_threads_leave_the_count_right() -> None:
    cache = TileCache(20 * TILE_BYTES)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for number in rng.integers(0, 40, 2000):
            cache.put(key(int(number)), tile())
            cache.get(key(int(number) // 2))
            cache.pin(seed, [key(int(number))])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.nbytes == len(cache) * TILE_BYTES <= 20 * TILE_BYTES
