"""Stages of ProGanSR: a pyramid of dense compression units (Wang et al. 2018, "A fully progressive approach")."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.models.blocks import ShuffleUp, conv

RESIDUAL_SCALE = 0.2
_BOTTLENECK = 4


class DenseCompressionUnit(nn.Module):
    """Densely connected layers of a 1×1 and a 3×3 convolution, and a 1×1 convolution back to the unit's width.

    Parameters
    ----------
    width : int
        Channels in and out.
    growth : int
        Channels that each layer adds; four times as many lie between its two convolutions.
    layers : int
    """

    def __init__(self, width: int, growth: int, layers: int) -> None:
        super().__init__()
        between = _BOTTLENECK * growth
        self.squeeze = nn.ModuleList(conv(width + index * growth, between, 1) for index in range(layers))
        self.grow = nn.ModuleList(conv(between, growth) for _ in range(layers))
        self.last = conv(width + layers * growth, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) float → the same shape."""
        stack = [x]
        for squeeze, grow in zip(self.squeeze, self.grow, strict=True):
            inner = squeeze(functional.relu(torch.cat(stack, dim=1)))
            stack.append(grow(functional.relu(inner)))
        out: Tensor = x + RESIDUAL_SCALE * self.last(functional.relu(torch.cat(stack, dim=1)))
        return out


class PyramidLevel(nn.Module):
    """One level of the pyramid: units with a skip around them, a PixelShuffle by 2, a convolution to a residual image.

    Parameters
    ----------
    width, growth, layers : int
        See `DenseCompressionUnit`.
    units : int
    """

    def __init__(self, width: int, growth: int, layers: int, units: int) -> None:
        super().__init__()
        self.units = nn.Sequential(
            *(DenseCompressionUnit(width, growth, layers) for _ in range(units)), conv(width, width)
        )
        self.upsample = ShuffleUp(width, width, nn.Identity())
        self.picture = conv(width, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, width, H, W) → features (N, width, 2H, 2W) and residual image (N, 3, 2H, 2W)."""
        features: Tensor = self.upsample(x + self.units(x))
        return features, self.picture(features)


class PyramidStage1(nn.Module):
    """The first level with the convolution before it; see `PyramidLevel`."""

    def __init__(self, width: int, growth: int, layers: int, units: int) -> None:
        super().__init__()
        self.head = conv(3, width)
        self.level = PyramidLevel(width, growth, layers, units)

    @property
    def picture(self) -> nn.Module:
        """The convolution to the 10× residual."""
        return self.level.picture

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → features (N, width, 2H, 2W) and residual image (N, 3, 2H, 2W)."""
        features, image = self.level(self.head(lr))
        return features, image


class PyramidStage2(PyramidLevel):
    """The second level; see `PyramidLevel`."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(N, width, H, W) → residual image (N, 3, 2H, 2W)."""
        return super().forward(x)[1]
