"""Networks with random weights whose pictures vary over the whole range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_pathsrgan.inference.backend import BackendName, Precision
from napari_pathsrgan.inference.engine import Engine
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import save_generator
from napari_pathsrgan.models.generator import Generator

TINY = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}
SMALL = {"width": 16, "blocks1": 2, "features": 16, "blocks2": 1}
"""With channels enough for Winograd's lanes."""


def lively(preset: str, residual_scale: float = 0.4, seed: int = 0, **options: Any) -> Generator:
    """Build a generator of random weights.

    Parameters
    ----------
    preset, **options
        See `build_generator`.
    residual_scale : float
        Factor on Kaiming's initialisation. Trained networks are about as local as 0.4; from 0.6 on a random U-Net is
        chaotic, and every pixel depends on every other.
    seed : int

    Returns
    -------
    Generator
        Pictures of mean 0.5 and s.d. 0.25; with a bicubic skip, residuals of s.d. 0.1.
    """
    torch.manual_seed(seed)
    network = build_generator(preset, **options).eval()
    residual = network.bicubic_skip
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.2)
                module.weight.mul_(residual_scale)
        features, mr = network.stage1(torch.rand(1, 3, 16, 16))
        hr = network.stage2(features)
        sigmoid = preset == "authors"
        for stage, out in ((network.stage1, mr), (network.stage2, torch.logit(hr, 1e-6) if sigmoid else hr)):
            squashed = sigmoid and stage is network.stage2
            scale = (0.1 if residual else 1.0 if squashed else 0.25) / out.std()
            stage.picture.weight.mul_(scale)
            stage.picture.bias.fill_(0.0 if residual or squashed else float(0.5 - scale * out.mean()))
    return network


def engine(
    preset: str = "lite", precision: Precision = "fp32", backend: BackendName = "auto", **options: Any
) -> Engine:
    """Put a lively network on the CPU."""
    return Engine(lively(preset, **options), ModelCard(name=preset, preset=preset), "cpu", precision, backend)


def tiny_engine() -> Engine:
    """Put a network on the CPU that computes a window in milliseconds."""
    return engine("lite", **TINY)


def write_tiny_model(path: Path, seed: int = 0) -> Path:
    """Write such a network to a file."""
    card = ModelCard(name=path.stem, preset="lite", preset_options=TINY)
    save_generator(lively("lite", seed=seed, **TINY), card, path)
    return path
