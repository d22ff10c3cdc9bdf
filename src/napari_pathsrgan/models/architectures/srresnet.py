"""The network ``srresnet``, the generator of SRGAN (Ledig et al. 2017): 1.5 M parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from napari_pathsrgan.models.architecture import ONE_PHASE, Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator


class SrresnetOptions(ArchitectureOptions):
    """Sizes of the network ``srresnet``: as published by default; 32 and 8 for 30 kMAC.

    Attributes
    ----------
    width, blocks : int
        Channels and residual blocks.
    """

    width: int = Field(default=64, ge=1, le=256)
    blocks: int = Field(default=16, ge=1, le=64)


class Srresnet(Architecture):
    """Residual blocks with batch normalisation, and two PixelShuffles; with the adversarial loss it is SRGAN."""

    name = "srresnet"
    options = SrresnetOptions
    training = ONE_PHASE

    def build(self, options: SrresnetOptions) -> Generator:
        """See `Architecture.build`."""
        from torch import nn

        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.residual_stages import ShuffleTail, SrresnetStage1

        stage1 = SrresnetStage1(options.width, options.blocks, picture_kernel=3)
        return Generator(stage1, ShuffleTail(options.width, nn.PReLU(), 9), bicubic_skip=False)


ARCHITECTURE = Srresnet()
