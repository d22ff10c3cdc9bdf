"""A perceptual distance that no training here has seen: features of EfficientNet-Lite0, learnt on photographs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from napari_pathsrgan.evaluation.perceptual import distance_of_maps
from napari_pathsrgan.models.efficientnet import EfficientNetFeatures

Pixels = npt.NDArray[np.uint8]


class UnseenDistance:
    """Distance of two images in the feature maps of EfficientNet-Lite0 at five depths; see `evaluation.perceptual`.

    Raises
    ------
    OptionError
        If the packages that bring the network are not installed.
    """

    def __init__(self) -> None:
        self._features = EfficientNetFeatures(0)

    def __call__(self, computed: Pixels, real: Pixels) -> float:
        """Compare two (H, W, 3) uint8 images, RGB, at least 32 px a side: 0 for the same, 4 at most."""
        images = torch.from_numpy(np.stack([computed, real])).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            maps = self._features(images)
        return distance_of_maps(maps)
