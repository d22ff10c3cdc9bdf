"""Sources, scheduler and disk cache together on a small slide: what is wanted arrives, exact, from wherever it can."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pathsrgan.errors import OutputError, PathSRGANError, SlideUnreadableError, WorkerError
from napari_pathsrgan.inference import disk_cache
from napari_pathsrgan.inference.cache_folder import CacheFolder
from napari_pathsrgan.inference.disk_cache import DiskCache
from napari_pathsrgan.inference.engine import Engine, load_model
from napari_pathsrgan.inference.network_parts import Pictures
from napari_pathsrgan.inference.process import InferenceProcess, ProcessModel
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.inference.tile_sources import DiskSource, NetworkSource, SlideSource, grow_rectangle, sibling
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.slides.slide import Slide
from napari_pathsrgan.tiles.cache import TileCache
from napari_pathsrgan.tiles.grid import CORE, PyramidGrid, TileKey, TilePart, block_window
from napari_pathsrgan.tiles.scheduler import Scheduler
from napari_pathsrgan.tiles.viewport import part_in_sight

from .networks import write_tiny_model
from .specimens import specimen, write_slide

PATIENCE_S = 30


class ProcessHere(InferenceProcess):
    """An inference process that is none: it computes at once, and counts its windows."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.windows: list[tuple[tuple[int, ...], int]] = []
        self.deaths_to_come = 0

    def submit(
        self, model: Path, window: Any, stage: int, background: Any, halo: int, product: str = ""
    ) -> Future[Pictures | None]:
        self.windows.append((window.shape[:2], stage))
        future: Future[Pictures | None] = Future()
        if self.deaths_to_come:
            self.deaths_to_come -= 1
            future.set_exception(WorkerError("The inference process stopped.", "It is started again by itself."))
        else:
            future.set_result(self.engine.run(window, stage, background, halo))
        return future


class Session:
    """A window without a window."""

    def __init__(self, slide: Slide, model: Path, engine: Engine, folder: Path) -> None:
        self.process = ProcessHere(engine)
        self.view = SuperResolvedSlide(slide, ProcessModel(self.process, model))
        self.problems: list[PathSRGANError] = []
        self.failed: dict[TileKey, Exception] = {}
        self.arrived = threading.Condition()
        self.disk = DiskCache(folder, self.problems.append)
        self.disk.attach(self.view)
        self.pool = ThreadPoolExecutor(2)
        self.cache = TileCache(1 << 28)
        sources = (
            DiskSource(self.disk, self.pool),
            SlideSource(lambda _: self.view, self.pool),
            NetworkSource(lambda _: self.view, self.pool, self.disk.keep),
        )
        self.scheduler = Scheduler(sources, self.cache, self._ready, self._failed, retry_delay_s=0.01)

    def _ready(self, keys: frozenset[TileKey]) -> None:
        with self.arrived:
            self.arrived.notify_all()

    def _failed(self, keys: frozenset[TileKey], error: Exception) -> None:
        with self.arrived:
            self.failed |= dict.fromkeys(keys, error)
            self.arrived.notify_all()

    def get(self, *keys: TileKey) -> list[np.ndarray]:
        """Want tiles and wait for them."""
        self.scheduler.want("view", keys)
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.failed or all(key in self.cache for key in keys), PATIENCE_S)
        assert not self.failed
        return [np.asarray(self.cache.peek(key)) for key in keys]

    def close(self) -> None:
        self.scheduler.close()
        self.pool.shutdown()
        self.disk.close()
        self.process.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="module")
def engine(model: Path) -> Engine:
    return load_model(model, "cpu", "fp32")


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    """267 × 384 input pixels: 3 × 3 blocks."""
    path = write_slide(tmp_path_factory.mktemp("slide") / "case.svs", specimen(213, 307, cells_end=0.9))
    with open_slide(path) as opened:
        yield opened


@pytest.fixture
def session(slide: Slide, model: Path, engine: Engine, tmp_path: Path) -> Iterator[Callable[[], Session]]:
    """Open sessions on one cache folder."""
    with ExitStack() as stack:

        def make() -> Session:
            opened = Session(slide, model, engine, tmp_path / "cache")
            stack.callback(opened.close)
            return opened

        yield make


def all_keys(view: SuperResolvedSlide, *levels: int) -> list[TileKey]:
    return [view.key(level, row, col) for level in levels for row, col in np.ndindex(view.grid.n_tiles(level))]


def differing(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.mean(np.abs(one.astype(int) - other.astype(int)) > 1))


# --- end to end -------------------------------------------------------------------------------------------------


def test_wanted_tiles_arrive_and_are_those_of_the_exact_levels(session: Callable[[], Session]) -> None:
    opened = session()
    keys = all_keys(opened.view, 0, 1, 2)
    tiles, windows = opened.get(*keys), opened.process.windows.copy()
    for key, tile in zip(keys, tiles, strict=True):
        assert differing(tile, opened.view.compute_tile(key.level, key.row, key.col)) <= 1e-3
    assert sum((height - 64) * (width - 64) for (height, width), _ in windows) == 9 * 128 * 128  # each block once
    assert {stage for _, stage in windows} == {2}  # the 10× tiles came with the 20× ones
    assert max(windows)[0] == (2 * 128 + 64, 2 * 128 + 64)  # neighbours shared a window


def test_10x_alone_runs_stage_1_alone(session: Callable[[], Session]) -> None:
    opened = session()
    opened.get(*all_keys(opened.view, 1))
    assert {stage for _, stage in opened.process.windows} == {1}


def test_the_slides_own_levels_run_no_network(session: Callable[[], Session]) -> None:
    opened = session()
    levels = range(2, opened.view.grid.n_levels)
    keys = all_keys(opened.view, *levels)
    for key, tile in zip(keys, opened.get(*keys), strict=True):
        assert np.array_equal(tile, opened.view.compute_tile(key.level, key.row, key.col))
    assert opened.process.windows == []
    opened.disk.flush()
    assert not opened.disk.folder.path.parent.exists()  # nor anything on disk


def test_a_second_session_takes_all_from_disk(session: Callable[[], Session]) -> None:
    first = session()
    keys = all_keys(first.view, 0, 1)
    tiles = [tile.copy() for tile in first.get(*keys)]
    first.close()

    second = session()
    assert all(second.disk.has(key) for key in keys)
    for tile, wanted in zip(second.get(*keys), tiles, strict=True):
        assert np.array_equal(tile, wanted)
    assert second.process.windows == []
    assert second.disk.size_bytes() > 0


def test_a_damaged_tile_is_computed_again(session: Callable[[], Session]) -> None:
    first = session()
    keys = all_keys(first.view, 0, 1)
    first.get(*keys)
    first.close()
    (store,) = first.disk.folder.stores()
    (store / "0" / "c" / "0" / "1" / "1").write_bytes(b"not a tile")

    second = session()
    bad = second.view.key(0, 1, 1)
    (tile,) = second.get(bad)
    assert len(second.process.windows) == 1
    assert differing(tile, second.view.compute_tile(0, 1, 1)) <= 1e-3
    second.close()
    third = session()
    assert np.array_equal(third.get(bad)[0], tile)
    assert third.process.windows == []


def test_a_damaged_store_is_begun_anew(session: Callable[[], Session]) -> None:
    first = session()
    keys = all_keys(first.view, 1)
    first.get(*keys)
    first.close()
    (store,) = first.disk.folder.stores()
    (store / "zarr.json").write_text("{")
    second = session()
    second.get(*keys)
    assert len(second.process.windows) > 0
    second.close()
    assert second.problems == []
    third = session()
    third.get(*keys)
    assert third.process.windows == []


def test_a_full_disk_is_told_once_and_the_view_goes_on(
    session: Callable[[], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("There is no room left to write it.", "Free some space.")

    monkeypatch.setattr(PyramidStore, "write", full)
    opened = session()
    keys = all_keys(opened.view, 0, 1)
    opened.get(*keys)
    opened.disk.flush()
    assert [str(problem) for problem in opened.problems] == ["There is no room left to write it. Free some space."]
    opened.disk.keep(keys[0], np.zeros((512, 512, 3), np.uint8))
    opened.disk.flush()
    assert len(opened.problems) == 1


def test_whatever_goes_wrong_on_disk_never_holds_the_window(
    session: Callable[[], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a codec of its own mind")

    monkeypatch.setattr(PyramidStore, "write", broken)
    opened = session()
    opened.get(*all_keys(opened.view, 1))
    opened.disk.flush()
    assert len(opened.problems) == 1
    assert "a codec of its own mind" in str(opened.problems[0])
    opened.close()  # ends, though the writer met an error


def test_clearing_removes_every_tile_and_goes_on(session: Callable[[], Session]) -> None:
    opened = session()
    key = opened.view.key(1, 0, 0)
    (tile,) = opened.get(key)
    opened.disk.flush()
    assert opened.disk.has(key)
    opened.disk.clear()
    assert not opened.disk.has(key)
    assert opened.disk.size_bytes() == 0
    opened.disk.keep(key, tile)
    opened.disk.flush()
    assert np.array_equal(opened.disk.read(key), tile)
    assert opened.problems == []


def test_a_cache_that_another_window_cleared_is_filled_again(session: Callable[[], Session]) -> None:
    opened = session()
    keys = all_keys(opened.view, 1)
    opened.get(*keys)
    opened.disk.flush()
    CacheFolder(opened.disk.folder.path.parent).clear()
    assert not opened.disk.has(keys[0])
    opened.disk.keep(keys[0], opened.view.compute_tile(*keys[0].place))
    opened.disk.flush()
    assert opened.disk.has(keys[0])
    assert opened.problems == []


def test_what_is_kept_is_its_owners_alone_at_any_umask(session: Callable[[], Session]) -> None:
    opened = session()
    before = os.umask(0)
    try:
        opened.get(*all_keys(opened.view, 0, 1))
        opened.disk.flush()
    finally:
        os.umask(before)
    own = opened.disk.folder.path
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (own, *own.rglob("*"))}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_what_does_not_fit_beside_the_open_slides_is_not_kept(session: Callable[[], Session]) -> None:
    opened = session()
    keys = all_keys(opened.view, 1)
    tiles = [tile.copy() for tile in opened.get(*keys)]
    opened.disk.flush()
    opened.disk._max_bytes = opened.disk.size_bytes() + 100
    opened.disk.keep(opened.view.key(0, 0, 0), np.zeros((512, 512, 3), np.uint8))
    opened.disk.flush()
    assert not opened.disk.has(opened.view.key(0, 0, 0))
    assert np.array_equal(opened.disk.read(keys[0]), tiles[0])
    assert opened.problems == []


def test_the_slide_used_longest_ago_leaves_when_the_bound_is_reached(
    session: Callable[[], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = session()
    key = opened.view.key(1, 0, 0)
    (tile,) = opened.get(key)
    opened.disk.flush()
    folder = opened.disk.folder
    (own,) = folder.stores()
    old, older = (Path(shutil.copytree(own, folder.store_path(digit * 32))) for digit in "12")
    os.utime(old, (2e9, 2e9))
    os.utime(older, (1e9, 1e9))
    opened.disk.attach(opened.view)
    monkeypatch.setattr(disk_cache, "_TRIMMED_TO", 1.0)
    opened.disk._max_bytes = round(folder.size_bytes() * 2.5 / 3) + tile.nbytes
    opened.disk.keep(opened.view.key(1, 0, 1), tile)
    opened.disk.flush()
    assert set(folder.stores()) == {own, old}
    assert opened.disk.has(opened.view.key(1, 0, 1))


def test_a_detached_slide_is_neither_read_nor_written(session: Callable[[], Session]) -> None:
    opened = session()
    key = opened.view.key(1, 0, 0)
    (tile,) = opened.get(key)
    opened.disk.flush()
    opened.disk.detach(opened.view)
    assert not opened.disk.has(key)
    assert opened.disk.read(key) is None
    opened.disk.keep(opened.view.key(1, 1, 1), tile)
    opened.disk.flush()
    opened.disk.attach(opened.view)
    assert opened.disk.has(key)
    assert not opened.disk.has(opened.view.key(1, 1, 1))


# --- failures ---------------------------------------------------------------------------------------------------


def test_a_dead_process_is_tried_again(session: Callable[[], Session]) -> None:
    opened = session()
    opened.process.deaths_to_come = 2
    opened.get(opened.view.key(0, 0, 0))
    assert len(opened.process.windows) == 3


@pytest.mark.parametrize(
    "error", [SlideUnreadableError("case.svs went away.", "Bring it back."), ZeroDivisionError("a bug")], ids=repr
)
@pytest.mark.parametrize("level", [0, 2])
def test_an_unreadable_slide_fails_its_tiles_and_holds_no_source(
    session: Callable[[], Session], monkeypatch: pytest.MonkeyPatch, error: Exception, level: int
) -> None:
    opened = session()

    def gone(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Slide, "read_grid", gone)
        keys = all_keys(opened.view, level)
        opened.scheduler.want("view", keys)
        with opened.arrived:
            assert opened.arrived.wait_for(lambda: len(opened.failed) == len(keys), PATIENCE_S)
    assert set(opened.failed.values()) == {error}
    opened.failed.clear()
    opened.scheduler.retry_failed()
    opened.get(*keys)


def test_a_broken_result_fails_its_tiles(session: Callable[[], Session], monkeypatch: pytest.MonkeyPatch) -> None:
    opened = session()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(SuperResolvedSlide, "cut", broken)
    key = opened.view.key(0, 0, 0)
    opened.scheduler.want("view", [key])
    with opened.arrived:
        assert opened.arrived.wait_for(lambda: key in opened.failed, PATIENCE_S)


def test_tiles_of_a_removed_layer_fail_and_are_not_computed(session: Callable[[], Session]) -> None:
    opened = session()
    done: list[tuple[dict[TileKey, Any], Exception | None]] = []
    with ThreadPoolExecutor(1) as pool:
        for source in (NetworkSource(lambda _: None, pool), SlideSource(lambda _: None, pool)):
            source.start((opened.view.key(0, 0, 0),), lambda tiles, error: done.append((dict(tiles), error)))
    assert done == [({}, None)] * 2
    assert opened.process.windows == []


# --- which tiles go together ------------------------------------------------------------------------------------


def test_the_first_tile_comes_with_its_sibling_where_20x_is_wanted(session: Callable[[], Session]) -> None:
    opened = session()
    source = NetworkSource(lambda _: opened.view, opened.pool)
    mr, hr = opened.view.key(1, 0, 0), opened.view.key(0, 0, 0)
    assert source.batch(mr, [mr]) == (mr,)
    assert set(source.batch(mr, [mr, hr])) == {mr, hr}
    assert set(source.batch(hr, [hr])) == {mr, hr}
    assert sibling(mr, 0) == hr


def test_a_window_never_outgrows_its_slot(session: Callable[[], Session]) -> None:
    opened = session()
    wanted = all_keys(opened.view, 0)
    for device, blocks in (("", 2), ("cpu", 2), ("cuda:0", 3)):
        opened.process.status = type(opened.process.status)(device=device)
        source = NetworkSource(lambda _: opened.view, opened.pool)
        assert len(source.batch(wanted[4], wanted)) == 2 * blocks**2


def test_only_a_graphics_card_is_given_a_window_ahead(session: Callable[[], Session]) -> None:
    opened = session()
    wanted = all_keys(opened.view, 0)
    source = NetworkSource(lambda _: opened.view, opened.pool)
    assert source.capacity == 1
    for device, capacity in (("cuda:0", 2), ("cpu", 1)):
        opened.process.status = type(opened.process.status)(device=device)
        source.batch(wanted[4], wanted)
        assert source.capacity == capacity


BLOCKS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30)


@given(BLOCKS, st.integers(1, 4), st.data())
def test_grow_rectangle_finds_the_largest(blocks: set[tuple[int, int]], side: int, data: Any) -> None:
    first = data.draw(st.sampled_from(sorted(blocks)))
    cores = {block: block_window(*block, 1, 1, 0) for block in blocks}
    chosen = grow_rectangle(first, cores, side * CORE)
    rows, cols = zip(*chosen, strict=True)
    n_rows, n_cols = len(set(rows)), len(set(cols))

    def fits(top: int, left: int, n_rows: int, n_cols: int) -> bool:
        inside = {(row, col) for row in range(top, top + n_rows) for col in range(left, left + n_cols)}
        return first in inside and inside <= blocks

    assert fits(min(rows), min(cols), n_rows, n_cols)
    assert len(chosen) == n_rows * n_cols
    assert max(n_rows, n_cols) <= side
    larger = [
        (rows, cols) for rows in range(1, side + 1) for cols in range(1, side + 1) if rows * cols > n_rows * n_cols
    ]
    assert not any(fits(row, col, *size) for row, col in blocks for size in larger)


@given(st.integers(0, 900), st.integers(0, 900), st.integers(1, 600), st.integers(1, 600), st.data())
def test_parts_of_one_view_go_together_without_a_gap(row: int, col: int, height: int, width: int, data: Any) -> None:
    grid = PyramidGrid.over_slide((2000, 2000))
    rows, cols = (slice(4 * start, 4 * (start + size)) for start, size in ((row, height), (col, width)))
    tiles = grid.tiles_in(0, rows, cols)
    keys = {tile: TileKey("", "", 0, *tile, part_in_sight(grid, 0, *tile, rows, cols)) for tile in tiles}
    cores = {tile: key.core for tile, key in keys.items()}
    first = data.draw(st.sampled_from(tiles))
    chosen = grow_rectangle(first, cores, 2 * CORE)
    assert first in chosen
    seen = np.zeros((2200, 2200), int)
    for tile in chosen:
        top, left, high, wide = cores[tile]
        seen[top : top + high, left : left + wide] += 1
    inside = np.argwhere(seen)
    (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0) + 1
    assert (seen[top:bottom, left:right] == 1).all()
    assert max(bottom - top, right - left) <= 2 * CORE


def test_a_part_is_computed_alone_and_gives_the_tiles_pixels(session: Callable[[], Session]) -> None:
    opened = session()
    part = TilePart(1, 0, 4, 2)
    keys = [opened.view.key(level, 1, 1)._replace(part=part) for level in (0, 1)]
    tiles = opened.get(*keys)
    assert opened.process.windows == [((96 + 64, 64 + 64), 2)]
    for key, tile in zip(keys, tiles, strict=True):
        whole = opened.view.compute_tile(*key.place)
        assert differing(tile, whole[part.pixels(key.level)]) <= 1e-3
    opened.disk.flush()
    assert not opened.disk.has(opened.view.key(0, 1, 1))  # only whole tiles are kept


def test_a_part_at_the_slides_edge_is_cropped_to_the_slide(session: Callable[[], Session]) -> None:
    opened = session()
    last = opened.view.key(0, 2, 2)  # the slide's last block has 11 rows
    key = last._replace(part=TilePart(0, 1, 1, 4))
    (tile,) = opened.get(key)
    assert tile.shape == (opened.view.grid.tile_shape(0, 2, 2)[0], 3 * 128, 3)
    assert differing(tile, opened.view.compute_tile(0, 2, 2)[:, 128:]) <= 1e-3


def test_a_tile_on_disk_gives_its_parts(session: Callable[[], Session]) -> None:
    first = session()
    whole = first.view.key(0, 1, 1)
    (tile,) = (found.copy() for found in first.get(whole))
    first.close()
    second = session()
    key = whole._replace(part=TilePart(0, 2, 3, 4))
    (part,) = second.get(key)
    assert np.array_equal(part, tile[: 3 * 128, 2 * 128 :])
    assert np.array_equal(np.asarray(second.cache.peek(whole)), tile)
    assert second.process.windows == []
