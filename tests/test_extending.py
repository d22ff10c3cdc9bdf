"""A network and a backend of somebody else's, each one object, go through files, tiles and the command line."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import Field
from tests.slides.synthetic import noise, write_aperio
from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.inference.backend import BACKENDS, Backend, CompiledNetwork, Precision
from napari_pathsrgan.inference.engine import load_model
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.models.architecture import ARCHITECTURES, Architecture, ArchitectureOptions
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import save_generator
from napari_pathsrgan.models.generator import Generator
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore


class ToyOptions(ArchitectureOptions):
    width: int = Field(default=8, ge=1, le=64)


class _Toy1(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, width, 5, padding=2)
        self.far = nn.Conv2d(width, width, 3, padding=4, dilation=4)
        self.picture = nn.Conv2d(width, 12, 3, padding=1)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.silu(self.far(functional.silu(self.body(lr))))
        image = functional.pixel_shuffle(self.picture(x), 2)
        return image, image


class _Toy2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Conv2d(3, 12, 7, padding=3)

    def forward(self, features: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.picture(features), 2)


class ToyNetwork(Architecture):
    """All that the package is told about the network."""

    name = "toy"
    options = ToyOptions

    def build(self, options: Any) -> Generator:
        return Generator(_Toy1(options.width), _Toy2(), bicubic_skip=True)


class ToyBackend(Backend):
    """All that the package is told about the backend: torch in double precision."""

    name = "doubled"
    title = "Double precision"
    limits = "computes on the CPU"

    def supports(self, network: Generator, device: torch.device) -> bool:
        return device.type == "cpu"

    def precisions(self, device: torch.device) -> tuple[Precision, ...]:
        return ("fp32",)

    def compile(self, network: Generator, precision: Precision, device: torch.device) -> CompiledNetwork:
        return _Doubled(network)


class _Doubled:
    def __init__(self, network: Generator) -> None:
        self._network = copy.deepcopy(network)
        self._network.cast_stages(torch.float64)
        self.bicubic_skip = network.bicubic_skip

    def stages(self, lr: Tensor, stage: int) -> tuple[Tensor, Tensor | None]:
        return self._network.stages(lr, stage)

    def trimmed(self) -> None:
        return None


NETWORK, BACKEND = ToyNetwork(), ToyBackend()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A package's entry points, as pip would install them: the folder belongs on sys.path."""
    about = tmp_path / "site" / "toys-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    groups = {"architectures": ("toy", "NETWORK"), "backends": ("doubled", "BACKEND")}
    (about / "entry_points.txt").write_text(
        "\n".join(
            f"[napari_pathsrgan.{group}]\n{name} = tests.test_extending:{attribute}"
            for group, (name, attribute) in groups.items()
        )
    )
    return about.parent


@pytest.fixture
def registered() -> Iterator[None]:
    with ARCHITECTURES.registered(NETWORK), BACKENDS.registered(BACKEND):
        yield


def a_model(path: Path) -> Path:
    """Write a model file of the network, whose images are not only the bicubic ones."""
    torch.manual_seed(0)
    network = build_generator("toy", width=4)
    for stage in (network.stage1, network.stage2):
        nn.init.normal_(stage.picture.weight, std=0.1)
    card = ModelCard(name="toy", preset="toy", preset_options={"width": 4}, halo_lr_px=16)
    save_generator(network, card, path)
    return path


@pytest.mark.usefixtures("registered")
def test_tiles_of_the_network_are_those_of_one_big_pass(tmp_path: Path) -> None:
    assert build_generator("toy").halo_lr_px == 2 + 4 + 1 + 2  # 3 px of the 10× grid are 2 of the input's
    model = load_model(a_model(tmp_path / "toy.safetensors"), "cpu", "fp32", "torch")
    image, halo = noise(96, 112), model.halo
    whole = model.apply(image)
    inside = model.run(image[40 - halo : 72 + halo, 32 - halo : 48 + halo], 2, halo=halo)
    assert inside.hr is not None
    for factor, found, wanted in ((2, inside.mr, whole[0]), (4, inside.hr, whole[1])):
        assert found.std() > 20
        np.testing.assert_array_equal(
            found, wanted[40 * factor : 72 * factor, 32 * factor : 48 * factor], err_msg=f"× {factor}"
        )


@pytest.mark.usefixtures("registered")
def test_the_backend_computes_what_torch_does(tmp_path: Path) -> None:
    path = a_model(tmp_path / "toy.safetensors")
    doubled, exact = (load_model(path, "cpu", "fp32", backend) for backend in ("doubled", "torch"))
    assert str(doubled.execution) == "doubled fp32"
    for one, other in zip(doubled.apply(noise(24, 32)), exact.apply(noise(24, 32)), strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


def test_both_go_through_the_command_line(installed: Path, tmp_path: Path) -> None:
    with ARCHITECTURES.registered(NETWORK):
        model = a_model(tmp_path / "toy.safetensors")
        slide = write_aperio(tmp_path / "scan.svs", [noise(200, 180)])
        out = tmp_path / "out.ome.zarr"
        here, sources = Path(__file__).parents[1], Path(sys.modules["napari_pathsrgan"].__file__ or "").parents[1]
        command = [sys.executable, "-m", "napari_pathsrgan", "upscale", slide, out, "--model", model, "--json"]
        ended = subprocess.run(
            [*map(str, command), "--device", "cpu", "--precision", "fp32", "--backend", "doubled"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (installed, sources, here)))},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        store = PyramidStore.open(out)
        assert store.identity.execution == "doubled fp32"
        with open_slide(slide) as opened, BACKENDS.registered(BACKEND):
            computed = super_resolve(opened, load_model(model, "cpu", "fp32", "doubled"))
            tile = next(iter(store.tiles(0)))
            np.testing.assert_array_equal(store.read(0, *tile), computed.compute_tile(0, *tile))


def test_the_network_of_the_documents_is_one_module(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    module: dict[str, Any] = {}
    exec(compile(text.split("```python\n")[1].split("```")[0], "edsr_small.py", "exec"), module)
    with ARCHITECTURES.registered(module["ARCHITECTURE"]):
        network = build_generator("edsr_small", width=4, blocks=2)
        assert network.halo_lr_px == 1 + 2 * 2 + 1 + 1  # the head, two blocks, the first shuffle; 2 px of the 10× grid
        mr, hr = network(torch.rand(1, 3, 16, 24))
        assert (mr.shape[2:], hr.shape[2:]) == ((32, 48), (64, 96))
