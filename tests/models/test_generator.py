"""The generators: their budgets, shapes and behaviour."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.blocks import BicubicEnlargement
from napari_pathsrgan.models.card import PRESET_NAMES
from napari_pathsrgan.models.generator import AuthorsStage, DenseUNet, StackingStage
from napari_pathsrgan.models.presets import BUILDERS, build_generator


def budget(preset: str) -> tuple[float, float]:
    """Millions of parameters, and thousands of multiplications per 20× pixel; without computing anything."""
    with torch.device("meta"):
        network = build_generator(preset)
        lr = torch.empty(1, 3, 128, 128)
    multiplications = 0

    def count(layer: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        nonlocal multiplications
        multiplications += out.numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    network(lr)
    return sum(p.numel() for p in network.parameters()) / 1e6, multiplications / 512**2 / 1e3


@pytest.mark.parametrize(("preset", "parameters", "kmac"), [("paper", 23.5, 371), ("authors", 24.3, 604)])
def test_budget_of_the_published_networks(preset: str, parameters: float, kmac: float) -> None:
    assert budget(preset) == (pytest.approx(parameters, rel=0.01), pytest.approx(kmac, rel=0.01))


def test_lite_fits_a_laptop() -> None:
    parameters, kmac = budget("lite")
    assert parameters <= 0.6
    assert kmac <= 45
    assert (parameters, kmac) == (pytest.approx(0.3475, rel=0.01), pytest.approx(29.4, rel=0.01))


SMALL = {
    "paper": {"width": 8},
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


def test_lite_begins_near_bicubic() -> None:
    torch.manual_seed(0)
    network = build_generator("lite").eval()
    lr = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        mr, hr = network(lr)
        assert (mr - BicubicEnlargement(2)(lr)).abs().mean() < 0.1
        assert (hr - BicubicEnlargement(4)(lr)).abs().mean() < 0.1
        assert not torch.equal(hr, BicubicEnlargement(4)(lr))


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


def test_names_known_without_torch_are_the_names_there_are() -> None:
    assert set(PRESET_NAMES) == set(BUILDERS)


@pytest.mark.parametrize(
    ("preset", "options"),
    [("srgan", {}), ("lite", {"colour": 3}), ("lite", {"width": "48"}), ("lite", {"width": -1})],
    ids=["unknown network", "unknown option", "text for a number", "negative width"],
)
def test_what_cannot_be_built_is_said_in_words(preset: str, options: dict[str, object]) -> None:
    with pytest.raises(OptionError) as caught:
        build_generator(preset, **options)
    assert preset in str(caught.value)
