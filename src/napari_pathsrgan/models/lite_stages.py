"""The stages of the network ``lite``: residual blocks, for a laptop without a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.models.blocks import ResidualBlock, ShuffleUp, centre, conv
from napari_pathsrgan.models.generator import ResidualChain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_pathsrgan.models.generator import Generator


class LiteStage1(nn.Module):
    """G1 of ``lite``: residual blocks on the input grid, then one PixelShuffle.

    Parameters
    ----------
    width : int
        Channels on the input grid.
    blocks : int
        Residual blocks.
    features : int
        Channels handed to stage 2 on the 10× grid.
    """

    def __init__(self, width: int = 48, blocks: int = 6, features: int = 32) -> None:
        super().__init__()
        self.head = conv(3, width)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.upsample = ShuffleUp(width, features, nn.ReLU(inplace=True))
        self.picture = conv(features, 3)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → features (N, features, 2H, 2W) and residual image (N, 3, 2H, 2W)."""
        x = self.head(lr)
        out: Tensor = self.blocks(x)
        features = self.upsample(out.add_(centre(x, *out.shape[2:])))
        return features, self.picture(features)


class LiteStage2(nn.Module):
    """G2 of ``lite``: residual blocks on the 10× grid with a long skip, then one PixelShuffle to RGB.

    Parameters
    ----------
    features : int
        Channels from stage 1.
    blocks : int
        Residual blocks.
    """

    def __init__(self, features: int = 32, blocks: int = 2) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)))
        self.picture = conv(features, 12)

    def forward(self, features: Tensor) -> Tensor:
        """(N, features, H, W) → residual image (N, 3, 2H, 2W)."""
        out: Tensor = self.blocks(features)
        return functional.pixel_shuffle(self.picture(out.add_(centre(features, *out.shape[2:]))), 2)


def residual_chain(network: Generator) -> ResidualChain:
    """Give a network of these stages as a chain of 3×3 convolutions."""
    stage1, stage2 = cast("LiteStage1", network.stage1), cast("LiteStage2", network.stage2)
    return ResidualChain(
        stage1.head,
        _convolutions(stage1.blocks),
        stage1.upsample.conv,
        stage1.picture,
        _convolutions(stage2.blocks),
        stage2.picture,
    )


def _convolutions(blocks: nn.Sequential) -> list[tuple[nn.Conv2d, nn.Conv2d]]:
    return [(block.first, block.second) for block in cast("Iterable[ResidualBlock]", blocks)]
