"""The generators: their budgets, shapes and behaviour."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.blocks import BicubicEnlargement
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.dense_stages import AuthorsStage, DenseUNet, StackingStage


def multiplications(network: nn.Module, *inputs: torch.Tensor) -> int:
    """Count the multiplications of a network's convolutions for inputs on the meta device: nothing is computed."""
    total = 0

    def count(layer: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += out.numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return total


def budget(preset: str, **options: int) -> dict[str, tuple[float, float]]:
    """Millions of parameters, and thousands of multiplications per 20× pixel, of both stages and of the whole."""
    with torch.device("meta"):
        network = build_generator(preset, **options)
        lr = torch.empty(1, 3, 128, 128)
    features, _ = network.stage1(lr)
    parts = {"stage1": (network.stage1, lr), "stage2": (network.stage2, features), "whole": (network, lr)}
    return {
        name: (sum(p.numel() for p in part.parameters()) / 1e6, multiplications(part, x) / 512**2 / 1e3)
        for name, (part, x) in parts.items()
    }


PROGANSR_REDUCED = {"width": 32, "growth": 8, "layers": 4, "units1": 3, "units2": 2}


@pytest.mark.parametrize(
    ("preset", "options", "part", "parameters", "kmac"),
    [
        ("paper", {}, "stage1", 22.75, 180),
        ("paper", {}, "stage2", 0.72, 191),
        ("paper", {}, "whole", 23.5, 371),
        ("paper", {"width": 32}, "stage1", 5.70, 46),
        ("paper", {"width": 32}, "whole", 5.9, 98),
        ("paper", {"width": 16}, "whole", 1.48, 27.0),
        ("authors", {}, "stage2", 1.62, 427),
        ("authors", {}, "whole", 24.3, 604),
        ("lite", {}, "whole", 0.3475, 29.4),
        ("edsr", {}, "whole", 1.52, 124),
        ("edsr", {"width": 256, "blocks": 32, "scale": 0.1}, "whole", 43.1, 3141),
        ("edsr", {"width": 32, "blocks": 14}, "whole", 0.34, 29.1),
        ("srresnet", {}, "whole", 1.55, 139),
        ("srresnet", {"width": 32, "blocks": 8}, "whole", 0.25, 29.6),
        ("vdsr", {}, "whole", 0.67, 667),
        ("vdsr", {"width": 13}, "whole", 0.028, 28.1),
        ("srcnn", {}, "whole", 0.0201, 20.0),
        ("progansr", {}, "whole", 13.4, 1581),
        ("progansr", PROGANSR_REDUCED, "whole", 0.18, 27.2),
        ("wang", {}, "whole", 11.8, 297),
        ("wang", {"width": 10}, "whole", 1.15, 29.3),
        ("paper", {"hand_over": "image"}, "whole", 23.5, 375),
        ("paper", {"body1": "srresnet", "body2": "srresnet"}, "whole", 2.23, 322),
        ("paper", {"body1": "srresnet"}, "whole", 2.04, 276),
        ("paper", {"body2": "srresnet"}, "whole", 23.65, 417),
        ("paper", {"body1": "srresnet", "body2": "srresnet", "width": 16}, "whole", 0.15, 24.0),
        ("paper", {"body1": "srresnet", "width": 16}, "whole", 0.138, 21.1),
        ("paper", {"body2": "srresnet", "width": 16}, "whole", 1.49, 29.9),
    ],
)
def test_budgets(preset: str, options: dict[str, int], part: str, parameters: float, kmac: float) -> None:
    assert budget(preset, **options)[part] == (pytest.approx(parameters, rel=0.015), pytest.approx(kmac, rel=0.01))


@pytest.mark.parametrize(("width", "growth"), [(64, 32), (32, 16), (16, 8), (8, 4), (1, 1)])
def test_the_growth_of_stage_2_is_half_its_width(width: int, growth: int) -> None:
    block = StackingStage(width).blocks[0]
    assert [layer.out_channels for layer in block.layers] == [growth] * 4


SMALL = {
    "edsr": {"width": 4, "blocks": 2},
    "paper": {"width": 8},
    "progansr": {"width": 4, "growth": 2, "layers": 2, "units1": 1, "units2": 1},
    "srcnn": {"width": 4},
    "srresnet": {"width": 4, "blocks": 1},
    "vdsr": {"width": 3, "layers": 3},
    "wang": {"width": 2},
    "lite": {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1},
}


@pytest.mark.parametrize("preset", SMALL)
@pytest.mark.parametrize(("height", "width"), list(itertools.product([8, 16, 24, 40], [8, 32, 56])))
def test_shapes_for_multiples_of_8(preset: str, height: int, width: int) -> None:
    network = build_generator(preset, **SMALL[preset]).eval()
    with torch.inference_mode():
        mr, hr = network(torch.rand(2, 3, height, width))
    assert mr.shape == (2, 3, 2 * height, 2 * width)
    assert hr.shape == (2, 3, 4 * height, 4 * width)
    assert mr.dtype == hr.dtype == torch.float32


@pytest.mark.parametrize(("height", "width"), list(itertools.product([8, 24, 64, 136], [16, 40, 256])))
def test_shapes_of_the_authors_network(height: int, width: int) -> None:
    with torch.device("meta"):
        mr, hr = build_generator("authors")(torch.empty(1, 3, height, width))
    assert mr.shape == (1, 3, 2 * height, 2 * width)
    assert hr.shape == (1, 3, 4 * height, 4 * width)


def test_kernels_as_published() -> None:
    with torch.device("meta"):
        paper, authors = build_generator("paper"), build_generator("authors")
    assert isinstance(paper.stage1, DenseUNet)
    assert isinstance(authors.stage1, DenseUNet)
    assert isinstance(paper.stage2, StackingStage)
    assert isinstance(authors.stage2, AuthorsStage)
    for network in (paper, authors):
        assert network.stage1.head[0].weight.shape == (64, 3, 9, 9)
        assert network.stage2.picture.kernel_size == (9, 9)
    assert paper.stage1.picture.weight.shape == (3, 64, 9, 9)
    assert authors.stage1.picture.weight.shape == (3, 64, 7, 7)
    assert paper.stage1.down1.blocks[0].negative_slope == 0.1
    assert authors.stage1.down1.blocks[0].negative_slope == 0.01
    assert paper.stage1.down1.blocks[0].dense_sum == "running"
    assert authors.stage1.down1.blocks[0].dense_sum == "literal"


@pytest.mark.parametrize(("blocks1", "blocks2"), [(1, 1), (2, 3), (6, 2)])
def test_a_trimmed_copy_gives_the_same_pixels_of_what_has_its_context(blocks1: int, blocks2: int) -> None:
    torch.manual_seed(0)
    network = build_generator("lite", width=8, blocks1=blocks1, features=8, blocks2=blocks2).eval()
    trimmed, reach = network.trimmed()
    lr = torch.rand(1, 3, 64, 72)
    with torch.inference_mode():
        for factor, whole, part in zip((2, 4), network(lr), trimmed(lr), strict=True):
            border = [(one - other) // 2 for one, other in zip(whole.shape[2:], part.shape[2:], strict=True)]
            assert 0 < border[0] == border[1] <= factor * reach
            inside = whole[:, :, border[0] : -border[0], border[1] : -border[1]]
            torch.testing.assert_close(part, inside, atol=1e-6, rtol=0)
        assert network(lr)[1].shape[2:] == (256, 288)  # it is a copy
    assert build_generator("paper", width=8).trimmed() is None


def test_bicubic_skip_is_a_switch_of_paper() -> None:
    torch.manual_seed(0)
    plain = build_generator("paper", width=8).eval()
    skipping = build_generator("paper", width=8, bicubic_skip=True).eval()
    skipping.load_state_dict(plain.state_dict())
    lr = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        for factor, residual, picture in zip((2, 4), plain(lr), skipping(lr), strict=True):
            torch.testing.assert_close(picture - residual, BicubicEnlargement(factor)(lr), atol=1e-5, rtol=0)


def test_stages_in_half_precision_keep_the_skip_exact() -> None:
    network = build_generator("lite", **SMALL["lite"]).eval()
    for picture in (network.stage1.picture, network.stage2.picture):
        nn.init.zeros_(picture.weight)
        nn.init.zeros_(picture.bias)
    network.cast_stages(torch.bfloat16)
    lr = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        mr, hr = network(lr)
    assert mr.dtype == hr.dtype == torch.float32
    assert torch.equal(mr, BicubicEnlargement(2)(lr))
    assert torch.equal(hr, BicubicEnlargement(4)(lr))


def test_stage_2_takes_features_and_never_the_picture() -> None:
    network = build_generator("paper", width=8).eval()
    lr = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        features, _ = network.mr_features(lr)
        assert features.shape == (1, 8, 32, 32)
        before = network.hr_from(features, lr)
        nn.init.zeros_(network.stage1.picture.weight)
        assert torch.equal(network(lr)[1], before)


@pytest.mark.parametrize(
    ("preset", "options"),
    [("srgan", {}), ("lite", {"colour": 3}), ("lite", {"width": "48"}), ("lite", {"width": -1})],
    ids=["unknown network", "unknown option", "text for a number", "negative width"],
)
def test_what_cannot_be_built_is_said_in_words(preset: str, options: dict[str, object]) -> None:
    with pytest.raises(OptionError) as caught:
        build_generator(preset, **options)
    assert preset in str(caught.value)


@pytest.mark.parametrize("name", ["vdsr", "wang"])
def test_networks_on_the_enlarged_image_have_the_enlargement_as_their_10x_image(name: str) -> None:
    network = build_generator(name, **SMALL[name]).eval()
    lr = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(network(lr)[0], BicubicEnlargement(2)(lr))


def test_the_enlargement_inside_a_network_stays_in_full_precision_when_its_weights_are_cast() -> None:
    network = build_generator("srcnn", width=4).eval()
    lr = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        exact = network(lr)[0]
        network.cast_stages(torch.bfloat16)
        torch.testing.assert_close(network(lr)[0], exact, atol=1 / 128, rtol=0)  # its input is rounded
    assert network.stage1.enlarge.kernel.dtype == torch.float32


def test_the_image_alone_is_handed_over_where_that_is_asked_for() -> None:
    torch.manual_seed(0)
    network = build_generator("paper", width=4, hand_over="image").eval()
    lr = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        handed, image = network.stage1(lr)
        assert torch.equal(handed, image)
        torch.testing.assert_close(network(lr)[1], network.stage2(image))
