"""The network ``edsr`` (Lim et al. 2017): 1.5 M parameters in the baseline, 43 M in full."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import Field

from napari_pathsrgan.models.architecture import ONE_PHASE, Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator


class EdsrOptions(ArchitectureOptions):
    """Sizes of the network ``edsr``: the baseline's by default; 256, 32 and 0.1 in full; 32 and 14 for 29 kMAC.

    Attributes
    ----------
    width, blocks : int
        Channels and residual blocks.
    scale : float
        Of what a residual block adds.
    """

    width: int = Field(default=64, ge=1, le=256)
    blocks: int = Field(default=16, ge=1, le=64)
    scale: float = Field(default=1.0, gt=0, le=1)


class Edsr(Architecture):
    """Residual blocks without normalisation, and two PixelShuffles."""

    name = "edsr"
    options = EdsrOptions
    training = MappingProxyType({"pixel_loss": "charbonnier", "alpha": 0.0, "beta": 0.0, **ONE_PHASE})

    def build(self, options: EdsrOptions) -> Generator:
        """See `Architecture.build`."""
        from torch import nn

        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.residual_stages import EdsrStage1, ShuffleTail

        stage1 = EdsrStage1(options.width, options.blocks, options.scale)
        return Generator(stage1, ShuffleTail(options.width, nn.Identity(), 3), bicubic_skip=False)


ARCHITECTURE = Edsr()
