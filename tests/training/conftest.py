"""Pairs of two synthetic fields, one to learn from and one to measure on; networks so small that one thread is best."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_pathsrgan.models.perceptual import PerceptualCard, PerceptualNetwork, save_perceptual
from napari_pathsrgan.phantom.field_image import phantom_field
from napari_pathsrgan.registration.fields import MPP_HR, make_field
from napari_pathsrgan.registration.from_fields import append_field
from napari_pathsrgan.training.config import TrainingConfig

torch.set_num_threads(1)

TINY = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "phantoms.zarr"
    for seed, split in ((1, "train"), (2, "test")):
        side = 1100 if split == "test" else None  # every training here measures on all of it
        field = make_field(f"phantom {seed}", phantom_field(seed)[:side, :side], MPP_HR, 2, 0)
        append_field(path, f"phantom {seed}", {"fingerprints": {"phantom": seed}}, field, 0.05, split)
    return path


@pytest.fixture(scope="session")
def small_perceptual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = PerceptualNetwork(4).frozen()
    network.calibrate(torch.rand(4, 3, 64, 64))
    path = tmp_path_factory.mktemp("perceptual") / "small.safetensors"
    save_perceptual(network, PerceptualCard(name="small", width=4), path)
    return path


@pytest.fixture
def a_config(pairs: Path, small_perceptual: Path) -> TrainingConfig:
    """All losses, all phases, three steps each."""
    return TrainingConfig(
        pairs=(pairs,), preset="lite", preset_options=TINY, epochs=(1, 1, 1), epoch_steps=3, batch_size=2,
        patch_lr_px=16, perceptual=str(small_perceptual), discriminator_width=2, discriminator_norm="spectral",
        grad_clip_norm=1.0, ema=0.999,
    )  # fmt: skip
