"""The blocks, against what their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_pathsrgan.models.blocks import (
    BicubicEnlargement,
    DenseAdditionBlock,
    DenseStackingBlock,
    ResidualBlock,
    ShuffleUp,
    conv,
)
from napari_pathsrgan.slides.resample import enlarge


def shaken(block: nn.Module) -> nn.Module:
    """Give a block weights large enough for every term to show."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return block.double().eval()


def test_addition_block_literal_follows_the_authors_sums() -> None:
    block = shaken(DenseAdditionBlock(5, 0.01, "literal"))
    x = torch.randn(2, 5, 9, 7, dtype=torch.float64)

    def m(index: int, value: torch.Tensor) -> torch.Tensor:
        layer = block.layers[index]
        return functional.leaky_relu(functional.conv2d(value, layer.weight, layer.bias, padding=1), 0.01)

    s1 = x + m(0, x)
    s2 = x + s1 + m(1, s1)
    s3 = x + s1 + s2 + m(2, s2)
    s4 = x + s1 + s2 + m(3, s3)
    wanted = x + 0.5 * functional.conv2d(s4, block.last.weight, block.last.bias, padding=1)

    torch.testing.assert_close(block(x), wanted)
    with_third_sum = x + 0.5 * functional.conv2d(s4 + s3, block.last.weight, block.last.bias, padding=1)
    assert (block(x) - with_third_sum).abs().max() > 0.1  # the sum the authors leave out would show


def test_addition_block_running_adds_each_layer_once() -> None:
    block = shaken(DenseAdditionBlock(4, 0.1, "running"))
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    total = x
    for layer in block.layers:
        total = total + functional.leaky_relu(functional.conv2d(total, layer.weight, layer.bias, padding=1), 0.1)
    wanted = x + 0.5 * functional.conv2d(total, block.last.weight, block.last.bias, padding=1)
    torch.testing.assert_close(block(x), wanted)


def test_stacking_block_sees_all_earlier_layers() -> None:
    block = shaken(DenseStackingBlock(6, 3))
    x = torch.randn(1, 6, 8, 8, dtype=torch.float64)
    seen = [x]
    for index, layer in enumerate(block.layers):
        assert layer.weight.shape == (3, 6 + 3 * index, 3, 3)
        joined = torch.cat(seen, 1)
        seen.append(functional.leaky_relu(functional.conv2d(joined, layer.weight, layer.bias, padding=1), 0.1))
    wanted = x + 0.2 * functional.conv2d(torch.cat(seen, 1), block.last.weight, block.last.bias, padding=1)
    torch.testing.assert_close(block(x), wanted)


@pytest.mark.parametrize(
    ("block", "last"),
    [
        (DenseAdditionBlock(4, 0.1, "running"), "last"),
        (DenseAdditionBlock(4, 0.01, "literal"), "last"),
        (DenseStackingBlock(4, 2), "last"),
        (ResidualBlock(4), "second"),
    ],
    ids=["running", "literal", "stacking", "residual"],
)
def test_a_block_whose_last_convolution_is_zero_is_the_identity(block: nn.Module, last: str) -> None:
    shaken(block)
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    assert not torch.equal(block(x), x)
    nn.init.zeros_(getattr(block, last).weight)
    nn.init.zeros_(getattr(block, last).bias)
    assert torch.equal(block(x), x)


def test_a_block_leaves_its_input_alone() -> None:
    block = shaken(ResidualBlock(4))  # its ReLU works in place
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


def test_shuffle_up_doubles_both_sides() -> None:
    up = shaken(ShuffleUp(3, 5, nn.ReLU()))
    out = up(torch.randn(1, 3, 4, 6, dtype=torch.float64))
    assert out.shape == (1, 5, 8, 12)
    assert out.min() == 0


@pytest.mark.parametrize("side", [5, 20, 90])
def test_a_convolution_gives_a_crop_the_bits_it_gives_the_whole(side: int) -> None:
    torch.manual_seed(0)
    layer = conv(8, 8).eval()
    layer.padding = (0, 0)
    image = torch.randn(1, 8, 200, 200)
    with torch.inference_mode():
        whole, part = layer(image), layer(image[:, :, 30 : 30 + side, 50 : 50 + side])
    assert torch.equal(part, whole[:, :, 30 : 28 + side, 50 : 48 + side])
    with torch.no_grad():
        torch.testing.assert_close(layer(image), whole)


@pytest.mark.parametrize("factor", [2, 4])
def test_bicubic_equals_the_slides_kernel_away_from_borders(factor: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        computed = BicubicEnlargement(factor)(tensor)[0].permute(1, 2, 0).mul(255).round().clamp(0, 255).numpy()
    wanted = enlarge(image, factor).astype(np.float32)
    inside = slice(2 * factor, -2 * factor)
    assert np.abs(computed - wanted)[inside, inside].max() <= 1
    assert np.mean(computed[inside, inside] != wanted[inside, inside]) < 1e-3  # only halves round differently


@pytest.mark.parametrize("factor", [2, 4])
def test_bicubic_is_exact_on_a_ramp(factor: int) -> None:
    rows, cols = torch.meshgrid(torch.arange(12.0), torch.arange(10.0), indexing="ij")
    ramp = (3 * rows - 2 * cols)[None, None]
    out = BicubicEnlargement(factor)(ramp)[0, 0]
    at_row = (torch.arange(12 * factor) + 0.5) / factor - 0.5
    at_col = (torch.arange(10 * factor) + 0.5) / factor - 0.5
    wanted = 3 * at_row[:, None] - 2 * at_col[None, :]
    inside = slice(2 * factor, -2 * factor)
    torch.testing.assert_close(out[inside, inside], wanted[inside, inside], atol=2e-5, rtol=0)


def test_bicubic_keeps_a_constant_up_to_the_border() -> None:
    out = BicubicEnlargement(4)(torch.full((1, 3, 5, 6), 0.7))
    assert out.shape == (1, 3, 20, 24)
    torch.testing.assert_close(out, torch.full_like(out, 0.7))


def test_bicubic_has_no_weights_to_save() -> None:
    assert not BicubicEnlargement(2).state_dict()
