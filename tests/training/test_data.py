"""Training patches: right places, fair draws, and the same ones whoever draws them."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_pathsrgan.errors import CardMismatchError, OptionError, WorkerError
from napari_pathsrgan.registration.fine import PATCH_FIELDS
from napari_pathsrgan.registration.pairs import PairsFile, Planned, append
from napari_pathsrgan.training.data import Batches, PairsRounds, Sampling, crop, jitter, loss_of_loaders_told, to_device


def numbered() -> tuple[np.ndarray, ...]:
    """A triplet whose pixels say where they are: red the input row, green the input column, blue 7."""
    lr = np.zeros((128, 128, 3), np.uint8)
    lr[..., 0], lr[..., 1], lr[..., 2] = np.arange(128)[:, None], np.arange(128)[None, :], 7
    return lr, lr.repeat(2, 0).repeat(2, 1), lr.repeat(4, 0).repeat(4, 1)


def numbered_file(path: Path, foreground: list[float], made: dict[str, Any] | None = None) -> Path:
    """A file whose rows' blue is their number."""
    table = np.zeros(len(foreground), PATCH_FIELDS)
    table["foreground"], table["hr_row_px"] = foreground, np.arange(len(foreground))

    def cut(patch: np.void) -> tuple[np.ndarray, ...]:
        triplet = numbered()
        for image in triplet:
            image[..., 2] = int(patch["hr_row_px"])
        return triplet

    planned = Planned(table, np.full(len(table), ""), {})
    append(path, "numbers", {"fingerprints": {}, **(made or {})}, "train", lambda: planned, cut)  # type: ignore[arg-type]
    return path


HOW = Sampling(patch_lr_px=32, batch_size=4, seed=(0,))


def test_a_crops_members_lie_on_each_other() -> None:
    for seed in range(20):
        lr, mr, hr = crop(numbered(), 24, np.random.default_rng(seed))
        assert lr.shape == (24, 24, 3)
        np.testing.assert_array_equal(mr, lr.repeat(2, 0).repeat(2, 1))
        np.testing.assert_array_equal(hr, lr.repeat(4, 0).repeat(4, 1))


def test_crops_are_turned_and_mirrored_in_eight_ways() -> None:
    crops = [crop(numbered(), 16, np.random.default_rng(seed))[0] for seed in range(120)]
    ways = {
        (*(one[1, 0, :2].astype(int) - one[0, 0, :2]), *(one[0, 1, :2].astype(int) - one[0, 0, :2])) for one in crops
    }
    assert len(ways) == 8


def test_structure_is_preferred_to_background_but_background_is_seen() -> None:
    lr, mr, hr = (np.full((side, side, 3), 240, np.uint8) for side in (128, 256, 512))
    lr[:40, :40] = np.random.default_rng(0).integers(0, 255, (40, 40, 3))
    shares = [float(crop((lr, mr, hr), 16, np.random.default_rng(seed))[0].std() > 5) for seed in range(300)]
    one_place = (40 / 113) ** 2  # the share of places that touch the structure
    assert 1.5 * one_place < np.mean(shares) < 0.9


def test_jitter_keeps_background_and_changes_what_it_should() -> None:
    triplet = tuple(image // 2 + 60 for image in numbered())
    rng = np.random.default_rng
    same = jitter(triplet, HOW, rng(0))
    assert all(np.array_equal(one, other) for one, other in zip(same, triplet, strict=True))
    stained = jitter(triplet, dataclasses.replace(HOW, stain_jitter=0.2), rng(0))
    np.testing.assert_array_equal(stained[1][::2, ::2], stained[0])  # alike in input and target
    assert not np.array_equal(stained[0], triplet[0])
    scanned = jitter(triplet, dataclasses.replace(HOW, scanner_jitter=0.2), rng(0))
    assert not np.array_equal(scanned[0], triplet[0])
    assert np.array_equal(scanned[2], triplet[2])
    white = tuple(np.full_like(image, 255) for image in triplet)
    for image in jitter(white, dataclasses.replace(HOW, stain_jitter=0.3), rng(1)):
        assert image.min() == 255


def test_a_round_is_a_function_of_its_number(tmp_path: Path) -> None:
    path = numbered_file(tmp_path / "p", [0.5] * 20)
    one, other = PairsRounds([path], HOW), PairsRounds([path], HOW)
    for first, second in zip(one[3], other[3], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(one[3][0], one[4][0])
    lr, mr, hr = one[0]
    assert lr.shape == (8, 4, 32, 32, 3)
    assert mr.shape == (8, 4, 64, 64, 3)
    assert hr.shape == (8, 4, 128, 128, 3)


def test_a_patch_once_read_serves_several_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = PairsRounds([numbered_file(tmp_path / "p", [0.5] * 250)], HOW)
    reads: list[int] = []
    read = PairsFile.__getitem__
    monkeypatch.setattr(PairsFile, "__getitem__", lambda file, row: (reads.append(row), read(file, row))[1])
    lr = rounds[0][0]
    assert len(reads) == 8 * 4 // 4
    in_one_batch = [len(set(step[:, 0, 0, 2].tolist())) for step in lr]
    assert np.mean(in_one_batch) > 3  # of four


def test_two_devices_share_what_one_would_draw(tmp_path: Path) -> None:
    path = numbered_file(tmp_path / "p", [0.5] * 20)
    alone = PairsRounds([path], HOW)[5]
    halves = [PairsRounds([path], dataclasses.replace(HOW, rank=rank, world=2))[5] for rank in (0, 1)]
    for whole, first, second in zip(alone, *halves, strict=True):
        assert torch.equal(whole, torch.cat([first, second], dim=1))


def test_patches_full_of_cells_are_drawn_more_often(tmp_path: Path) -> None:
    path = numbered_file(tmp_path / "p", [0.0] * 10 + [1.0] * 10)
    rounds = PairsRounds([path], HOW)
    blues = np.concatenate([rounds[number][0][..., 0, 0, 2].numpy().ravel() for number in range(40)])
    assert (blues >= 10).mean() == pytest.approx(1.3 / 1.6, abs=0.06)
    assert len(set(blues.tolist())) == 20


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_begin_in_the_middle_of_a_round(tmp_path: Path, num_workers: int) -> None:
    path = numbered_file(tmp_path / "p", [0.5] * 20)
    rounds = PairsRounds([path], HOW)
    whole = [batch[0] for batch in itertools.islice(iter(Batches(rounds, HOW, 0, 0)), 20)]
    batches = Batches(rounds, HOW, 11, num_workers)
    later = [batch[0] for batch in itertools.islice(iter(batches), 9)]
    assert all(torch.equal(one, other) for one, other in zip(whole[11:], later, strict=True))
    assert batches.waited_s > 0


def test_batches_leave_the_trainings_own_chance_alone(tmp_path: Path) -> None:
    rounds = PairsRounds([numbered_file(tmp_path / "p", [0.5] * 20)], HOW)
    torch.manual_seed(3)
    next(iter(Batches(rounds, HOW, 0, 0)))
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(1))


def test_a_killed_loader_is_told_in_a_sentence(tmp_path: Path) -> None:
    batches = iter(Batches(PairsRounds([numbered_file(tmp_path / "p", [0.5] * 20)], HOW), HOW, 0, num_workers=1))
    next(batches)
    (loader,) = (child for child in multiprocessing.active_children() if child.name.startswith("SpawnProcess"))
    loader.terminate()  # as a batch system does to all processes of a training, which wants to write its checkpoint
    for _ in range(40):
        next(batches)
    loader.kill()

    def read_on() -> None:
        with loss_of_loaders_told():
            for _ in batches:
                time.sleep(0.01)

    with pytest.raises(WorkerError, match="ended from outside"):
        read_on()


def test_pixels_become_numbers_from_0_to_1() -> None:
    made = to_device(torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8), torch.device("cpu"))
    assert made.shape == (1, 3, 1, 1)
    assert made.flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_too_few_pairs_and_other_pixel_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="hold 3 pairs for training"):
        PairsRounds([numbered_file(tmp_path / "few", [0.5] * 3)], HOW)
    with pytest.raises(CardMismatchError, match=r"0\.25 µm wide"):
        PairsRounds([numbered_file(tmp_path / "fine", [0.5] * 20, {"mpp": {"20x": 0.25}})], HOW)
