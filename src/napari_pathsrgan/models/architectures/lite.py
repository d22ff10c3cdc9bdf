"""The network ``lite``, ours for a laptop without a GPU: 0.35 M parameters, 30 kMAC per 20× pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from napari_pathsrgan.models.architecture import Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator, ResidualChain


class LiteOptions(ArchitectureOptions):
    """Sizes of the network ``lite``; the bounds keep it below 600 MB.

    Attributes
    ----------
    width, blocks1 : int
        Channels and residual blocks on the input grid.
    features, blocks2 : int
        Channels and residual blocks on the 10× grid.
    """

    width: int = Field(default=48, ge=0, le=256)
    blocks1: int = Field(default=6, ge=0, le=64)
    features: int = Field(default=32, ge=0, le=256)
    blocks2: int = Field(default=2, ge=0, le=64)


class Lite(Architecture):
    """Residual blocks of 3×3 convolutions over a bicubic skip."""

    name = "lite"
    options = LiteOptions

    def build(self, options: LiteOptions) -> Generator:
        """See `Architecture.build`."""
        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.initialisation import initialise_near_bicubic
        from napari_pathsrgan.models.lite_stages import LiteStage1, LiteStage2

        stage1 = LiteStage1(options.width, options.blocks1, options.features)
        network = Generator(stage1, LiteStage2(options.features, options.blocks2), bicubic_skip=True)
        initialise_near_bicubic(network)
        return network

    def trim(self, network: Generator) -> bool:
        """Pad nothing: what lacks its context is not computed, and the features get smaller from layer to layer."""
        from napari_pathsrgan.models.blocks import pad_nothing

        pad_nothing(network.stage1)
        pad_nothing(network.stage2)
        return True

    def residual_chain(self, network: Generator) -> ResidualChain | None:
        """See `Architecture.residual_chain`."""
        from napari_pathsrgan.models.lite_stages import residual_chain

        return residual_chain(network)


ARCHITECTURE = Lite()
