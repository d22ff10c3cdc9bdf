"""The discriminators D1 (10×) and D2 (20×): PatchGAN, one answer for each place (Ma et al. 2020, § III-C)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Down = Literal["max", "stride"]
Norm = Literal["batch", "spectral"]

_SLOPE = 0.2
REDUCTION = 32
"""Input pixels per answer along each axis: 8 × 8 answers at 256 px, as we read the paper's "8 × 8 patches"."""


class PatchDiscriminator(nn.Module):
    """Fully convolutional; says of each place how likely it is to be of a real picture.

    Parameters
    ----------
    width : int
        Channels of the first of five levels; 64 in the authors' code, each level doubling it.
    down : {"max", "stride"}
        Halve by max-pooling (the paper) or by the stride of a level's last convolution (the authors' code).
    norm : {"batch", "spectral"}
        Batch normalisation (the authors' code), or spectral normalisation of the weights instead (as Real-ESRGAN has
        it), which doesn't depend on what else is in the batch.
    """

    def __init__(self, width: int = 64, down: Down = "max", norm: Norm = "batch") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for level in range(4):
            outputs = width * 2**level
            layers += _convolution(inputs, outputs, norm, plain=level == 0)
            layers += _convolution(outputs, outputs, norm, stride=2 if down == "stride" else 1)
            if down == "max":
                layers.append(nn.MaxPool2d(2))
            inputs = outputs
        layers += _convolution(inputs, 16 * width, norm, stride=2 if down == "stride" else 1)
        if down == "max":
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(16 * width, 1, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) float, RGB, 0 to 1, H and W at least 32 → logits (N, 1, H/32, W/32), positive for real."""
        logits: Tensor = self.layers(picture)
        return logits.float()


def _convolution(inputs: int, outputs: int, norm: Norm, plain: bool = False, stride: int = 1) -> list[nn.Module]:
    made: nn.Module = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    nn.init.kaiming_normal_(made.weight, a=_SLOPE)  # type: ignore[arg-type]
    nn.init.zeros_(made.bias)  # type: ignore[arg-type]
    between: list[nn.Module] = []
    if norm == "spectral":
        made = spectral_norm(made)
    elif not plain:
        between = [nn.BatchNorm2d(outputs)]
    return [made, *between, nn.LeakyReLU(_SLOPE, inplace=True)]


def judge(discriminator: nn.Module, picture: Tensor) -> Tensor:
    """Ask about a picture that may leave 0 to 1 a little, as computed ones do: it is not told apart by that alone."""
    return torch.as_tensor(discriminator(picture.clamp(0, 1)))
