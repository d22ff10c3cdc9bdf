"""The network ``authors``, of the authors' released code, so that their checkpoint loads: 24.3 M parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_pathsrgan.models.architecture import Architecture, ArchitectureOptions, ForeignCheckpoint

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator

AUTHORS_STAGES = (
    (r"stage1_eye\.([01])\.", r"stage1.head.\1."),
    (r"stage1_down1\.([01])\.", r"stage1.down1.blocks.\1."),
    (r"stage1_down([23])\.0\.", r"stage1.down\1.entry."),
    (r"stage1_down([23])\.1\.", r"stage1.down\1.blocks.0."),
    (r"stage1_down([23])\.2\.", r"stage1.down\1.blocks.1."),
    (r"stage1_bottom\.", r"stage1.bottom."),
    (r"stage1_up([123])\.([01])\.", r"stage1.up\1.entry.\2."),
    (r"stage1_up([123])\.2\.([01])\.", r"stage1.up\1.blocks.\2."),
    (r"stage1_up([123])\.3\.", r"stage1.up\1.exit.0."),
    (r"stage1_up([123])\.4\.", r"stage1.up\1.exit.1."),
    (r"stage1_upsample\.conv\.", r"stage1.upsample.conv."),
    (r"stage1_upsample\.prelu\.", r"stage1.upsample.activation."),
    (r"stage1_out\.", r"stage1.picture."),
    (r"stage2_down1\.([01])\.", r"stage2.first.\1."),
    (r"stage2_down2\.([0123])\.", r"stage2.second.\1."),
    (r"stage2_upsample\.conv\.", r"stage2.upsample.conv."),
    (r"stage2_upsample\.prelu\.", r"stage2.upsample.activation."),
    (r"stage2_out\.", r"stage2.picture."),
)
"""The authors' names of modules, as patterns, and ours (shared by the method's notes under "authors, exactly")."""


def rename_authors(name: str) -> str | None:
    """Turn a name in the authors' state dict into ours.

    Parameters
    ----------
    name : str
        Like ``module.stage1_down2.1.conv_module3.0.weight``.

    Returns
    -------
    str or None
        Our name, or None where there is no such tensor in our network.
    """
    bare = name.removeprefix("module.")
    for pattern, replacement in AUTHORS_STAGES:
        renamed, count = re.subn(f"^{pattern}", replacement, bare)
        if count:
            renamed = re.sub(r"conv_module([1-4])\.0\.", lambda match: f"layers.{int(match[1]) - 1}.", renamed)
            return renamed.replace("last_conv.", "last.")
    return None


class Authors(Architecture):
    """A U-Net of dense blocks by addition, then two more of them."""

    name = "authors"
    alignment_lr_px = 8  # three poolings
    foreign = ForeignCheckpoint(
        rename=rename_authors,
        owner="the authors'",
        example="G_9_100.pth",
        training_data="The authors' own slides (Ma et al. 2020, § IV-A).",
        licence="Not stated by the authors: ask them before passing it on.",
    )

    def approximate_context_lr_px(self, options: ArchitectureOptions) -> int | None:
        """See `Architecture`: its U-Net looks some 200 px far, but hardly; measured by benchmarks/exactness.py."""
        return 32

    def build(self, options: ArchitectureOptions) -> Generator:
        """See `Architecture.build`."""
        from napari_pathsrgan.models.dense_stages import AuthorsStage, DenseUNet
        from napari_pathsrgan.models.generator import Generator
        from napari_pathsrgan.models.initialisation import initialise_dense

        stage1 = DenseUNet(
            picture_kernel=7, negative_slope=0.01, dense_sum="literal", first_level_entry=False, entry_activation=False
        )
        network = Generator(stage1, AuthorsStage(), bicubic_skip=False)
        initialise_dense(network)
        return network


ARCHITECTURE = Authors()
