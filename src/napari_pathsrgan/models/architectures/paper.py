"""The network ``paper``, of the paper's text (Ma et al. 2020, § III-C): 23.5 M parameters at full width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from napari_pathsrgan.models.architecture import Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator


class PaperOptions(ArchitectureOptions):
    """Variants of the network ``paper``.

    Attributes
    ----------
    width : int
        Channels of the first level: 64 as published, 32 for "half width". All others are in proportion.
    dense_sum : {"running", "literal"}
        See `blocks.DenseAdditionBlock`.
    bicubic_skip : bool
        Add the bicubic enlargement to both images; off as published.
    """

    width: int = Field(default=64, ge=0, le=128)
    dense_sum: Literal["running", "literal"] = "running"
    bicubic_skip: Annotated[bool, Field(strict=False)] = False


class Paper(Architecture):
    """A U-Net of dense blocks by addition, then dense blocks by concatenation."""

    name = "paper"
    options = PaperOptions
    alignment_lr_px = 8  # three poolings
    approximate_context_lr_px = 32  # it looks some 200 px far, but hardly: see benchmarks/exactness.py

    def build(self, options: PaperOptions) -> Generator:
        """See `Architecture.build`."""
        from napari_pathsrgan.models.dense_stages import DenseUNet, StackingStage
        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.initialisation import initialise_dense

        width = options.width
        stage1 = DenseUNet((width, 2 * width, 4 * width), dense_sum=options.dense_sum)
        network = Generator(stage1, StackingStage(width), options.bicubic_skip)
        initialise_dense(network)
        return network


ARCHITECTURE = Paper()
