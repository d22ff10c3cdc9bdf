"""Which perceptual network a training compares by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_pathsrgan.errors import CheckpointError
from napari_pathsrgan.models.efficientnet import EfficientNetFeatures
from napari_pathsrgan.models.perceptual import SHIPPED, VGG16, PerceptualCard, load_perceptual
from napari_pathsrgan.registration.pairs import PairsFile

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathsrgan.models.perceptual import PerceptualNetwork
    from napari_pathsrgan.training.config import TrainingConfig

EFFICIENTNET = "efficientnet-lite1"
_CALIBRATION_PATCHES, _CALIBRATION_PX = 8, 128


def choose_perceptual(
    config: TrainingConfig, begun_with: str = ""
) -> tuple[PerceptualNetwork | EfficientNetFeatures, PerceptualCard]:
    """Load the perceptual network of a training: VGG16 in full width gives way to the one that ships.

    Parameters
    ----------
    config : TrainingConfig
    begun_with : str
        Name of the network that a training which is resumed began with: then it is that or none.

    Returns
    -------
    PerceptualNetwork or EfficientNetFeatures
        Frozen; VGG16 is calibrated on some of the pairs.
    PerceptualCard
        Its name tells which it is.

    Raises
    ------
    CheckpointError
        If a file is damaged, or VGG16's weights, which a training began with, can't be had any more.
    OptionError
        If EfficientNet-Lite1 is asked for and not installed.
    """
    if config.perceptual == EFFICIENTNET:
        card = PerceptualCard(name=EFFICIENTNET, start="imagenet", training_data="ImageNet-1k", licence="Apache-2.0")
        return EfficientNetFeatures(1), card
    if config.perceptual != VGG16 or begun_with == SHIPPED:
        return load_perceptual(SHIPPED if config.perceptual == VGG16 else config.perceptual)
    try:
        network, card = load_perceptual(VGG16)
    except CheckpointError:
        if begun_with:
            raise
        return load_perceptual(SHIPPED)
    network.calibrate(_typical_images(config))
    return network, card


def _typical_images(config: TrainingConfig) -> Tensor:
    """Read corners of some 10× images of the pairs, (N, 3, 128, 128) float32, 0 to 1."""
    pairs = PairsFile(config.pairs[0])
    rows = pairs.rows("train")
    spread = rows[:: max(1, len(rows) // _CALIBRATION_PATCHES)][:_CALIBRATION_PATCHES]
    images = np.stack([pairs[int(row)][1][:_CALIBRATION_PX, :_CALIBRATION_PX] for row in spread])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
