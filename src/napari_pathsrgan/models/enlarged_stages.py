"""Networks that work on the bicubic enlargement of the 4× scan: SRCNN, VDSR and the U-Net of Wang et al. 2019.

They have no 10× image of their own: stage 1 hands the input on, and its image is the enlargement by 2.
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.models.blocks import BicubicEnlargement, conv


class PassOn(nn.Module):
    """A stage 1 that hands its input on.

    Parameters
    ----------
    residual : bool
        Whether its image is a residual on the bicubic enlargement, that is 0, or the enlargement itself.
    """

    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.enlarge = BicubicEnlargement(2)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → the same, and an image (N, 3, 2H, 2W)."""
        image = self.enlarge(lr).to(lr.dtype)
        return lr, image * 0 if self.residual else image


class SrcnnStage(nn.Module):
    """SRCNN: convolutions of 9, 1 and 5 px on the enlarged image (Dong et al. 2014, § IV).

    Parameters
    ----------
    width : int
        Channels after the first convolution; half as many after the second.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enlarge = BicubicEnlargement(4)
        self.body = nn.Sequential(
            conv(3, width, 9), nn.ReLU(inplace=True), conv(width, width // 2, 1), nn.ReLU(inplace=True)
        )
        self.picture = conv(width // 2, 3, 5)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) → image (N, 3, 4H, 4W)."""
        out: Tensor = self.picture(self.body(self.enlarge(lr).to(lr.dtype)))
        return out


class VdsrStage(nn.Module):
    """VDSR: 3×3 convolutions with ReLUs on the enlarged image, which give a residual (Kim et al. 2016, § 3).

    Parameters
    ----------
    width, layers : int
        Channels and convolutions, the last of which gives the residual.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.enlarge = BicubicEnlargement(4)
        widths = [3] + [width] * (layers - 1)
        self.body = nn.Sequential(
            *(nn.Sequential(conv(a, b), nn.ReLU(inplace=True)) for a, b in itertools.pairwise(widths))
        )
        self.picture = conv(widths[-1], 3)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) → residual (N, 3, 4H, 4W)."""
        out: Tensor = self.picture(self.body(self.enlarge(lr).to(lr.dtype)))
        return out


class _ThreeConvolutions(nn.Module):
    """Three 3×3 convolutions with LeakyReLU, the input added with channels of zeros."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(inputs if index == 0 else width, width) for index in range(3))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.layers:
            out = functional.leaky_relu(layer(out), 0.1)
        common = min(x.shape[1], out.shape[1])
        return out + functional.pad(x[:, :common], (0, 0, 0, 0, 0, out.shape[1] - common))


class WangStage(nn.Module):
    """A U-Net of four poolings on the enlarged image, after Wang et al. 2019 (*Nature Methods* 16: 103–110).

    Widths and rates are ours: the article's text does not give them.

    Parameters
    ----------
    width : int
        Channels of the first level; each further one has twice as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enlarge = BicubicEnlargement(4)
        widths = [width * 2**level for level in range(5)]
        inputs = [3, *widths[:-1]]
        self.down = nn.ModuleList(_ThreeConvolutions(a, b) for a, b in zip(inputs, widths, strict=True))
        self.up = nn.ModuleList(_ThreeConvolutions(3 * one, one) for one in reversed(widths[:-1]))
        self.picture = conv(width, 3)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) → residual (N, 3, 4H, 4W); H and W multiples of 4."""
        x, skips = self.enlarge(lr).to(lr.dtype), []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else functional.avg_pool2d(x, 2))
            skips.append(x)
        for skip, block in zip(reversed(skips[:-1]), self.up, strict=True):
            larger = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([skip, larger], dim=1))
        return cast("Tensor", self.picture(x))
