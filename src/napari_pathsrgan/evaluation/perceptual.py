"""How different two pictures look to a network that has learnt to tell cells apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_pathsrgan.models.perceptual import CUTS, PerceptualNetwork, load_perceptual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_pathsrgan.types import Pixels


class PerceptualDistance:
    """Distance of two pictures in the feature maps of a perceptual network.

    At each of five depths the features of a place are scaled to length 1, as Zhang et al. 2018 (LPIPS) do; the squared
    differences are summed over features and averaged over places, then over depths. Their weights by feature are
    learnt from people's judgement of photographs; ours are all alike.

    Parameters
    ----------
    network : PerceptualNetwork, optional
        The one that ships otherwise.

    Raises
    ------
    OptionError
        If torchvision is not installed.
    """

    def __init__(self, network: PerceptualNetwork | None = None) -> None:
        self._network = network or load_perceptual()[0]

    def __call__(self, computed: Pixels, real: Pixels) -> float:
        """Compare two (H, W, 3) uint8 pictures, RGB, at least 16 px a side: 0 for the same, 4 at most."""
        pictures = torch.from_numpy(np.stack([computed, real])).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            maps = [functional.normalize(features, dim=1) for features in self._network.at(pictures, tuple(CUTS))]
        return distance_of_maps(maps)


def distance_of_maps(maps: Sequence[Tensor]) -> float:
    """Squared difference of two images' features, summed over features and averaged over places, then over depths.

    Parameters
    ----------
    maps : sequence of (2, C, h, w) float
        Both images' feature maps at several depths, of length 1 at every place.
    """
    return float(np.mean([float((one[0] - one[1]).pow(2).sum(0).mean()) for one in maps]))
