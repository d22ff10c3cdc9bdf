"""The same pixels from every device; those of a CUDA device need one and are marked ``cuda``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.inference.networks import SMALL, lively

from napari_pathsrgan.inference.backend import Precision
from napari_pathsrgan.inference.engine import Engine
from napari_pathsrgan.models.card import ModelCard

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
NETWORKS = [("lite", SMALL), ("paper", {"width": 8})]
HALO = 32


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise whose neighbours are alike, as those of a scan are."""
    noise = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic")[0].clamp(0, 1)
    return (255 * smooth).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def an_engine(device: str, preset: str, options: dict[str, int], precision: Precision = "fp32") -> Engine:
    card = ModelCard(name=preset, preset=preset, preset_options=options)
    return Engine(lively(preset, **options), card, device, precision, "torch")


def share_apart(one: np.ndarray, other: np.ndarray, levels: int = 1) -> float:
    return float((np.abs(one.astype(np.int16) - other) > levels).mean())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("preset", "options"), NETWORKS, ids=["lite", "paper"])
def test_a_device_gives_the_pixels_of_the_cpu(device: str, preset: str, options: dict[str, int]) -> None:
    image = texture(64, 96)
    for own, wanted in zip(
        an_engine(device, preset, options).apply(image), an_engine("cpu", preset, options).apply(image), strict=True
    ):
        assert share_apart(own, wanted) <= 1e-3


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("preset", "options"), NETWORKS, ids=["lite", "paper"])
def test_a_tile_computed_alone_is_that_of_one_big_pass(device: str, preset: str, options: dict[str, int]) -> None:
    engine = an_engine(device, preset, options)
    image = texture(128, 128)
    whole = engine.apply(image)[1]
    window = np.ascontiguousarray(image[:96, 16:112])
    _, tile, _ = engine.run(window, 2, halo=HALO)
    assert tile is not None
    assert share_apart(tile, whole[4 * HALO : 4 * 64, 4 * 48 : 4 * 80]) <= 1e-3


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        ("cpu", "bf16"),
        pytest.param("cuda", "bf16", marks=pytest.mark.cuda),
        pytest.param("cuda", "fp16", marks=pytest.mark.cuda),
    ],
)
def test_half_precision_is_close(device: str, precision: Precision) -> None:
    image = texture(64, 64)
    half, exact = (an_engine(device, "lite", SMALL, one).apply(image)[1] for one in (precision, "fp32"))  # type: ignore[arg-type]
    assert share_apart(half, exact, levels=2) <= 0.01


@pytest.mark.parametrize("device", DEVICES)
def test_the_fastest_way_of_a_device_is_true_to_fp32(device: str) -> None:
    card = ModelCard(name="lite", preset="lite", preset_options=SMALL)
    engine = Engine(lively("lite", **SMALL), card, device)
    image = texture(64, 64)
    assert share_apart(engine.apply(image)[1], an_engine("cpu", "lite", SMALL).apply(image)[1]) <= 5e-3


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", [1, 3])
def test_the_layout_in_memory_changes_no_pixel(device: str, batch: int) -> None:
    network = lively("paper", width=8).to(device)
    lr = torch.rand(batch, 3, 32, 48, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.inference_mode():
        plain = network(lr)[1]
        network.to(memory_format=torch.channels_last)
        last = network(lr.to(memory_format=torch.channels_last))[1]
    assert float(((plain - last).abs() > 1 / 255).float().mean()) <= 1e-3
