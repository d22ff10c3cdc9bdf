"""The network ``progansr`` (Wang et al. 2018): a pyramid of dense compression units, 13.4 M parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from napari_pathsrgan.models.architecture import Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator


class ProgansrOptions(ArchitectureOptions):
    """Sizes of the network ``progansr``: as published by default; 32, 8, 4, 3 and 2 for 27 kMAC.

    Attributes
    ----------
    width, growth, layers : int
        Channels, channels that each layer of a unit adds, and layers of a unit.
    units1, units2 : int
        Units of both levels.
    """

    width: int = Field(default=160, ge=1, le=256)
    growth: int = Field(default=40, ge=1, le=64)
    layers: int = Field(default=8, ge=1, le=16)
    units1: int = Field(default=9, ge=1, le=16)
    units2: int = Field(default=3, ge=1, le=16)


class Progansr(Architecture):
    """Two levels, each with its own residual image."""

    name = "progansr"
    options = ProgansrOptions

    def build(self, options: ProgansrOptions) -> Generator:
        """See `Architecture.build`."""
        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.initialisation import initialise, initialise_residual
        from napari_pathsrgan.models.pyramid_stages import PyramidStage1, PyramidStage2

        sizes = options.width, options.growth, options.layers
        stage1, stage2 = PyramidStage1(*sizes, options.units1), PyramidStage2(*sizes, options.units2)
        for stage in (stage1, stage2):
            initialise(stage, slope=0.0)
            initialise_residual(stage.picture)
        return Generator(stage1, stage2, bicubic_skip=True)


ARCHITECTURE = Progansr()
