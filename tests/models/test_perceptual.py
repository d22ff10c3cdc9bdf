"""The perceptual network: VGG16's own layers at any width, weights that can't run code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import vgg16

from napari_pathsrgan.errors import CheckpointError
from napari_pathsrgan.models.perceptual import (
    CUTS,
    PerceptualCard,
    PerceptualNetwork,
    load_perceptual,
    save_perceptual,
    start_from_imagenet,
)


def test_full_width_is_vgg16() -> None:
    with torch.device("meta"):
        ours, theirs = PerceptualNetwork(64), vgg16(weights=None).features[:30]
    assert [tuple(p.shape) for p in ours.features.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    assert [type(layer) for layer in ours.features] == [type(layer) for layer in theirs]


def test_cuts_come_after_a_rectifier_at_their_strides() -> None:
    network = PerceptualNetwork(4).frozen()
    maps = network.at(torch.rand(1, 3, 64, 64), tuple(CUTS))
    assert [tuple(one.shape[1:]) for one in maps] == [(4, 64, 64), (8, 32, 32), (16, 16, 16), (32, 8, 8), (32, 4, 4)]
    assert all((one >= 0).all() for one in maps)


def test_calibrated_features_have_size_1() -> None:
    torch.manual_seed(0)
    network, pictures = PerceptualNetwork(4).frozen(), torch.rand(4, 3, 64, 64)
    network.calibrate(pictures)
    for cut in CUTS:
        (features,) = network.scaled(pictures, (cut,))
        assert features.pow(2).mean().sqrt() == pytest.approx(1, rel=1e-4)


def test_weights_and_card_are_read_back(tmp_path: Path) -> None:
    network, card = (
        PerceptualNetwork(4).frozen(),
        PerceptualCard(name="small", width=4, metrics={"area_under_roc": 0.9}),
    )
    save_perceptual(network, card, tmp_path / "v.safetensors")
    again, read = load_perceptual(tmp_path / "v.safetensors")
    assert read == card
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-3, atol=1e-3)
    assert not any(p.requires_grad for p in again.parameters())


def test_the_one_that_ships_loads_and_says_what_it_learnt_from() -> None:
    network, card = load_perceptual()
    assert "nuclei" in card.training_data
    assert card.start == "scratch"
    assert card.metrics["area_under_roc"] > 0.7
    assert (network.scale > 0).all()


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x08\0\0\0\0\0\0\0{}      "])
def test_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"other\.safetensors"):
        load_perceptual(path)


def test_imagenet_weights_come_from_a_local_file_as_weights_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = vgg16(weights=None)
    torch.save({k: v for k, v in theirs.state_dict().items() if k.startswith("features.")}, tmp_path / "vgg.pth")
    ours = PerceptualNetwork(64)
    start_from_imagenet(ours, tmp_path / "vgg.pth")
    assert torch.equal(ours.features[0].weight, theirs.features[0].weight)
    torch.save(theirs, tmp_path / "whole.pth")  # a pickled object: loading it would run code
    for name in ("whole.pth", "absent.pth"):
        with pytest.raises(CheckpointError, match="can't be had"):
            start_from_imagenet(ours, tmp_path / name)
