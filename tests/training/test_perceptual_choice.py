"""Which perceptual network a training compares by: VGG16 where it can be had, and always the same one in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from tests.training.conftest import TINY

from napari_pathsrgan.errors import CheckpointError
from napari_pathsrgan.models import perceptual
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.losses import perceptual as perceptual_loss
from napari_pathsrgan.training.perceptual_choice import choose_perceptual
from napari_pathsrgan.training.run_folder import RunFolder
from napari_pathsrgan.training.trainer import Trainer

RUN = RunOptions(accelerator="cpu", precision="fp32", num_workers=0)


@pytest.fixture
def published(pairs: Path) -> TrainingConfig:
    return TrainingConfig(
        pairs=(pairs,), preset="lite", preset_options=TINY, epochs=(1, 0, 0), epoch_steps=1, batch_size=2,
        patch_lr_px=16, beta=0.0,
    )  # fmt: skip


def without_weights(*_: object) -> None:
    raise CheckpointError("VGG16's ImageNet weights can't be had.", "…")


def test_vgg16_in_full_width_is_taken_where_it_can_be_had(
    published: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "start_from_imagenet", lambda *_: None)
    network, card = choose_perceptual(published)
    assert (card.name, card.start, card.width) == ("vgg16", "imagenet", 64)
    assert network.features[28].out_channels == 512
    assert not torch.equal(network.scale, torch.ones(5))  # calibrated, so that α means the same
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert choose_perceptual(published, "cytology")[1].name == "cytology"  # that the run began with


def test_the_network_that_ships_takes_its_place_and_a_run_stays_with_what_it_began(
    published: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "start_from_imagenet", without_weights)
    assert choose_perceptual(published)[1].name == "cytology"
    with pytest.raises(CheckpointError, match="VGG16"):
        choose_perceptual(published, "vgg16")


def test_a_training_says_which_network_takes_the_place_of_vgg16(
    tmp_path: Path, published: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "start_from_imagenet", without_weights)
    trainer = Trainer(published, RUN, RunFolder(tmp_path, published), Fabric(accelerator="cpu", devices=1))
    rows: list[dict[str, Any]] = []
    assert trainer.run(rows.append, lambda *_: None)
    assert trainer.perceptual_name == "cytology"
    assert [row["note"] for row in rows if "note" in row] == [
        "VGG16's ImageNet weights can't be had here: “cytology” takes their place."
    ]
    assert torch.load(tmp_path / "state.pt", weights_only=True)["perceptual"] == "cytology"


def test_efficientnet_compares_at_the_same_depths_and_gives_a_gradient(published: TrainingConfig) -> None:
    network, card = choose_perceptual(published.model_copy(update={"perceptual": "efficientnet-lite1"}))
    assert (card.name, card.licence) == ("efficientnet-lite1", "Apache-2.0")
    torch.manual_seed(0)
    real, computed = torch.rand(2, 1, 3, 64, 64).unbind()
    maps = network.scaled(real, ("relu1_2", "relu3_3"))
    assert [tuple(one.shape[2:]) for one in maps] == [(32, 32), (8, 8)]
    assert [float(one.pow(2).mean()) for one in maps] == pytest.approx([1, 1], rel=1e-4)
    assert perceptual_loss(network, ("relu1_2",), real, real) == 0
    loss = perceptual_loss(network, ("relu1_2", "relu3_3"), computed.requires_grad_(), real)
    loss.backward()
    assert loss > 0
    assert computed.grad is not None
    assert (computed.grad != 0).float().mean() > 0.9
    assert not any(parameter.requires_grad for parameter in network.parameters())
