"""The stages of preset ``lite``: residual blocks, for a laptop without a GPU."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.models.blocks import ResidualBlock, ShuffleUp, centre, conv


class LiteStage1(nn.Module):
    """G1 of preset ``lite``: residual blocks on the input grid, then one PixelShuffle.

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
        """(N, 3, H, W) → features (N, features, 2H, 2W) and residual picture (N, 3, 2H, 2W)."""
        x = self.head(lr)
        out: Tensor = self.blocks(x)
        features = self.upsample(out.add_(centre(x, *out.shape[2:])))
        return features, self.picture(features)

    @property
    def reach(self) -> int:
        """Pixels of the input grid that `trim` takes off the features on each side."""
        return 2 * len(self.blocks) + 2

    def trim(self) -> None:
        """Pad nothing: what lacks its context is not computed, and the features get smaller."""
        _pad_nothing(self)


class LiteStage2(nn.Module):
    """G2 of preset ``lite``: residual blocks on the 10× grid with a long skip, then one PixelShuffle to RGB.

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
        """(N, features, H, W) → residual picture (N, 3, 2H, 2W)."""
        out: Tensor = self.blocks(features)
        return functional.pixel_shuffle(self.picture(out.add_(centre(features, *out.shape[2:]))), 2)

    @property
    def reach(self) -> int:
        """Pixels of the 10× grid that `trim` takes off the features on each side, before the picture."""
        return 2 * len(self.blocks) + 1

    def trim(self) -> None:
        """As `LiteStage1.trim`."""
        _pad_nothing(self)


def _pad_nothing(stage: nn.Module) -> None:
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.padding = (0, 0)
