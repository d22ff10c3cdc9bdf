"""The two-stage generator: 1.172 µm/px → 0.586 µm/px (stage 1) → 0.293 µm/px (stage 2).

A stage gives a residual; `Generator` adds the bicubic enlargement of its input where the network has a global skip.
Stage 2 works on stage 1's feature maps, never on its image (Ma et al. 2020, § III-C).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple, Protocol

from torch import Tensor, nn

from napari_pathsrgan.models.blocks import BicubicEnlargement, centre

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


class ResidualChain(NamedTuple):
    """A generator as a chain of 3×3 convolutions with ReLUs inside residual blocks, for backends that compute those.

    On the input grid: ``head``, then ``blocks1`` with a skip around all of them, then ``upsample`` with a PixelShuffle
    by 2 and a ReLU. On the 10× grid: ``image1`` gives the 10× residual; ``blocks2`` with a skip around them, and
    ``image2`` with a PixelShuffle by 2, give the 20× residual.

    Attributes
    ----------
    head, upsample, image1, image2 : nn.Conv2d
    blocks1, blocks2 : sequence of (nn.Conv2d, nn.Conv2d)
        The two convolutions of each block, with a ReLU between them.
    """

    head: nn.Conv2d
    blocks1: Sequence[tuple[nn.Conv2d, nn.Conv2d]]
    upsample: nn.Conv2d
    image1: nn.Conv2d
    blocks2: Sequence[tuple[nn.Conv2d, nn.Conv2d]]
    image2: nn.Conv2d


class Tiling(Protocol):
    """What tiles have to know of a network, see `architecture.Architecture`."""

    @property
    def alignment_lr_px(self) -> int:
        """What a window's sides and place are multiples of."""

    @property
    def context_lr_px(self) -> int:
        """Context a tile takes on each side."""

    def trim(self, network: Generator) -> bool:
        """Change a network so that it computes only pixels whose context lies in the window."""

    def residual_chain(self, network: Generator) -> ResidualChain | None:
        """Give a network as a chain of 3×3 convolutions."""


class Generator(nn.Module):
    """Both stages, and the global bicubic skip where there is one.

    Parameters
    ----------
    stage1 : nn.Module
        (N, 3, H, W) → features on the 10× grid and the 10× image (N, 3, 2H, 2W). Its last layer is ``picture``.
    stage2 : nn.Module
        Features → 20× image (N, 3, 4H, 4W). Its last layer is ``picture``.
    bicubic_skip : bool
        Whether the images are residuals on the bicubic enlargement of the input. The skip is computed in float32
        whatever the stages' dtype, so half precision touches only the residual.

    Attributes
    ----------
    tiling : Tiling
        Set by `build.build_generator`.
    """

    tiling: Tiling

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
            10× and 20× images, unclamped.
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
            Where there is a skip the residuals, else the images, in the stages' dtype; None for stage 2 where it is
            not asked for.
        """
        features, mr = self.stage1(lr.to(self._dtype))
        return mr, self.stage2(features) if stage == 2 else None

    def mr_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Run stage 1 alone: features on the 10× grid in the stages' dtype, and the 10× image in float32."""
        features, mr = self.stage1(lr.to(self._dtype))
        return features, self._with_skip(self.enlarge2, lr, mr)

    def hr_from(self, features: Tensor, lr: Tensor) -> Tensor:
        """Run stage 2 on stage 1's features: the 20× image in float32."""
        return self._with_skip(self.enlarge4, lr, self.stage2(features))

    def _with_skip(self, enlarge: BicubicEnlargement, lr: Tensor, computed: Tensor) -> Tensor:
        if not self.bicubic_skip:
            return computed.float()
        return centre(enlarge(lr), *computed.shape[2:]).add_(computed)

    def trimmed(self) -> tuple[Generator, int] | None:
        """Make a copy for windows with context: it computes only pixels whose own context lies in the window.

        The images then end short of the window's, around the same centre, and what is left of them is the same.

        Returns
        -------
        tuple of Generator and int
            And the context it takes on each side, `halo_lr_px`. None for networks that can't be trimmed.
        """
        copied = copy.deepcopy(self)
        return (copied, self.halo_lr_px) if copied.tiling.trim(copied) else None

    def residual_chain(self) -> ResidualChain | None:
        """Give the network as a chain of 3×3 convolutions; None if it is none."""
        return self.tiling.residual_chain(self)

    @property
    def alignment_lr_px(self) -> int:
        """What a window's sides and its place on the slide are multiples of, input pixels."""
        return self.tiling.alignment_lr_px

    @property
    def halo_lr_px(self) -> int:
        """Context a tile takes on each side, input pixels."""
        return self.tiling.context_lr_px

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.stage2.parameters()).dtype

    def cast_stages(self, dtype: torch.dtype) -> None:
        """Cast the stages' weights, leaving the bicubic skip in float32."""
        self.stage1.to(dtype)
        self.stage2.to(dtype)
