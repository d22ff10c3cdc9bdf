"""A super-resolved slide as OME-Zarr."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pathsrgan.errors import (
    OptionError,
    OutputError,
    SlideChangedError,
    SlideUnreadableError,
    StoreMismatchError,
)
from napari_pathsrgan.inference.engine import Engine, load_model
from napari_pathsrgan.inference.execution import resume_execution
from napari_pathsrgan.inference.network_parts import Pictures
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide, super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.slides.foreground import SlideBackground
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.slides.slide import Slide
from napari_pathsrgan.tiles import covering
from napari_pathsrgan.tiles.blending import blend_axis_weights
from napari_pathsrgan.tiles.grid import CORE

from .networks import TINY, engine, tiny_engine, write_tiny_model
from .specimens import specimen, write_slide


@pytest.fixture
def super_resolved(tmp_path: Path) -> Iterator[SuperResolvedSlide]:
    with open_slide(write_slide(tmp_path / "slide.tiff", specimen(250, 330))) as slide:
        yield super_resolve(slide, tiny_engine())


def test_every_level_holds_the_exact_pixels(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    filled = write_whole_slide(
        super_resolved, tmp_path / "out.ome.zarr", progress=lambda done, total: seen.append((done, total))
    )
    store = PyramidStore.open(tmp_path / "out.ome.zarr")
    for level, dask_level in enumerate(super_resolved.levels):
        written = np.moveaxis(np.asarray(store.array(level)[:]), 0, -1)
        np.testing.assert_array_equal(written, dask_level.compute(), err_msg=f"level {level}")
    done, total = seen[-1]
    rows, cols = super_resolved.grid.level_shapes[0]
    assert done == total == rows * cols
    there = sum(len(list(store.tiles(level))) for level in range(super_resolved.grid.n_levels))
    assert filled.tiles == filled.written == there
    assert 0 < filled.background_tiles < filled.written
    assert [count for count, _ in seen] == sorted(count for count, _ in seen)


class Meeting:
    """A network in which windows wait for one another, as many as are to be computed at once."""

    def __init__(self, inner: Engine, at_once: int) -> None:
        self.card, self.product, self.halo, self.execution = inner.card, inner.product, inner.halo, inner.execution
        self.threads: set[int] = set()
        self._inner = inner
        self._at_once = at_once
        self._inside = 0
        self.most = 0
        self._met = threading.Barrier(at_once)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[int]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("napari_pathsrgan.inference.engine.MOST_AT_ONCE", self._at_once)
            with self._inner.at_once() as count:
                yield count

    def run(self, window: np.ndarray, stage: int, background: SlideBackground | None = None, halo: int = 0) -> Pictures:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
            self.threads.add(torch.get_num_threads())
        with contextlib.suppress(threading.BrokenBarrierError):  # the last one may have nobody to meet
            self._met.wait(timeout=5)
        try:
            return self._inner.run(window, stage, background, halo)
        finally:
            with self._lock:
                self._inside -= 1


@pytest.mark.parametrize(("at_once", "share"), [(1, 4), (2, 2), (4, 1)])
def test_windows_are_computed_at_once_by_a_share_of_the_threads_each(
    tmp_path: Path, at_once: int, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(covering, "LEAST_SIDE_PX", CORE)
    monkeypatch.setattr(covering, "MOST_REDUNDANCY", 4)  # a block a job, whatever the halo
    torch.set_num_threads(4)
    try:
        with open_slide(write_slide(tmp_path / "slide.tiff", specimen(250, 330))) as slide:
            meeting = Meeting(tiny_engine(), at_once)
            write_whole_slide(super_resolve(slide, meeting), tmp_path / "one.ome.zarr")
        assert meeting.most == at_once
        assert meeting.threads == {share}
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_a_light_network_computes_several_windows_at_once_on_a_cpu_and_a_large_one_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = engine("paper", width=8)
    for threads, expected, share in ((1, 1, 1), (3, 3, 1), (64, 4, 16)):
        told: list[int] = []
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        monkeypatch.setattr(torch, "set_num_threads", told.append)
        with tiny_engine().at_once() as several, large.at_once() as one:
            assert (several, one) == (expected, 1)
        assert told == [share, threads, threads, threads]


def test_a_region_is_written_alone_and_filled_further_later(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path = tmp_path / "out.ome.zarr"
    write_whole_slide(super_resolved, path, region=(0, 0, 100, 100))
    store = PyramidStore.open(path)
    assert list(store.tiles(0)) == [(0, 0)]
    first = (path / "0" / "c" / "0" / "0" / "0").stat().st_mtime_ns
    write_whole_slide(super_resolved, path)
    assert len(list(PyramidStore.open(path).tiles(0))) == 3 * 4
    assert (path / "0" / "c" / "0" / "0" / "0").stat().st_mtime_ns == first, "a tile that was there was written again"


def test_refuses_a_store_of_another_model_and_a_foreign_folder(
    super_resolved: SuperResolvedSlide, tmp_path: Path
) -> None:
    path = tmp_path / "out.ome.zarr"
    write_whole_slide(super_resolved, path, region=(0, 0, 100, 100))
    other = super_resolve(super_resolved.slide, engine("lite", seed=1, width=8, blocks1=1, features=8, blocks2=1))
    with pytest.raises(StoreMismatchError, match="another model"):
        write_whole_slide(other, path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(OutputError):
        write_whole_slide(super_resolved, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_store_remembers_how_it_was_computed(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path, corner = tmp_path / "out.ome.zarr", (0, 0, 100, 100)
    write_whole_slide(super_resolved, path, region=corner)
    assert PyramidStore.open(path).identity.execution == "torch fp32"
    other = super_resolve(super_resolved.slide, engine("lite", precision="bf16", **TINY))
    with pytest.raises(StoreMismatchError, match="computed by torch fp32, not by torch bf16"):
        write_whole_slide(other, path)
    assert resume_execution(path, "auto", "auto") == ("torch", "fp32")
    assert resume_execution(path, "auto", "fp32") == ("torch", "fp32")
    assert resume_execution(tmp_path / "new.ome.zarr", "auto", "bf16") == ("auto", "bf16")
    with pytest.raises(StoreMismatchError, match=r"begun in fp32 by torch.*--precision fp32"):
        resume_execution(path, "auto", "bf16")


def test_what_was_kept_while_browsing_is_settled_by_the_first_export(
    super_resolved: SuperResolvedSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.ome.zarr"
    with monkeypatch.context() as browsing:
        browsing.setattr(super_resolved.runner, "execution", None)  # as of a model in another process
        write_whole_slide(super_resolved, path, region=(0, 0, 100, 100))
        assert resume_execution(path, "auto", "auto") == ("auto", "auto")
    write_whole_slide(super_resolved, path)
    assert resume_execution(path, "auto", "auto") == ("torch", "fp32")
    assert len(list(PyramidStore.open(path).tiles(0))) == 3 * 4
    with monkeypatch.context() as browsing:
        browsing.setattr(super_resolved.runner, "execution", None)
        assert write_whole_slide(super_resolved, path).written == 0


def test_refuses_a_region_outside_the_slide(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="outside the slide"):
        write_whole_slide(super_resolved, tmp_path / "out.ome.zarr", region=(10_000, 0, 100, 100))
    assert not (tmp_path / "out.ome.zarr").exists()


# Faults


def pixels(path: Path) -> list[np.ndarray]:
    """All levels of a store; a tile that is missing is an error."""
    store = PyramidStore.open(path)
    for level in range(len(store.level_shapes)):
        assert len(list(store.tiles(level))) == np.prod(store.grid_shape(level))
    return [np.asarray(store.array(level)[:]) for level in range(len(store.level_shapes))]


def assert_same(path: Path, other: Path) -> None:
    for one, another in zip(pixels(path), pixels(other), strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_ten_times_it_ends_with_the_pixels_of_an_unbroken_run(tmp_path: Path) -> None:
    slide = write_slide(tmp_path / "slide.tiff", specimen(500, 660))
    model = write_tiny_model(tmp_path / "tiny.safetensors")
    with open_slide(slide) as opened:
        write_whole_slide(super_resolve(opened, load_model(model, "cpu", "fp32")), tmp_path / "unbroken.ome.zarr")
    script = Path(__file__).with_name("killed_runs.py")
    ended = subprocess.run(
        [sys.executable, script, slide, model, tmp_path / "killed.ome.zarr", "10"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(ended.stdout) >= 3, "too few runs were still under way when they were killed"
    assert_same(tmp_path / "killed.ome.zarr", tmp_path / "unbroken.ome.zarr")


def test_a_full_disk_is_said_in_a_sentence_and_the_run_goes_on_once_there_is_room(
    super_resolved: SuperResolvedSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, left = Path.replace, 12

    def until_full(path: Path, target: Path) -> Path:
        nonlocal left
        left -= path.suffix == ".partial"
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", until_full)
    with pytest.raises(OutputError, match=r"no room left to write full.ome.zarr. Free some space and start again."):
        write_whole_slide(super_resolved, tmp_path / "full.ome.zarr")
    monkeypatch.undo()
    assert write_whole_slide(super_resolved, tmp_path / "full.ome.zarr").written > 0
    write_whole_slide(super_resolved, tmp_path / "unbroken.ome.zarr")
    assert_same(tmp_path / "full.ome.zarr", tmp_path / "unbroken.ome.zarr")


def test_a_damaged_tile_is_found_and_made_again(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path = tmp_path / "out.ome.zarr"
    write_whole_slide(super_resolved, path)
    before = pixels(path)
    for tile in ("0/c/0/1/0", "1/c/0/2/3", "2/c/0/0/0"):
        content = bytearray((path / tile).read_bytes())
        content[len(content) // 2] ^= 0xFF
        (path / tile).write_bytes(content)
    assert write_whole_slide(super_resolved, path).written == 3
    for one, other in zip(before, pixels(path), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_the_slide_does_not_give_is_listed_and_the_rest_is_there(
    super_resolved: SuperResolvedSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Slide.read_grid

    def damaged_at(slide: Slide, mpp: float, row: int, col: int, height: int, width: int) -> np.ndarray:
        at = 20 / mpp  # µm from either edge
        if row <= at < row + height and col <= at < col + width:
            raise slide._unreadable("in the corner")
        return read(slide, mpp, row, col, height, width)

    write_whole_slide(super_resolved, tmp_path / "whole.ome.zarr")
    monkeypatch.setattr(Slide, "read_grid", damaged_at)
    done = write_whole_slide(super_resolved, tmp_path / "part.ome.zarr")
    grid = super_resolved.grid
    levels = range(2, grid.n_levels)
    assert set(done.unreadable) == {grid.tile_um(0, 0, 0), *(grid.tile_um(level, 0, 0) for level in levels)}
    whole, part = (PyramidStore.open(tmp_path / f"{name}.ome.zarr") for name in ("whole", "part"))
    assert set(whole.tiles(0)) - set(part.tiles(0)) == {(0, 0)}
    for tile in part.tiles(0):
        apart = whole.read(0, *tile).astype(int) - part.read(0, *tile)
        assert np.mean(np.abs(apart) > 1) < 1e-3
    monkeypatch.undo()
    assert not write_whole_slide(super_resolved, tmp_path / "part.ome.zarr").unreadable


def test_a_slide_that_goes_away_ends_it(
    super_resolved: SuperResolvedSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(slide: Slide, *_: object) -> np.ndarray:
        slide.path.unlink(missing_ok=True)
        raise slide._unreadable("anywhere")

    monkeypatch.setattr(Slide, "read_grid", gone)
    with pytest.raises(SlideUnreadableError, match="went away"):
        write_whole_slide(super_resolved, tmp_path / "out.ome.zarr")


def test_two_runs_at_once_are_one_and_a_refusal(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path, region = tmp_path / "out.ome.zarr", (0, 0, 100, 100)

    def other_run(done: int, total: int) -> None:
        with pytest.raises(OutputError, match="being written by another process"):
            pool.submit(write_whole_slide, super_resolved, path, region).result()

    with ThreadPoolExecutor(1) as pool:
        assert write_whole_slide(super_resolved, path, region, progress=other_run).written > 0
    assert [file.name for file in tmp_path.iterdir() if file.suffix != ".tiff"] == ["out.ome.zarr"]


def test_a_tile_that_vanishes_while_others_are_made_is_an_error(
    super_resolved: SuperResolvedSlide, tmp_path: Path
) -> None:
    path = tmp_path / "out.ome.zarr"

    def lose_one(done: int, total: int) -> None:
        if done == total:
            (path / "1" / "c" / "0" / "1" / "1").unlink(missing_ok=True)

    with pytest.raises(OutputError, match=r"out.ome.zarr was moved away"):
        write_whole_slide(super_resolved, path, progress=lose_one)
    assert write_whole_slide(super_resolved, path).written == 1


def test_an_output_that_is_moved_away_while_it_fills_is_an_error(
    super_resolved: SuperResolvedSlide, tmp_path: Path
) -> None:
    path = tmp_path / "out.ome.zarr"

    def move(done: int, total: int) -> None:
        if path.exists():
            path.rename(tmp_path / "moved.ome.zarr")

    with pytest.raises(OutputError, match="moved away"):
        write_whole_slide(super_resolved, path, progress=move)
    assert not path.exists()
    (tmp_path / "moved.ome.zarr").rename(path)
    write_whole_slide(super_resolved, path)
    write_whole_slide(super_resolved, tmp_path / "unbroken.ome.zarr")
    assert_same(path, tmp_path / "unbroken.ome.zarr")


def test_a_slide_that_is_replaced_ends_it(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    write_slide(tmp_path / "other.tiff", specimen(250, 330)).replace(super_resolved.slide.path)
    with pytest.raises(SlideChangedError, match="changed or replaced"):
        write_whole_slide(super_resolved, tmp_path / "out.ome.zarr")
    with pytest.raises(SlideChangedError, match="changed or replaced"):
        write_whole_slide(super_resolved, tmp_path / "blended.ome.zarr", blend=True)


def test_leftovers_of_killed_writes_are_removed(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path = tmp_path / "out.ome.zarr"
    write_whole_slide(super_resolved, path, region=(0, 0, 100, 100))
    before = {file for file in path.rglob("*") if file.is_file()}
    for left in ("0/c/0/0/0.ab.partial", "0/c/0/0/.0.cd.partial", ".zarr.json.ef.partial"):
        (path / left).write_bytes(b"half a tile")
    write_whole_slide(super_resolved, path, region=(0, 0, 100, 100))
    assert {file for file in path.rglob("*") if file.is_file()} == before


# Regions and blending


def test_annotations_of_qupath_are_a_region(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    # A thin vertical strip in pixels (x, y) of the slide: block column 1 of 128 input pixels, all block rows.
    ring = [[150, 5], [153, 5], [153, 245], [150, 245], [150, 5]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    (tmp_path / "areas.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    write_whole_slide(super_resolved, tmp_path / "out.ome.zarr", tmp_path / "areas.geojson")
    store = PyramidStore.open(tmp_path / "out.ome.zarr")
    for level in (0, 1):
        assert list(store.tiles(level)) == [(0, 1), (1, 1), (2, 1)]
    assert list(store.tiles(2)) == [(0, 0), (1, 0)]


def test_blended_tiles_are_the_weighted_sum_of_overlapping_windows(tmp_path: Path) -> None:
    """Against the definition, on a slide of 2 × 2 windows, in one accumulator over the whole slide."""
    with open_slide(write_slide(tmp_path / "slide.tiff", specimen(500, 460))) as slide:
        view = super_resolve(slide, tiny_engine())
        done = write_whole_slide(view, tmp_path / "out.ome.zarr", blend=True)
        rows, cols = view.grid.n_tiles(0)
        total = np.zeros((rows * 512, cols * 512, 3))
        for row, col in np.ndindex(2, 2):
            n_rows, n_cols = min(4, rows - 4 * row), min(4, cols - 4 * col)
            top, left = 512 * row - 32, 512 * col - 32
            _, hr, _ = view.runner.run(
                slide.read_grid(1.172, top, left, 128 * n_rows + 64, 128 * n_cols + 64), 2, view.background
            )
            ys, xs = (
                blend_axis_weights(size, 256, first=at == 0, last=at == 1)
                for size, at in zip(hr.shape, (row, col), strict=False)
            )
            weighted = hr * ys[:, None, None] * xs[None, :, None]
            inside = weighted[128 * (row == 0) : hr.shape[0] - 128 * (row == 1), 128 * (col == 0) :]
            inside = inside[:, : inside.shape[1] - 128 * (col == 1)]
            at = max(4 * top, 0), max(4 * left, 0)
            total[at[0] : at[0] + inside.shape[0], at[1] : at[1] + inside.shape[1]] += inside
        store = PyramidStore.open(tmp_path / "out.ome.zarr")
        written = np.moveaxis(np.asarray(store.array(0)[:]), 0, -1)
        wanted = total[: written.shape[0], : written.shape[1]]
        assert np.abs(written - wanted).max() <= 0.51
        assert done.written == done.tiles
        assert write_whole_slide(view, tmp_path / "out.ome.zarr", blend=True).written == 0
        with pytest.raises(StoreMismatchError, match="another model"):
            write_whole_slide(view, tmp_path / "out.ome.zarr")


def test_a_missing_blended_tile_is_made_again_with_the_same_pixels(
    super_resolved: SuperResolvedSlide, tmp_path: Path
) -> None:
    path = tmp_path / "out.ome.zarr"
    write_whole_slide(super_resolved, path, blend=True)
    before = pixels(path)
    (path / "0" / "c" / "0" / "1" / "2").unlink()
    assert write_whole_slide(super_resolved, path, blend=True).written == 2, "the tile, and the coarse one over it"
    for one, other in zip(before, pixels(path), strict=True):
        np.testing.assert_array_equal(one, other)
