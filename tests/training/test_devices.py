"""Training on every device; what needs a CUDA device is marked ``cuda``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.run_folder import RunFolder
from napari_pathsrgan.training.trainer import Trainer

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def trained(config: TrainingConfig, folder: Path, device: str, precision: str = "32-true") -> list[dict[str, float]]:
    """Take every step of a training, and return its rows."""
    fabric = Fabric(accelerator=device, devices=1, precision=precision)  # type: ignore[arg-type]
    run = RunOptions(accelerator=device, num_workers=0)  # type: ignore[arg-type]
    rows: list[dict[str, float]] = []
    assert Trainer(config, run, RunFolder(folder, config), fabric).run(rows.append, lambda *_: None)
    return rows


@pytest.mark.parametrize("device", DEVICES)
def test_a_training_goes_as_on_the_cpu(tmp_path: Path, a_config: TrainingConfig, device: str) -> None:
    config = a_config.model_copy(update={"artifact_weight": 0.1, "wavelet_weight": 0.1})
    here, there = (trained(config, tmp_path / str(at), own) for at, own in enumerate(("cpu", device)))
    for one, other in zip(here, there, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            if name not in ("s_per_step", "waiting"):
                assert other[name] == pytest.approx(value, rel=0.02, abs=1e-3), name


@pytest.mark.parametrize("device", DEVICES)
def test_a_training_in_bf16_stays_near_that_in_fp32(tmp_path: Path, a_config: TrainingConfig, device: str) -> None:
    config = a_config.model_copy(update={"alpha": 0.0, "beta": 0.0})
    exact, half = (trained(config, tmp_path / name, device, name) for name in ("32-true", "bf16-mixed"))
    assert [row["loss"] for row in half] == pytest.approx([row["loss"] for row in exact], rel=0.1)


@pytest.mark.parametrize("device", DEVICES)
def test_a_checkpoint_of_a_device_goes_on_on_the_cpu(tmp_path: Path, a_config: TrainingConfig, device: str) -> None:
    config = a_config.model_copy(update={"alpha": 0.0, "epochs": (1, 0, 0)})
    trained(config, tmp_path, device)
    state = torch.load(tmp_path / "state.pt", map_location="cpu", weights_only=True)
    assert state["step"] == 3
    fabric = Fabric(accelerator="cpu", devices=1)
    again = Trainer(config, RunOptions(accelerator="cpu", num_workers=0), RunFolder(tmp_path, config), fabric)
    assert again.step == 3
    assert all(torch.equal(value, again.network.state_dict()[name]) for name, value in state["network"].items())
