"""Stages of dense blocks: the paper's network and that of the authors' released code (Ma et al. 2020, § III-C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.models.blocks import DenseAdditionBlock, DenseStackingBlock, ShuffleUp, conv

DenseSum = Literal["running", "literal"]


class _DownBlock(nn.Module):
    def __init__(self, inputs: int, width: int, block: _BlockSettings, entry: Literal["none", "linear", "prelu"]):
        super().__init__()
        self.entry = nn.Identity() if entry == "none" else conv(inputs, width)
        self.activation = nn.PReLU() if entry == "prelu" else nn.Identity()
        self.blocks = nn.Sequential(block.build(width), block.build(width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.activation(self.entry(x)))
        return out


class _UpBlock(nn.Module):
    def __init__(self, inputs: int, width: int, outputs: int, block: _BlockSettings):
        super().__init__()
        self.entry = nn.Sequential(conv(inputs, width), nn.PReLU())
        self.blocks = nn.Sequential(block.build(width), block.build(width))
        self.exit = nn.Sequential(conv(width, outputs), nn.PReLU())

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        stacked = torch.cat([skip, functional.interpolate(x, scale_factor=2, mode="nearest")], dim=1)
        out: Tensor = self.exit(self.blocks(self.entry(stacked)))
        return out


class _BlockSettings:
    def __init__(self, negative_slope: float, dense_sum: DenseSum) -> None:
        self.negative_slope = negative_slope
        self.dense_sum = dense_sum

    def build(self, width: int) -> DenseAdditionBlock:
        return DenseAdditionBlock(width, self.negative_slope, self.dense_sum)


class DenseUNet(nn.Module):
    """G1 of the networks ``paper`` and ``authors``: a U-Net of dense blocks by addition (Ma et al. 2020, Figs 4 and 5).

    Parameters
    ----------
    widths : sequence of 3 int
        Channels of the three levels; the bottom has twice the last.
    picture_kernel : int
        Kernel of the convolution to the 10× image: 9 in the paper, 7 in the authors' network.
    negative_slope : float
        LeakyReLU in the dense blocks.
    dense_sum : {"running", "literal"}
        See `DenseAdditionBlock`.
    first_level_entry : bool
        Whether the first level begins with a 3×3 convolution (paper) or not (authors).
    entry_activation : bool
        Whether the levels' entry convolutions are followed by a PReLU (paper) or not (authors).

    Notes
    -----
    Height and width must be multiples of 8, since three poolings halve them.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256),
        picture_kernel: int = 9,
        negative_slope: float = 0.1,
        dense_sum: DenseSum = "running",
        first_level_entry: bool = True,
        entry_activation: bool = True,
    ) -> None:
        super().__init__()
        first, second, third = widths
        block = _BlockSettings(negative_slope, dense_sum)
        entry: Literal["linear", "prelu"] = "prelu" if entry_activation else "linear"
        self.head = nn.Sequential(conv(3, first, 9), nn.PReLU())
        self.down1 = _DownBlock(first, first, block, entry if first_level_entry else "none")
        self.down2 = _DownBlock(first, second, block, entry)
        self.down3 = _DownBlock(second, third, block, entry)
        self.bottom = nn.Sequential(
            conv(third, 2 * third), nn.PReLU(),
            conv(2 * third, 2 * third), nn.PReLU(),
            conv(2 * third, third), nn.PReLU(),
        )  # fmt: skip
        self.up1 = _UpBlock(2 * third, third, second, block)
        self.up2 = _UpBlock(2 * second, second, first, block)
        self.up3 = _UpBlock(2 * first, first, first, block)
        self.upsample = ShuffleUp(first, first, nn.PReLU())
        self.picture = conv(first, 3, picture_kernel)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → features (N, widths[0], 2H, 2W) and image (N, 3, 2H, 2W), unclamped."""
        skip1 = self.down1(self.head(lr))
        skip2 = self.down2(functional.avg_pool2d(skip1, 2))
        skip3 = self.down3(functional.avg_pool2d(skip2, 2))
        x = self.bottom(functional.avg_pool2d(skip3, 2))
        x = self.up3(skip1, self.up2(skip2, self.up1(skip3, x)))
        features = self.upsample(x)
        return features, self.picture(features)


class StackingStage(nn.Module):
    """G2 of the network ``paper``: two dense blocks by concatenation, one long skip, one PixelShuffle (§ III-C).

    Parameters
    ----------
    width : int
        Channels of G1's features and of the stage. Each layer of a dense block adds half as many: 32 of 64.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        growth = max(1, width // 2)
        self.entry = conv(width, width)
        self.blocks = nn.Sequential(DenseStackingBlock(width, growth), DenseStackingBlock(width, growth))
        self.exit = conv(width, width)
        self.upsample = ShuffleUp(width, width, nn.LeakyReLU(0.1))
        self.picture = conv(width, 3, 9)

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) → image (N, 3, 2H, 2W), unclamped."""
        x = self.entry(features)
        x = x + self.exit(self.blocks(x))
        out: Tensor = self.picture(self.upsample(x))
        return out


class AuthorsStage(nn.Module):
    """G2 of the network ``authors``: the network of the authors' released code, so that their checkpoint loads."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(DenseAdditionBlock(64, 0.01, "literal"), nn.PReLU())
        self.second = nn.Sequential(conv(64, 128), nn.PReLU(), DenseAdditionBlock(128, 0.01, "literal"), nn.PReLU())
        self.upsample = ShuffleUp(128, 128, nn.PReLU())
        self.picture = conv(128, 3, 9)

    def forward(self, features: Tensor) -> Tensor:
        """(N, 64, H, W) → image (N, 3, 2H, 2W), 0 to 1."""
        return torch.sigmoid(self.picture(self.upsample(self.second(self.first(features)))))
