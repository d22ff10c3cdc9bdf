"""The pairs file: right pixels, whole at every moment, the same bytes however often it was interrupted."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_pathsrgan.errors import OutputError, StoreMismatchError
from napari_pathsrgan.registration import cutting, pairs
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.correlation import absorption, match
from napari_pathsrgan.registration.fine import PATCH_FIELDS, Registration
from napari_pathsrgan.registration.pairs import PairsFile, Planned, append
from napari_pathsrgan.registration.splitting import split_by_place, split_of
from napari_pathsrgan.slides.slide import Slide

COUNT = 37  # more than one file of the store, and not a whole number of them


def planned(seed: int, count: int = COUNT) -> Planned:
    table = np.zeros(count, PATCH_FIELDS)
    table["row_um"] = np.arange(count)
    table["hr_row_px"] = seed
    return Planned(table, np.array(["" if row % 3 else "atypical" for row in range(count)]), {"tried": count})


def invent(patch: np.void) -> pairs.Triplet:
    rng = np.random.default_rng([int(patch["hr_row_px"]), int(patch["row_um"])])
    lr, mr, hr = (np.tile(rng.integers(0, 255, (1, 1, 3), np.uint8), (side, side, 1)) for side in (128, 256, 512))
    return lr, mr, hr


def add(path: Path, seed: int, cut: Any = invent, split: str = "train") -> int:
    made = {"fingerprints": {"4x": f"slide {seed}"}, "config": {}}
    return append(path, f"slide-{seed}", made, split, lambda: planned(seed), cut)


def digest(folder: Path) -> str:
    """One hash over all names and bytes of a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()


class Killed(BaseException):
    """What no except clause of the program catches."""


def dies_at(row: int, error: BaseException) -> Any:
    def cut(patch: np.void) -> pairs.Triplet:
        if int(patch["row_um"]) == row:
            raise error
        return invent(patch)

    return cut


def test_two_slides_are_read_back(tmp_path: Path) -> None:
    add(tmp_path / "a.pairs", 1)
    add(tmp_path / "a.pairs", 2, split="test")
    file = PairsFile(tmp_path / "a.pairs")
    assert len(file) == 2 * COUNT
    for row in (0, 31, 32, 36, 37, 73):
        expected = invent(planned(1 + row // COUNT).table[row % COUNT])
        for got, wanted in zip(file[row], expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
    table = file.table
    assert list(table["slide"][[0, 36, 37]]) == ["slide-1", "slide-1", "slide-2"]
    assert list(table["label"][[0, 1, 37]]) == ["atypical", "", "atypical"]
    np.testing.assert_array_equal(file.rows("train"), np.arange(COUNT))
    np.testing.assert_array_equal(file.rows("test"), np.arange(COUNT, 2 * COUNT))
    assert file.read(30, 4)[2].shape == (4, 512, 512, 3)
    with pytest.raises(IndexError):
        file[2 * COUNT]


@pytest.mark.parametrize("rows", [[0], [5, 20], [31], [32], [36, 36]])
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path, rows: list[int]) -> None:
    for seed in (1, 2):
        add(tmp_path / "unbroken", seed)
        for row in rows:
            with pytest.raises(Killed):
                add(tmp_path / "broken", seed, dies_at(row, Killed()))
            assert len(PairsFile(tmp_path / "broken")) <= COUNT * seed
        add(tmp_path / "broken", seed)
    assert digest(tmp_path / "broken") == digest(tmp_path / "unbroken")


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("call", [1, 2, 4, 11])
def test_a_kill_while_room_is_made_leaves_no_trace(
    tmp_path: Path, before: int, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(before):
        add(tmp_path / "broken", seed)
        add(tmp_path / "unbroken", seed)
    calls = iter(range(1, 100))
    original = zarr.Array.resize

    def resize(self: Any, shape: Any) -> None:
        if next(calls) == call:
            raise Killed
        original(self, shape)

    with monkeypatch.context() as patch:
        patch.setattr(zarr.Array, "resize", resize)
        with pytest.raises(Killed):
            add(tmp_path / "broken", 5)
    assert len(PairsFile(tmp_path / "broken")) == before * COUNT
    add(tmp_path / "broken", 5)
    add(tmp_path / "unbroken", 5)
    assert digest(tmp_path / "broken") == digest(tmp_path / "unbroken")


def test_a_finished_slide_is_not_done_again(tmp_path: Path) -> None:
    add(tmp_path / "a", 1)
    before = digest(tmp_path / "a")
    assert add(tmp_path / "a", 1, dies_at(0, AssertionError())) == COUNT
    assert digest(tmp_path / "a") == before


def test_a_full_disk_keeps_the_good_rows(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"ran out of space; the rows.* kept"):
        add(tmp_path / "a", 1, dies_at(33, OSError(errno.ENOSPC, "No space left on device")))
    file = PairsFile(tmp_path / "a")
    assert len(file) == pairs.SHARD_ROWS
    np.testing.assert_array_equal(file[31][0], invent(planned(1).table[31])[0])
    assert add(tmp_path / "a", 1) == COUNT


def test_other_settings_and_other_files_are_refused(tmp_path: Path) -> None:
    add(tmp_path / "a", 1)
    made = {"fingerprints": {"4x": "slide 1"}, "config": {"seed": 5}}
    with pytest.raises(StoreMismatchError, match="holds slide-1 already"):
        append(tmp_path / "a", "slide-1", made, "train", lambda: planned(1), invent)
    with pytest.raises(Killed):
        add(tmp_path / "a", 2, dies_at(3, Killed()))
    with pytest.raises(StoreMismatchError, match="waits for the rest of slide-2"):
        add(tmp_path / "a", 3)
    about = json.loads((tmp_path / "a" / "zarr.json").read_text())
    about["attributes"]["version"] = 9
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(about))
    for use in (PairsFile, lambda path: add(path, 2)):
        with pytest.raises(StoreMismatchError, match="version 9"):
            use(tmp_path / "a")
    zarr.create_group(tmp_path / "other")
    (tmp_path / "text").write_text("no pairs")
    for name in ("other", "missing", "text"):
        with pytest.raises(StoreMismatchError, match="no pairs file"):
            PairsFile(tmp_path / name)
    with pytest.raises(StoreMismatchError, match="no pairs file"):
        add(tmp_path / "other", 1)


def test_two_writers_are_kept_apart(tmp_path: Path) -> None:
    def second(patch: np.void) -> pairs.Triplet:
        with pytest.raises(OutputError, match="Another process"):
            add(tmp_path / "a", 2)
        return invent(patch)

    assert add(tmp_path / "a", 1, second) == COUNT
    (tmp_path / ".a.lock").write_text("999999999 0.0")  # of a process that is gone
    assert add(tmp_path / "a", 2) == COUNT


def test_several_processes_read_while_one_appends(tmp_path: Path) -> None:
    add(tmp_path / "a", 1)
    file = PairsFile(tmp_path / "a")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        reading = pool.map_async(methodcaller("read", 20, 17), [file] * 4)
        add(tmp_path / "a", 2)
        for read in reading.get(60):
            for got, wanted in zip(read, file.read(20, 17), strict=True):
                np.testing.assert_array_equal(got, wanted)


def test_pairs_lie_on_each_other(slides: list[Slide], registration: Registration, tmp_path: Path) -> None:
    """The cut images themselves are matched again: what a network will see."""
    low, mid, high = slides
    for patch in registration.patches[:5]:
        lr, mr, hr = cutting.cut_patch(low, mid, high, patch)
        assert [image.shape for image in (lr, mr, hr)] == [(128, 128, 3), (256, 256, 3), (512, 512, 3)]
        np.testing.assert_array_equal(
            hr, high.read_level(0, int(patch["hr_row_px"]), int(patch["hr_col_px"]), 512, 512)
        )
        for finer, ratio in ((mr, 2), (hr, 4)):
            shrunk = absorption(finer.reshape(128, ratio, 128, ratio, 3).mean(axis=(1, 3)).astype(np.uint8))
            peak = match(shrunk[8:-8, 8:-8], absorption(lr))
            assert abs(peak.row - 8) < 0.2
            assert abs(peak.col - 8) < 0.2
            assert peak.correlation > 0.9


def test_slides_go_into_a_file(slides: list[Slide], tmp_path: Path) -> None:
    config = RegistrationConfig(max_patches=3)
    count = cutting.register_into(tmp_path / "p", *slides, config, split="test")
    file = PairsFile(tmp_path / "p")
    assert 0 < len(file) == count <= 3
    assert set(file.table["split"]) == {"test"}
    assert (file.table["correlation"] >= config.least_correlation).all()
    made = file.slides[0]["made"]
    assert made["fingerprints"]["20x"] == slides[2].fingerprint
    assert made["readers"]["4x"].startswith("openslide")
    assert RegistrationConfig(**made["config"]) == config


def test_a_fingerprint_decides_the_split() -> None:
    splits = [split_of(str(number)) for number in range(600)]
    assert 70 <= splits.count("test") <= 130


def test_one_end_of_a_slide_split_by_place_is_for_testing(tmp_path: Path) -> None:
    def far_apart() -> Planned:
        plan = planned(0)
        plan.table["row_um"], plan.table["col_um"] = 75.0 * (np.arange(COUNT) % 5), 150.0 * np.arange(COUNT)
        return plan

    append(tmp_path / "p", "alone", {"slide": 0}, "place", far_apart, invent)
    add(tmp_path / "p", 1)
    file = PairsFile(tmp_path / "p")
    train, test = file.rows("train"), file.rows("test")
    assert test.tolist() == [*range(31, COUNT)]
    assert train.tolist() == [*range(30), *range(COUNT, 2 * COUNT)]
    assert file.table["split"][30] == ""  # it overlaps the part for testing
    assert (file.table["split"][test] == "test").all()


def test_a_split_by_place_needs_two_patches_and_overlaps_nowhere() -> None:
    assert split_by_place(np.empty((0, 2))).tolist() == []
    assert split_by_place(np.zeros((1, 2))).tolist() == ["train"]
    corners = np.random.default_rng(0).uniform(0, 3000, (300, 2)) * [1, 2]
    splits = split_by_place(corners)
    assert 45 <= (splits == "test").sum() <= 55
    assert corners[splits == "test", 1].min() >= corners[splits == "train", 1].max() + 512 * 0.293 - 1e-6
