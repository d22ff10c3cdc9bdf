"""Networks with random weights: outputs of a size to learn from, and gradients that an optimiser can see."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from napari_pathsrgan.models.architecture import ARCHITECTURES
from napari_pathsrgan.models.blocks import BicubicEnlargement, DenseAdditionBlock, DenseStackingBlock
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.generator import Generator

ADAMS_EPSILON = 1e-8
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    *((preset, {}) for preset in ARCHITECTURES.names()),
    *(("paper", {"width": width}) for width in (2, 8, 16, 32)),
    ("paper", {"width": 16, "dense_sum": "literal"}),
    ("paper", {"width": 16, "bicubic_skip": True}),
    ("lite", {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}),
    ("lite", {"width": 16, "blocks1": 12, "features": 12, "blocks2": 4}),
]


def a_network(preset: str, options: dict[str, Any], seed: int) -> tuple[Generator, torch.Tensor]:
    torch.manual_seed(seed)
    return build_generator(preset, **options), 0.9 - 0.4 * torch.rand(1, 3, 16, 16)


@pytest.mark.parametrize(("preset", "options"), NETWORKS, ids=str)
def test_every_network_starts_alive(preset: str, options: dict[str, Any]) -> None:
    network, lr = a_network(preset, options, 0)
    images = network(lr)
    assert all(0.02 < float(image.detach().std()) < 10 for image in images)
    sum((image - torch.rand_like(image)).pow(2).mean() for image in images).backward()
    for name, parameter in network.named_parameters():
        assert float(parameter.grad.pow(2).mean().sqrt()) > 50 * ADAMS_EPSILON, name


@pytest.mark.parametrize("options", [{"width": 4}, {"width": 16}], ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_narrow_networks_start_alive_whatever_the_seed(options: dict[str, Any], seed: int) -> None:
    network, lr = a_network("paper", options, seed)
    with torch.no_grad():
        assert all(0.05 < float(image.std()) < 10 for image in network(lr))


@pytest.mark.parametrize(("preset", "options"), [("paper", {"width": 32}), ("authors", {})], ids=str)
def test_only_convolutions_inside_dense_blocks_are_drawn_small(preset: str, options: dict[str, Any]) -> None:
    network, _ = a_network(preset, options, 0)
    inside = {
        layer
        for block in network.modules()
        if isinstance(block, DenseAdditionBlock | DenseStackingBlock)
        for layer in block.modules()
    }
    linear = {network.stage1.picture, network.stage2.picture}
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            gain = 1.0 if layer in linear else (2 / (1 + 0.1**2)) ** 0.5
            kaiming = gain / layer.weight[0].numel() ** 0.5
            share = 0.1 if layer in inside else 1.0
            assert float(layer.weight.detach().std()) == pytest.approx(share * kaiming, rel=0.15)
            assert float(layer.bias.detach().abs().max()) == 0


@pytest.mark.parametrize(("preset", "options"), [("lite", {}), ("paper", {"width": 16, "bicubic_skip": True})], ids=str)
def test_networks_with_a_skip_start_near_bicubic(preset: str, options: dict[str, Any]) -> None:
    network, lr = a_network(preset, options, 0)
    with torch.no_grad():
        for factor, image in zip((2, 4), network(lr), strict=True):
            difference = (image - BicubicEnlargement(factor)(lr)).abs().mean()
            assert 0 < difference < 0.1
