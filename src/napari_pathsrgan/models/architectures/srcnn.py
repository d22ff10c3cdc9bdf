"""The network ``srcnn`` (Dong et al. 2014): three convolutions on the bicubic enlargement, 0.02 M parameters."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import Field

from napari_pathsrgan.models.architecture import ONE_PHASE, Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator


class SrcnnOptions(ArchitectureOptions):
    """Size of the network ``srcnn``.

    Attributes
    ----------
    width : int
        Channels after the first convolution; half as many after the second.
    """

    width: int = Field(default=64, ge=2, le=256)


class Srcnn(Architecture):
    """Convolutions of 9, 1 and 5 px."""

    name = "srcnn"
    options = SrcnnOptions
    training = MappingProxyType({"alpha": 0.0, "beta": 0.0, **ONE_PHASE})

    def build(self, options: SrcnnOptions) -> Generator:
        """See `Architecture.build`."""
        from napari_pathsrgan.models.enlarged_stages import PassOn, SrcnnStage
        from napari_pathsrgan.models.generator import Generator

        return Generator(PassOn(residual=False), SrcnnStage(options.width), bicubic_skip=False)


ARCHITECTURE = Srcnn()
