"""The network ``wang``: a U-Net on the bicubic enlargement, after Wang et al. 2019; widths and rates are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from napari_pathsrgan.models.architecture import ONE_PHASE, Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator


class WangOptions(ArchitectureOptions):
    """Size of the network ``wang``: width 10 for 29 kMAC.

    Attributes
    ----------
    width : int
        Channels of the first level.
    """

    width: int = Field(default=32, ge=1, le=64)


class Wang(Architecture):
    """A U-Net of four poolings with a global skip."""

    name = "wang"
    options = WangOptions
    training = ONE_PHASE
    alignment_lr_px = 4  # four poolings on the 20× grid

    def build(self, options: WangOptions) -> Generator:
        """See `Architecture.build`."""
        from napari_pathsrgan.models.enlarged_stages import PassOn, WangStage
        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.initialisation import initialise, initialise_residual

        stage2 = WangStage(options.width)
        initialise(stage2)
        initialise_residual(stage2.picture)
        return Generator(PassOn(residual=True), stage2, bicubic_skip=True)


ARCHITECTURE = Wang()
