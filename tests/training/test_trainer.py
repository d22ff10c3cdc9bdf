"""The training loop: schedules, checkpoints that survive anything, one roll-back when it goes wrong."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from tests.training.conftest import TINY

from napari_pathsrgan.atomic_write import partial_name
from napari_pathsrgan.errors import CardMismatchError, CheckpointError, OutputError, TrainingError
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import save_generator
from napari_pathsrgan.training import trainer as trainer_module
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.monitor import COLLAPSED_STEPS, Monitor
from napari_pathsrgan.training.run_folder import STATE_FILE, RunFolder
from napari_pathsrgan.training.schedule import Schedule
from napari_pathsrgan.training.trainer import Trainer

RUN = RunOptions(accelerator="cpu", precision="fp32", num_workers=0)


def a_trainer(config: TrainingConfig, folder: Path, run: RunOptions = RUN) -> Trainer:
    return Trainer(config, run, RunFolder(folder, config), Fabric(accelerator="cpu", devices=1))


def quiet(*_: object) -> None:
    pass


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    parts = {"network": trainer.network, "average": trainer.average, **trainer.discriminators}
    return {f"{part}.{name}": v.clone() for part, m in parts.items() for name, v in m.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def stop_at(trainer: Trainer, step: int) -> Callable[[dict[str, Any]], None]:
    """Ask to stop once a step is reached, as a signal would."""
    take = trainer._take_step

    def take_and_stop(*arguments: Any) -> dict[str, float]:
        terms = take(*arguments)
        if trainer.step + 1 == step:
            trainer._stop()
        return terms

    trainer._take_step = take_and_stop  # type: ignore[method-assign]
    return quiet


# --- schedule ---------------------------------------------------------------------------------------------------


def test_the_rate_is_halved_every_epoch_and_stays_in_phase_3(a_config: TrainingConfig) -> None:
    schedule = Schedule(a_config.model_copy(update={"epochs": (3, 2, 2), "epoch_steps": 10}), 100)
    assert [schedule.rate(0, done) for done in (0, 9, 10, 29)] == [1e-4, 1e-4, 5e-5, 2.5e-5]
    assert [schedule.rate(1, done) for done in (0, 10)] == [1e-4, 5e-5]
    assert [schedule.rate(2, done) for done in (0, 19)] == [1e-5, 1e-5]
    assert [schedule.place(step) for step in (0, 29, 30, 50, 70)] == [(0, 0), (0, 29), (1, 0), (2, 0), (2, 20)]


def test_the_cosine_ends_at_a_fiftieth(a_config: TrainingConfig) -> None:
    schedule = Schedule(a_config.model_copy(update={"schedule": "cosine", "epoch_steps": 10}), 100)
    assert [schedule.rate(0, done) for done in (0, 5, 10)] == pytest.approx([1e-4, 0.51e-4, 0.02e-4])


@pytest.mark.parametrize(("patch_lr_px", "draws"), [(128, 1), (64, 4), (32, 16), (56, 5.22)])
def test_an_epoch_is_one_pass_over_the_training_pixels(
    a_config: TrainingConfig, patch_lr_px: int, draws: float
) -> None:
    update = {"epochs": (6, 6, 2), "epoch_steps": None, "batch_size": 8, "patch_lr_px": patch_lr_px}
    steps = a_config.model_copy(update=update).phase_steps(800)
    assert steps == pytest.approx((600 * draws, 600 * draws, 200 * draws), rel=1e-2)


# --- stopping and resuming --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stops", [(2,), (3,), (1, 4, 8)], ids=str)
def test_a_resumed_run_is_equal_to_the_bit(tmp_path: Path, a_config: TrainingConfig, stops: tuple[int, ...]) -> None:
    unbroken = a_trainer(a_config, tmp_path / "unbroken")
    rows: list[dict[str, Any]] = []
    assert unbroken.run(rows.append, quiet) is True
    for stop in stops:
        part = a_trainer(a_config, tmp_path / "broken")
        assert part.run(stop_at(part, stop), quiet) is False
        assert part.step == stop
    last = a_trainer(a_config, tmp_path / "broken")
    seen: list[dict[str, Any]] = []
    assert last.run(seen.append, quiet) is True
    assert same(weights(unbroken), weights(last))
    final, wanted = seen[-1], rows[-1]
    terms = [name for name in wanted if "_10x" in name or "_20x" in name or name == "loss"]
    assert terms
    if stops[-1] <= 6:  # the last phase was taken whole
        assert {name: final[name] for name in terms} == {name: wanted[name] for name in terms}


def test_rows_tell_the_phase_the_terms_and_the_time(tmp_path: Path, a_config: TrainingConfig) -> None:
    rows: list[dict[str, Any]] = []
    a_trainer(a_config, tmp_path).run(rows.append, quiet)
    assert [(row["step"], row["steps"], row["phase"]) for row in rows] == [(3, 9, 1), (6, 9, 2), (9, 9, 3)]
    assert "pixel_10x" in rows[0]
    assert "pixel_20x" not in rows[0]
    assert rows == [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= row["waiting"] <= 1 and row["s_per_step"] > 0 for row in rows)


def test_metrics_of_steps_taken_again_are_not_kept_twice(tmp_path: Path, a_config: TrainingConfig) -> None:
    folder = RunFolder(tmp_path, a_config)
    for step in (3, 6, 9):
        folder.log({"step": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1')  # a kill cut it off
    folder.forget_after(6)
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [3, 6]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_at_a_checkpoint(
    tmp_path: Path, a_config: TrainingConfig, number: signal.Signals
) -> None:
    config = a_config.model_copy(update={"epoch_steps": 100_000})
    trainer = a_trainer(config, tmp_path)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def soon() -> None:
        while trainer.step < 3:
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    killer = threading.Thread(target=soon)
    killer.start()
    assert trainer.run(quiet, quiet) is False
    killer.join()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    resumed = a_trainer(config, tmp_path)
    assert resumed.step == trainer.step >= 3
    assert same(weights(resumed), weights(trainer))


class _TwoDevices:
    """A second device that waits for the first one's answer; a signal comes meanwhile."""

    world_size = 2

    def __init__(self, signal_comes: Callable[[], None]) -> None:
        self._signal_comes = signal_comes

    def all_reduce(self, mine: torch.Tensor, reduce_op: str) -> torch.Tensor:
        assert reduce_op == "sum"
        self._signal_comes()
        return mine + 0


def test_a_signal_while_devices_agree_is_not_lost(tmp_path: Path, a_config: TrainingConfig) -> None:
    trainer = a_trainer(a_config, tmp_path)
    trainer.fabric = _TwoDevices(trainer._stop)  # type: ignore[assignment]
    assert not trainer._should_stop()  # the other device knew of nothing yet
    assert trainer._should_stop()


_KILLED = """
import os, sys, time
import torch
torch.set_num_threads(1)
from pathlib import Path
import lightning_fabric
from napari_pathsrgan.training import trainer
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.run_folder import RunFolder
import random, signal

config = TrainingConfig.model_validate_json(sys.argv[1])
folder, rng = Path(sys.argv[2]), random.Random(4)
often = {"checkpoint_every_s": 1e-6, "samples_every_s": 1e-6}
run = RunOptions(accelerator="cpu", precision="fp32", num_workers=0, **often)
steps = []
for attempt in range(21):
    said, say = os.pipe()
    child = os.fork()
    if child == 0:
        fabric = lightning_fabric.Fabric(accelerator="cpu", devices=1)
        mine = trainer.Trainer(config, run, RunFolder(folder, config), fabric)
        os.write(say, f"{mine.step}\\n".encode())
        mine.run(lambda row: None, lambda step, network: os.write(say, b"."))
        os._exit(0)
    os.close(say)
    with os.fdopen(said) as answer:
        line = answer.readline()
        if not line:
            sys.exit(f"attempt {attempt} did not resume")
        steps.append(int(line))
        answer.read(rng.randrange(4))  # so many steps
    time.sleep(rng.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(steps)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks to be killed quickly many times")
def test_killed_at_any_moment_twenty_times_it_resumes_every_time(tmp_path: Path, a_config: TrainingConfig) -> None:
    config = a_config.model_copy(update={"epoch_steps": 100_000})
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, config.model_dump_json(), str(tmp_path / "run")],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert len(steps) == 21
    assert all(earlier <= later for earlier, later in itertools.pairwise(steps))
    assert steps[-1] > 10


def test_a_save_that_is_killed_leaves_the_last_good_checkpoint(
    tmp_path: Path, a_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = a_trainer(a_config, tmp_path)
    trainer.save()
    save: Callable[..., None] = torch.save

    def killed(state: object, path: Path) -> None:
        save(state, path)
        path.write_bytes(path.read_bytes()[:500])
        raise KeyboardInterrupt

    trainer.step = 5
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            trainer.save()
    # And where not even Python could tidy up:
    partial_name(tmp_path / STATE_FILE).write_bytes(b"half a checkpoint")
    resumed = a_trainer(a_config, tmp_path)
    assert resumed.step == 0
    resumed.save()
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_told_in_words_and_keeps_the_last_checkpoint(
    tmp_path: Path, a_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = a_trainer(a_config, tmp_path)
    trainer.save()
    before = (tmp_path / STATE_FILE).read_bytes()

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    trainer.step = 5
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        trainer.save()
    assert (tmp_path / STATE_FILE).read_bytes() == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", "other"], ids=["empty", "text", "other state"])
def test_a_damaged_checkpoint_is_told_and_left_alone(
    tmp_path: Path, a_config: TrainingConfig, content: bytes | str
) -> None:
    path = tmp_path / STATE_FILE
    if content == "other":
        torch.save({"step": 3}, path)
    else:
        path.write_bytes(content)  # type: ignore[arg-type]
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="damaged"):
        a_trainer(a_config, tmp_path)
    assert path.read_bytes() == before


def test_a_folder_of_other_settings_is_refused(tmp_path: Path, a_config: TrainingConfig) -> None:
    RunFolder(tmp_path, a_config).claim()
    saved = (tmp_path / "config.json").read_text()
    with pytest.raises(OutputError, match="other settings"):
        RunFolder(tmp_path, a_config.model_copy(update={"seed": 1}))
    assert (tmp_path / "config.json").read_text() == saved
    assert TrainingConfig.model_validate_json(saved) == a_config


def test_a_run_folder_is_its_owners_alone_at_any_umask(tmp_path: Path, a_config: TrainingConfig) -> None:
    run, before = tmp_path / "run", os.umask(0)
    try:
        trainer = a_trainer(a_config, run)
        trainer.folder.claim()
        trainer.save()
        trainer.folder.log({"step": 1})
        trainer.folder.forget_after(2)
        trainer.folder.save_sample(1, np.zeros((4, 4, 3), np.uint8))
    finally:
        os.umask(before)
    kept = {str(path.relative_to(run)): path.stat().st_mode & 0o777 for path in (run, *run.rglob("*"))}
    assert kept == {
        ".": 0o700,
        "config.json": 0o600,
        "state.pt": 0o600,
        "metrics.jsonl": 0o600,
        "samples": 0o700,
        "samples/step-00000001.png": 0o600,
    }


def test_a_file_where_the_folder_should_be(tmp_path: Path, a_config: TrainingConfig) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(OutputError, match="can't be written"):
        RunFolder(tmp_path / "run", a_config).claim()


def test_training_can_start_from_weights(tmp_path: Path, a_config: TrainingConfig) -> None:
    torch.manual_seed(5)
    start, path = build_generator("lite", **TINY), tmp_path / "start.safetensors"
    save_generator(start, ModelCard(name="start", preset="lite", preset_options=TINY), path)
    trainer = a_trainer(a_config.model_copy(update={"init_from": str(path)}), tmp_path / "run")
    for own in (trainer.network, trainer.average):
        assert all(torch.equal(value, start.state_dict()[name]) for name, value in own.state_dict().items())
    with pytest.raises(CardMismatchError, match="another network"):
        a_trainer(
            a_config.model_copy(update={"init_from": str(path), "preset_options": {**TINY, "width": 16}}),
            tmp_path / "other",
        )


# --- when it goes wrong -----------------------------------------------------------------------------------------


def spoil(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Make the loss no number at some calls of the training step."""
    take, calls = trainer_module.train_step, itertools.count()

    def spoilt(*arguments: Any) -> dict[str, torch.Tensor]:
        terms = take(*arguments)
        return terms | ({"loss": torch.tensor(float("nan"))} if next(calls) in steps else {})

    monkeypatch.setattr(trainer_module, "train_step", spoilt)


def test_it_goes_back_once_with_half_the_rate_and_other_patches(
    tmp_path: Path, a_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, {4})
    trainer = a_trainer(a_config, tmp_path)
    rows: list[dict[str, Any]] = []
    assert trainer.run(rows.append, quiet) is True
    (told,) = [row for row in rows if "divergence" in row]
    assert told == {"step": 0, "divergence": "the loss is not a number any more", "went_wrong_at": 4}
    assert trainer._state is not None
    assert trainer._state.optimiser.param_groups[0]["lr"] == pytest.approx(trainer.schedule.rate(2, 2) / 2)
    assert trainer._sampling().seed == (a_config.seed, 1)
    assert all(torch.isfinite(value).all() for value in weights(trainer).values())
    assert a_trainer(a_config, tmp_path).rollbacks == 1


def test_the_second_time_it_gives_up_and_keeps_the_checkpoint(
    tmp_path: Path, a_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, {2, 5})
    with pytest.raises(TrainingError, match="went wrong again at step 2"):
        a_trainer(a_config, tmp_path).run(quiet, quiet)
    assert a_trainer(a_config, tmp_path).step == 0


def test_collapsed_discriminators_are_noticed() -> None:
    fine = {"loss": 1.0, "discriminator_20x": 0.5, "real_20x": 1.0, "computed_20x": -1.0}
    certain = fine | {"discriminator_20x": 1e-5}
    indifferent = fine | {"discriminator_20x": 0.6931, "real_20x": 0.1, "computed_20x": 0.1}
    for bad, words in ((certain, "tells every picture apart"), (indifferent, "says the same of every picture")):
        monitor = Monitor()
        assert not any(monitor.divergence(bad) for _ in range(COLLAPSED_STEPS - 1))
        assert monitor.doubtful_steps == COLLAPSED_STEPS - 1
        assert words in monitor.divergence(bad)
        monitor = Monitor()
        for _ in range(3):
            assert not any(monitor.divergence(bad) for _ in range(COLLAPSED_STEPS - 1))
            assert not monitor.divergence(fine)
    assert Monitor().divergence(fine | {"pixel_10x": float("inf")})


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path, a_config: TrainingConfig) -> None:
    trainer = a_trainer(a_config, tmp_path)

    class TwoDevices:
        world_size, global_rank = 3, 0

    trainer.fabric = TwoDevices()  # type: ignore[assignment]
    with pytest.raises(TrainingError, match="can't be shared among 3"):
        trainer._sampling()
