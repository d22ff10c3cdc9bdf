"""The training loop: what is frozen stays, what is broken off goes on as if it had not been."""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from napari_pathsrgan.errors import CardMismatchError, CheckpointError, OutputError
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import load_generator, save_generator
from napari_pathsrgan.models.presets import build_generator
from napari_pathsrgan.phantom.settings import ColourResponse
from napari_pathsrgan.training.config import FieldsConfig, TrainingConfig
from napari_pathsrgan.training.fields import Field, PatchSampler, Scan
from napari_pathsrgan.training.losses import charbonnier
from napari_pathsrgan.training.trainer import STATE_FILE, Trainer

TINY = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}


@pytest.fixture(scope="module")
def sampler() -> PatchSampler:
    hr = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (192, 192, 3), dtype=np.uint8), (0, 0), 2)
    mr, lr = (cv2.resize(hr, None, fx=1 / f, fy=1 / f, interpolation=cv2.INTER_AREA) for f in (2, 4))
    return PatchSampler([Field("f", (Scan(lr, ColourResponse((1.0, 1.0, 1.0), 1.0)),), mr, hr)], 16)


def a_config(**changes: Any) -> TrainingConfig:
    settings: dict[str, Any] = {"preset_options": TINY, "steps": (4, 4, 4), "batch": 2, "patch_lr_px": 16, **changes}
    return TrainingConfig(fields=FieldsConfig(folder=Path("fields")), **settings)


def steps(trainer: Trainer, count: int) -> list[float]:
    return [trainer._train_step() for _ in range(count)]


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


# --- loss -------------------------------------------------------------------------------------------------------


def test_charbonnier_by_hand() -> None:
    computed = torch.tensor([0.0, 0.5, 0.003]).reshape(1, 3, 1, 1)
    real = torch.tensor([0.0, 0.1, 0.0]).reshape(1, 3, 1, 1)
    wanted = (0.001 + math.sqrt(0.16 + 1e-6) + math.sqrt(9e-6 + 1e-6)) / 3
    assert charbonnier(computed, real).item() == pytest.approx(wanted, rel=1e-5)
    assert charbonnier(real, real).item() == pytest.approx(1e-3)
    assert charbonnier(computed, real, epsilon=0.3).item() == pytest.approx((0.3 + 0.5 + 0.300015) / 3, rel=1e-5)


def test_charbonnier_has_a_gradient_where_there_is_no_error() -> None:
    computed = torch.zeros(1, 3, 2, 2, requires_grad=True)
    charbonnier(computed, torch.zeros(1, 3, 2, 2)).backward()
    assert computed.grad is not None
    assert torch.equal(computed.grad, torch.zeros(1, 3, 2, 2))  # and no NaN, as of a square root at 0


# --- phases -----------------------------------------------------------------------------------------------------


def test_each_phase_trains_its_stage_and_leaves_the_other_bit_for_bit(tmp_path: Path, sampler: PatchSampler) -> None:
    trainer = Trainer(a_config(), tmp_path, sampler)
    network = trainer.network
    for changes1, changes2 in ((True, False), (False, True), (True, True)):
        before1, before2 = weights(network.stage1), weights(network.stage2)
        steps(trainer, 4)
        assert equal(before1, weights(network.stage1)) is not changes1
        assert equal(before2, weights(network.stage2)) is not changes2
    assert trainer.step == 12


def test_stage_1_gets_no_gradient_in_phase_2(tmp_path: Path, sampler: PatchSampler) -> None:
    trainer = Trainer(a_config(steps=(1, 4, 0)), tmp_path, sampler)
    steps(trainer, 1)
    for parameter in trainer.network.stage1.parameters():
        parameter.grad = None
    steps(trainer, 1)
    assert all(parameter.grad is None for parameter in trainer.network.stage1.parameters())
    assert all(parameter.grad is not None for parameter in trainer.network.stage2.parameters())
    assert {id(p) for group in trainer.optimiser.param_groups for p in group["params"]} == {
        id(p) for p in trainer.network.stage2.parameters()
    }


def test_the_rate_falls_along_a_half_cosine_anew_in_each_phase(tmp_path: Path, sampler: PatchSampler) -> None:
    trainer = Trainer(a_config(steps=(4, 2, 0), learning_rates=(1e-3, 5e-4, 1e-4)), tmp_path, sampler)
    rates = []
    for _ in range(6):
        steps(trainer, 1)
        rates.append(trainer.optimiser.param_groups[0]["lr"])
    fall = [0.02 + 0.49 * (1 + math.cos(math.pi * done)) for done in (0, 0.25, 0.5, 0.75)]
    assert rates == pytest.approx([1e-3 * part for part in fall] + [5e-4 * fall[0], 5e-4 * fall[2]])


def test_it_learns(tmp_path: Path, sampler: PatchSampler) -> None:
    trainer = Trainer(a_config(steps=(40, 40, 0), learning_rates=(3e-3, 3e-3, 0)), tmp_path, sampler)
    with torch.no_grad():  # far from bicubic
        for stage in (trainer.network.stage1, trainer.network.stage2):
            stage.picture.bias.fill_(0.1)
    first = steps(trainer, 40)
    second = steps(trainer, 40)
    for losses in (first, second):
        assert np.mean(losses[-10:]) < 0.5 * losses[0]


def test_the_average_follows_the_network(tmp_path: Path, sampler: PatchSampler) -> None:
    trainer = Trainer(a_config(ema=0.0), tmp_path, sampler)
    steps(trainer, 3)
    assert equal(weights(trainer.averaged()), weights(trainer.network))
    slow = Trainer(a_config(ema=0.999), tmp_path / "slow", sampler)
    begun = weights(slow.average)
    steps(slow, 3)
    assert not equal(weights(slow.average), begun)
    assert not equal(weights(slow.average), weights(slow.network))


# --- broken off and resumed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_after", [2, 4, 6, 9], ids=["phase 1", "its end", "phase 2", "phase 3"])
def test_a_resumed_run_equals_an_unbroken_one_to_the_bit(
    tmp_path: Path, sampler: PatchSampler, stop_after: int
) -> None:
    unbroken = Trainer(a_config(), tmp_path / "one", sampler)
    losses = steps(unbroken, 12)
    first = Trainer(a_config(), tmp_path / "two", sampler)
    begun = steps(first, stop_after)
    first.save()
    torch.manual_seed(99)
    second = Trainer(a_config(), tmp_path / "two", sampler)
    assert second.step == stop_after
    assert begun + steps(second, 12 - stop_after) == losses
    assert equal(weights(second.network), weights(unbroken.network))
    assert equal(weights(second.average), weights(unbroken.average))


def test_run_reports_saves_and_ends(tmp_path: Path, sampler: PatchSampler) -> None:
    rows: list[dict[str, float]] = []
    config = a_config(steps=(50, 50, 0), batch=1)
    assert Trainer(config, tmp_path, sampler).run(rows.append) is True
    assert [(row["step"], row["phase"]) for row in rows] == [(50, 1), (100, 2)]
    logged = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert logged == rows
    assert Trainer(config, tmp_path, sampler).step == 100
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_at_a_checkpoint(tmp_path: Path, sampler: PatchSampler, number: signal.Signals) -> None:
    config = a_config(steps=(100_000, 0, 0), batch=1)
    trainer = Trainer(config, tmp_path, sampler)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def soon() -> None:
        while trainer.step < 3:
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    killer = threading.Thread(target=soon)
    killer.start()
    assert trainer.run() is False
    killer.join()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    resumed = Trainer(config, tmp_path, sampler)
    assert resumed.step == trainer.step >= 3
    assert equal(weights(resumed.network), weights(trainer.network))


def test_a_save_that_is_killed_leaves_the_last_good_checkpoint(
    tmp_path: Path, sampler: PatchSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(a_config(), tmp_path, sampler)
    steps(trainer, 2)
    trainer.save()
    steps(trainer, 1)
    save: Callable[..., None] = torch.save

    def killed(state: object, path: Path) -> None:
        save(state, path)
        path.write_bytes(path.read_bytes()[:500])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            trainer.save()
    # And where not even Python could tidy up:
    (tmp_path / f".{STATE_FILE}.partial").write_bytes(b"half a checkpoint")
    resumed = Trainer(a_config(), tmp_path, sampler)
    assert resumed.step == 2
    resumed.save()
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_told_in_words_and_keeps_the_last_checkpoint(
    tmp_path: Path, sampler: PatchSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(a_config(), tmp_path, sampler)
    trainer.save()
    before = (tmp_path / STATE_FILE).read_bytes()
    steps(trainer, 1)

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        trainer.save()
    assert (tmp_path / STATE_FILE).read_bytes() == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", "other"], ids=["empty", "text", "other state"])
def test_a_damaged_checkpoint_is_told_and_left_alone(
    tmp_path: Path, sampler: PatchSampler, content: bytes | str
) -> None:
    Trainer(a_config(), tmp_path, sampler).save()
    path = tmp_path / STATE_FILE
    if content == "other":
        torch.save({"step": 3}, path)
    else:
        path.write_bytes(content)  # type: ignore[arg-type]
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="damaged"):
        Trainer(a_config(), tmp_path, sampler)
    assert path.read_bytes() == before


def test_a_folder_of_other_settings_is_refused(tmp_path: Path, sampler: PatchSampler) -> None:
    Trainer(a_config(), tmp_path, sampler)
    saved = (tmp_path / "config.json").read_text()
    with pytest.raises(OutputError, match="other settings"):
        Trainer(a_config(seed=1), tmp_path, sampler)
    assert (tmp_path / "config.json").read_text() == saved
    assert TrainingConfig.model_validate_json(saved) == a_config()


def test_a_file_where_the_folder_should_be(tmp_path: Path, sampler: PatchSampler) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(OutputError, match="can't be written"):
        Trainer(a_config(), tmp_path / "run", sampler)


# --- from weights to weights ------------------------------------------------------------------------------------


def test_export_writes_the_averaged_weights(tmp_path: Path, sampler: PatchSampler) -> None:
    trainer = Trainer(a_config(), tmp_path, sampler)
    steps(trainer, 6)
    card = trainer.export(ModelCard(name="run", preset="lite", preset_options=TINY))
    network, read = load_generator(tmp_path / "generator.safetensors")
    assert read == card
    assert card.date
    assert equal(weights(network), weights(trainer.averaged()))


def test_training_can_start_from_weights(tmp_path: Path, sampler: PatchSampler) -> None:
    torch.manual_seed(5)
    start, path = build_generator("lite", **TINY), tmp_path / "start.safetensors"
    save_generator(start, ModelCard(name="start", preset="lite", preset_options=TINY), path)
    trainer = Trainer(a_config(start_from=str(path)), tmp_path / "run", sampler)
    assert equal(weights(trainer.network), weights(start))
    assert equal(weights(trainer.average), weights(start))
    with pytest.raises(CardMismatchError, match="another network"):
        Trainer(a_config(start_from=str(path), preset_options={**TINY, "width": 16}), tmp_path / "other", sampler)
