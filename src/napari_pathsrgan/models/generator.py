"""The two-stage generators: 1.172 µm/px → 0.586 µm/px (G1) → 0.293 µm/px (G2).

A stage gives a residual; `Generator` adds the bicubic enlargement of its input where the preset has a global skip.
G2 works on G1's feature maps, never on its picture (Ma et al. 2020, § III-C).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.models.blocks import (
    BicubicEnlargement,
    DenseAdditionBlock,
    DenseStackingBlock,
    ShuffleUp,
    centre,
    conv,
)
from napari_pathsrgan.models.lite import LiteStage1, LiteStage2

DenseSum = Literal["running", "literal"]

_UNET_HALO_LR_PX = 32


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
    """G1 of presets ``paper`` and ``authors``: a U-Net of dense blocks by addition (Ma et al. 2020, Figs 4 and 5).

    Parameters
    ----------
    widths : sequence of 3 int
        Channels of the three levels; the bottom has twice the last.
    picture_kernel : int
        Kernel of the convolution to the 10× picture: 9 in the paper, 7 in the authors' network.
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
        """(N, 3, H, W) → features (N, widths[0], 2H, 2W) and picture (N, 3, 2H, 2W), unclamped."""
        skip1 = self.down1(self.head(lr))
        skip2 = self.down2(functional.avg_pool2d(skip1, 2))
        skip3 = self.down3(functional.avg_pool2d(skip2, 2))
        x = self.bottom(functional.avg_pool2d(skip3, 2))
        x = self.up3(skip1, self.up2(skip2, self.up1(skip3, x)))
        features = self.upsample(x)
        return features, self.picture(features)


class StackingStage(nn.Module):
    """G2 of preset ``paper``: two dense blocks by concatenation, one long skip, one PixelShuffle (§ III-C).

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
        """(N, width, H, W) → picture (N, 3, 2H, 2W), unclamped."""
        x = self.entry(features)
        x = x + self.exit(self.blocks(x))
        out: Tensor = self.picture(self.upsample(x))
        return out


class AuthorsStage(nn.Module):
    """G2 of preset ``authors``: the network of the authors' released code, so that their checkpoint loads."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(DenseAdditionBlock(64, 0.01, "literal"), nn.PReLU())
        self.second = nn.Sequential(conv(64, 128), nn.PReLU(), DenseAdditionBlock(128, 0.01, "literal"), nn.PReLU())
        self.upsample = ShuffleUp(128, 128, nn.PReLU())
        self.picture = conv(128, 3, 9)

    def forward(self, features: Tensor) -> Tensor:
        """(N, 64, H, W) → picture (N, 3, 2H, 2W), 0 to 1."""
        return torch.sigmoid(self.picture(self.upsample(self.second(self.first(features)))))


class Generator(nn.Module):
    """Both stages, and the global bicubic skip where there is one.

    Parameters
    ----------
    stage1, stage2 : nn.Module
        See above.
    bicubic_skip : bool
        Whether the pictures are residuals on the bicubic enlargement of the input. The skip is computed in float32
        whatever the stages' dtype, so half precision touches only the residual.
    """

    def __init__(self, stage1: nn.Module, stage2: nn.Module, bicubic_skip: bool) -> None:
        super().__init__()
        self.stage1 = stage1
        self.stage2 = stage2
        self.bicubic_skip = bicubic_skip
        self.enlarge2 = BicubicEnlargement(2)
        self.enlarge4 = BicubicEnlargement(4)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Super-resolve to both grids.

        Parameters
        ----------
        lr : (N, 3, H, W) float32
            RGB, 0 to 1, at 1.172 µm/px; H and W multiples of 8.

        Returns
        -------
        tuple of (N, 3, 2H, 2W) and (N, 3, 4H, 4W) float32
            10× and 20× pictures, unclamped.
        """
        features, mr = self.mr_features(lr)
        return mr, self.hr_from(features, lr)

    def stages(self, lr: Tensor, stage: int) -> tuple[Tensor, Tensor | None]:
        """Run both stages, or the first alone, without the bicubic skip.

        Parameters
        ----------
        lr : (N, 3, H, W) float32
        stage : {1, 2}

        Returns
        -------
        tuple of Tensor
            Where there is a skip the residuals, else the pictures, in the stages' dtype; None for stage 2 where it is
            not asked for.
        """
        features, mr = self.stage1(lr.to(self._dtype))
        return mr, self.stage2(features) if stage == 2 else None

    def mr_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Run stage 1 alone: features on the 10× grid in the stages' dtype, and the 10× picture in float32."""
        features, mr = self.stage1(lr.to(self._dtype))
        return features, self._with_skip(self.enlarge2, lr, mr)

    def hr_from(self, features: Tensor, lr: Tensor) -> Tensor:
        """Run stage 2 on stage 1's features: the 20× picture in float32."""
        return self._with_skip(self.enlarge4, lr, self.stage2(features))

    def _with_skip(self, enlarge: BicubicEnlargement, lr: Tensor, computed: Tensor) -> Tensor:
        if not self.bicubic_skip:
            return computed.float()
        return centre(enlarge(lr), *computed.shape[2:]).add_(computed)

    def trimmed(self) -> tuple[Generator, int] | None:
        """Make a copy for windows with context: it computes only pixels whose own context lies in the window.

        The pictures then end short of the window's, around the same centre, and what is left of them is the same.

        Returns
        -------
        tuple of Generator and int
            And the context it takes on each side, `halo_lr_px`. None for networks whose layers need a window of even
            halves.
        """
        if not (isinstance(self.stage1, LiteStage1) and isinstance(self.stage2, LiteStage2)):
            return None
        copied = copy.deepcopy(self)
        for stage in (copied.stage1, copied.stage2):
            assert isinstance(stage, LiteStage1 | LiteStage2)
            stage.trim()
        return copied, self.halo_lr_px

    @property
    def halo_lr_px(self) -> int:
        """Context a tile takes on each side, input pixels.

        All that the layers look at where that is little. The U-Nets' look farther than their 32 px, and their tiles
        equal the same pixels of one big pass within a grey level (ours, measured: ``python benchmarks/exactness.py``).
        """
        if isinstance(self.stage1, LiteStage1) and isinstance(self.stage2, LiteStage2):
            return self.stage1.reach + -(-self.stage2.reach // 2)
        return _UNET_HALO_LR_PX

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.stage1.parameters()).dtype

    def cast_stages(self, dtype: torch.dtype) -> None:
        """Cast the stages' weights, leaving the bicubic skip in float32."""
        self.stage1.to(dtype)
        self.stage2.to(dtype)
