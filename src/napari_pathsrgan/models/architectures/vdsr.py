"""The network ``vdsr`` (Kim et al. 2016): 20 convolutions on the bicubic enlargement, 0.67 M parameters."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import Field

from napari_pathsrgan.models.architecture import ONE_PHASE, Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator


class VdsrOptions(ArchitectureOptions):
    """Sizes of the network ``vdsr``: as published by default; width 13 for 28 kMAC.

    Attributes
    ----------
    width, layers : int
        Channels and convolutions.
    """

    width: int = Field(default=64, ge=1, le=256)
    layers: int = Field(default=20, ge=2, le=64)


class Vdsr(Architecture):
    """Convolutions of 3 px that give a residual."""

    name = "vdsr"
    options = VdsrOptions
    training = MappingProxyType({"alpha": 0.0, "beta": 0.0, **ONE_PHASE})

    def build(self, options: VdsrOptions) -> Generator:
        """See `Architecture.build`."""
        from napari_pathsrgan.models.enlarged_stages import PassOn, VdsrStage
        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.initialisation import initialise, initialise_residual

        stage2 = VdsrStage(options.width, options.layers)
        initialise(stage2, slope=0.0)
        initialise_residual(stage2.picture)
        return Generator(PassOn(residual=True), stage2, bicubic_skip=True)


ARCHITECTURE = Vdsr()
