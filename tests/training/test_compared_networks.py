"""Networks to compare with: each is trained, kept, loaded and computes tiles like ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from napari_pathsrgan.inference.engine import load_model
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import save_generator
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.run_folder import RunFolder
from napari_pathsrgan.training.trainer import Trainer

RUN = RunOptions(accelerator="cpu", precision="fp32", num_workers=0)
SIZES: list[tuple[str, dict[str, Any]]] = [
    ("edsr", {"width": 4, "blocks": 2}),
    ("progansr", {"width": 4, "growth": 2, "layers": 2, "units1": 1, "units2": 1}),
    ("srcnn", {"width": 4}),
    ("srresnet", {"width": 4, "blocks": 2}),
    ("vdsr", {"width": 3, "layers": 4}),
    ("wang", {"width": 2}),
    ("paper", {"width": 2, "body1": "srresnet", "body2": "srresnet"}),
    ("paper", {"width": 2, "body1": "srresnet", "hand_over": "image"}),
]


@pytest.mark.parametrize(("name", "options"), SIZES, ids=str)
def test_a_network_is_trained_and_its_tiles_are_those_of_one_big_pass(
    tmp_path: Path, pairs: Path, name: str, options: dict[str, Any]
) -> None:
    config = TrainingConfig(
        pairs=(pairs,), preset=name, preset_options=options, epochs=(0, 0, 1), epoch_steps=2, batch_size=2,
        patch_lr_px=32, alpha=0.0, beta=0.0, ema=0.5,
    )  # fmt: skip
    trainer = Trainer(config, RUN, RunFolder(tmp_path, config), Fabric(accelerator="cpu", devices=1))
    before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    assert trainer.run(lambda *_: None, lambda *_: None)
    after = trainer.average.state_dict()
    assert all(not torch.equal(before[key], value) for key, value in after.items() if value.is_floating_point())
    card = ModelCard(name="trained", preset=name, preset_options=options, halo_lr_px=trainer.average.halo_lr_px)
    save_generator(trainer.average.eval(), card, tmp_path / "trained.safetensors")
    model = load_model(tmp_path / "trained.safetensors", "cpu", "fp32")
    _compare_a_tile(model)


def _compare_a_tile(model: Any) -> None:
    halo, core = -(-model.halo // 8) * 8, 8
    side = 2 * halo + core + 16
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    window = image[8 : 8 + 2 * halo + core, 8 : 8 + 2 * halo + core]
    mr, hr, _ = model.run(window, 2, halo=halo)
    for factor, whole, tile in zip((2, 4), model.apply(image), (mr, hr), strict=True):
        first, last = factor * (8 + halo), factor * (8 + halo + core)
        inside = whole[first:last, first:last].astype(np.int16)
        assert np.abs(inside - tile).max() <= 1
