"""The network ``paper``, of the paper's text (Ma et al. 2020, § III-C): 23.5 M parameters at full width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from napari_pathsrgan.models.architecture import Architecture, ArchitectureOptions

if TYPE_CHECKING:
    from torch import nn

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
    body1, body2 : {"dense", "srresnet"}
        What the stages consist of: dense blocks as published, or an SRResNet of 15 and of 5 blocks (Table IV,
        experiments 1 to 3).
    hand_over : {"features", "image"}
        What stage 2 gets of stage 1: its feature maps as published, or the 10× image (Table IV).
    """

    width: int = Field(default=64, ge=0, le=128)
    dense_sum: Literal["running", "literal"] = "running"
    bicubic_skip: Annotated[bool, Field(strict=False)] = False
    body1: Literal["dense", "srresnet"] = "dense"
    body2: Literal["dense", "srresnet"] = "dense"
    hand_over: Literal["features", "image"] = "features"


class Paper(Architecture):
    """A U-Net of dense blocks by addition, then dense blocks by concatenation."""

    name = "paper"
    options = PaperOptions
    alignment_lr_px = 8  # three poolings

    def approximate_context_lr_px(self, options: PaperOptions) -> int | None:
        """See `Architecture`: its U-Net looks some 200 px far, but hardly; measured by benchmarks/exactness.py."""
        return 32 if options.body1 == "dense" else None

    def build(self, options: PaperOptions) -> Generator:
        """See `Architecture.build`."""
        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.initialisation import initialise_dense

        network = Generator(_stage1(options), _stage2(options), options.bicubic_skip)
        initialise_dense(network)
        return network


def _stage1(options: PaperOptions) -> nn.Module:
    from napari_pathsrgan.models.blocks import ImageHandOver
    from napari_pathsrgan.models.dense_stages import DenseUNet
    from napari_pathsrgan.models.residual_stages import SrresnetStage1

    width, dense = options.width, options.body1 == "dense"
    stage = (
        DenseUNet((width, 2 * width, 4 * width), dense_sum=options.dense_sum)
        if dense
        else SrresnetStage1(width, 15, picture_kernel=9)
    )
    return ImageHandOver(stage) if options.hand_over == "image" else stage


def _stage2(options: PaperOptions) -> nn.Module:
    from napari_pathsrgan.models.blocks import FromImage
    from napari_pathsrgan.models.dense_stages import StackingStage
    from napari_pathsrgan.models.residual_stages import SrresnetStage2

    width = options.width
    stage = StackingStage(width) if options.body2 == "dense" else SrresnetStage2(width, width, 5)
    return FromImage(stage, width) if options.hand_over == "image" else stage


ARCHITECTURE = Paper()
