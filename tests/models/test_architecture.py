"""The registry of networks, and how far each network looks."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.errors import CardMismatchError, OptionError
from napari_pathsrgan.models.architecture import ARCHITECTURES, GRID_STEP_LR_PX, Architecture, ArchitectureOptions
from napari_pathsrgan.models.blocks import conv
from napari_pathsrgan.models.build import build_generator, context_lr_px
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import load_generator, save_generator
from napari_pathsrgan.models.generator import Generator
from napari_pathsrgan.models.initialisation import initialise
from napari_pathsrgan.models.receptive_field import measure_context

SMALL: dict[str, dict[str, int]] = {
    "edsr": {"width": 4, "blocks": 3},
    "paper": {"width": 2},
    "progansr": {"width": 4, "growth": 2, "layers": 2, "units1": 2, "units2": 1},
    "srcnn": {"width": 4},
    "srresnet": {"width": 4, "blocks": 2},
    "vdsr": {"width": 3, "layers": 4},
    "wang": {"width": 2},
}


@pytest.mark.parametrize("name", ARCHITECTURES.names())
def test_every_network_says_what_tiles_have_to_know(name: str) -> None:
    architecture = ARCHITECTURES.find(name)
    assert architecture.name == name
    assert GRID_STEP_LR_PX % architecture.alignment_lr_px == 0
    assert context_lr_px(architecture, architecture.options(**SMALL.get(name, {}))) % architecture.alignment_lr_px == 0


@pytest.mark.parametrize("name", [each.name for each in ARCHITECTURES.all() if each.foreign is None])
def test_a_window_with_the_context_gives_the_pixels_of_one_big_pass(name: str) -> None:
    """Those of `authors` are compared in the tests of the engine: it comes in one size."""
    torch.manual_seed(0)
    network = build_generator(name, **SMALL.get(name, {})).eval()
    architecture = ARCHITECTURES.find(name)
    exact = architecture.approximate_context_lr_px(architecture.options(**SMALL.get(name, {}))) is None
    if not exact:
        initialise(network, 0.4)  # about as local as a trained one: of a random U-Net every pixel depends on all
    halo, core, edge = network.halo_lr_px, 16, network.halo_lr_px + 8
    lr = torch.rand(1, 3, 2 * edge + core, 2 * edge + core)
    inside = slice(edge - halo, edge + core + halo)
    with torch.inference_mode():
        for factor, whole, window in zip((2, 4), network(lr), network(lr[:, :, inside, inside]), strict=True):
            first, last = factor * edge, factor * (edge + core)
            begin, end = factor * halo, factor * (halo + core)
            wanted, found = whole[:, :, first:last, first:last], window[:, :, begin:end, begin:end]
            torch.testing.assert_close(found, wanted, atol=1e-6 if exact else 1 / 255, rtol=0)


@pytest.mark.parametrize(("blocks1", "blocks2", "context"), [(6, 2, 17), (1, 1, 6), (2, 3, 10), (0, 0, 3)])
def test_the_context_is_what_the_layers_look_at(blocks1: int, blocks2: int, context: int) -> None:
    assert build_generator("lite", width=8, blocks1=blocks1, features=8, blocks2=blocks2).halo_lr_px == context


def test_the_names_are_known_and_the_networks_described_without_torch() -> None:
    code = (
        "import sys; from napari_pathsrgan.models.architecture import ARCHITECTURES\n"
        "ARCHITECTURES.all(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _FarSighted(nn.Module):
    """A stage whose every pixel depends on the mean of the window."""

    def __init__(self, far: bool) -> None:
        super().__init__()
        self.far = far
        self.picture = conv(3, 12, 9)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = x - x.mean(dim=(2, 3), keepdim=True) if self.far else x
        image = functional.pixel_shuffle(self.picture(seen), 2)
        return image, image


class _Second(_FarSighted):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[1]


class _Toy(Architecture):
    name = "toy"
    far = False

    def build(self, options: Any) -> Generator:
        return Generator(_FarSighted(self.far), _Second(False), bicubic_skip=False)


class _FarToy(_Toy):
    far = True


def test_a_network_that_is_not_ours_gets_the_context_of_its_layers() -> None:
    with ARCHITECTURES.registered(_Toy()):
        assert build_generator("toy").halo_lr_px == 4 + 2  # half a kernel of 9 on both grids
    assert "toy" not in ARCHITECTURES.names()


def test_a_network_that_looks_at_the_whole_window_is_refused() -> None:
    with ARCHITECTURES.registered(_FarToy()), pytest.raises(OptionError, match="more than a window") as caught:
        _ = build_generator("toy").halo_lr_px
    assert "approximate_context_lr_px" in caught.value.remedy


def test_the_alignment_rounds_the_context_up() -> None:
    assert measure_context(_Toy().build(ArchitectureOptions()), 8) == 8


def test_a_card_with_less_context_than_the_network_takes_is_refused(tmp_path: Any) -> None:
    network = build_generator("lite", width=8, blocks1=6, features=8, blocks2=2)
    options = {"width": 8, "features": 8}
    card = ModelCard(name="short-sighted", preset="lite", preset_options=options, halo_lr_px=16)
    save_generator(network, card, tmp_path / "a.safetensors")
    with pytest.raises(CardMismatchError, match="16 px of context; its network takes 17 px"):
        load_generator(tmp_path / "a.safetensors")


def test_two_entries_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="already"), ARCHITECTURES.registered(ARCHITECTURES.find("lite")):
        pass
