"""Losses between computed and real images (Ma et al. 2020, Eqs 2–6), and two against invented texture.

A stage's loss is L = pixel + α · perceptual + β · adversarial (Eq. 2 at 10×, its like at 20×), with α = 6e-3 and
β = 1e-3 as published. Every term is a mean, so that none depends on the size of patch or batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from napari_pathsrgan.models.perceptual import FeatureNetwork


def mse(computed: Tensor, real: Tensor) -> Tensor:
    """Mean of squared differences: the published pixel loss.

    Parameters
    ----------
    computed, real : (N, 3, H, W) float
        RGB, 0 to 1.

    Returns
    -------
    Tensor
        A scalar.
    """
    return functional.mse_loss(computed, real)


def charbonnier(computed: Tensor, real: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of √(d² + ε²): the mean absolute error, smooth at zero (Lai et al. 2017); what `lite` learns with.

    Parameters
    ----------
    computed, real : (N, 3, H, W) float
        RGB, 0 to 1.
    epsilon : float
        Differences well below it count quadratically.

    Returns
    -------
    Tensor
        A scalar, at least ε.
    """
    return torch.sqrt((computed - real) ** 2 + epsilon**2).mean()


PIXEL_LOSSES = {"mse": mse, "charbonnier": charbonnier}


def perceptual(network: FeatureNetwork, cuts: Sequence[str], computed: Tensor, real: Tensor) -> Tensor:
    """Mean squared difference of a perceptual network's feature maps, averaged over the cuts.

    The maps are divided by their usual size, which the paper does not say and on which α's meaning would depend.

    Parameters
    ----------
    network : FeatureNetwork
        Frozen.
    cuts : sequence of str
        Of `models.perceptual.CUTS`; relu5_3 alone as published.
    computed, real : (N, 3, H, W) float
        RGB, 0 to 1, H and W at least 16 for the deepest cut.

    Returns
    -------
    Tensor
        A scalar.
    """
    with torch.no_grad():
        wanted = network.scaled(real, cuts)
    pairs = zip(network.scaled(computed, cuts), wanted, strict=True)
    return torch.stack([functional.mse_loss(own.float(), other.float()) for own, other in pairs]).mean()


def adversarial(computed_logits: Tensor) -> Tensor:
    """What the generator pays for being seen through: −log D(G(x)), from logits (Eq. 4 in its numerically safe form).

    Parameters
    ----------
    computed_logits : (N, 1, h, w) float
        The discriminator's logits for computed pictures.

    Returns
    -------
    Tensor
        A scalar; ln 2 where the discriminator can't tell.
    """
    return functional.softplus(-computed_logits).mean()


def discrimination(real_logits: Tensor, computed_logits: Tensor) -> Tensor:
    """What the discriminator pays for its errors: −½ [log D(y) + log(1 − D(G(x)))], from logits (Eq. 5).

    Parameters
    ----------
    real_logits, computed_logits : (N, 1, h, w) float
        Its logits for real and for computed pictures.

    Returns
    -------
    Tensor
        A scalar; ln 2 where it can't tell.
    """
    return (functional.softplus(-real_logits).mean() + functional.softplus(computed_logits).mean()) / 2


_WINDOW_PX = 7


def artifact_map(computed: Tensor, averaged: Tensor, real: Tensor) -> Tensor:
    """Map where a generator invents texture (Liang et al. 2022, "Details or Artifacts", Eqs 2–5).

    Invented texture differs from the truth by residuals that vary much from pixel to pixel. The map is the variance of
    the residual within 7 × 7 px, times the fifth root of its variance over the image. It is 0 where the current weights
    are closer to the truth than their moving average, since there the training is improving.

    Parameters
    ----------
    computed, averaged, real : (N, 3, H, W) float
        RGB, 0 to 1: by the current weights, by their moving average, and the truth; H and W at least 4.

    Returns
    -------
    (N, 1, H, W) float32
        At least 0, without gradient.
    """
    with torch.no_grad():
        own, other = ((real - image).float().abs().sum(1, keepdim=True) for image in (computed, averaged))
        whole = own.var((1, 2, 3), keepdim=True) ** 0.2
        return torch.where(own < other, 0.0, whole * _local_variance(own))


def _local_variance(plane: Tensor) -> Tensor:
    """Unbiased variance within windows; the plane is mirrored at its border."""
    centred = plane - plane.mean((2, 3), keepdim=True)  # or the difference of squares below would lose digits
    padded = functional.pad(centred, (_WINDOW_PX // 2,) * 4, mode="reflect")
    mean, square = (functional.avg_pool2d(values, _WINDOW_PX, stride=1) for values in (padded, padded**2))
    return (square - mean**2).clamp_min(0) * _WINDOW_PX**2 / (_WINDOW_PX**2 - 1)


def artifacts(computed: Tensor, averaged: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference weighted by `artifact_map`: the locally discriminative loss (Liang et al. 2022, Eq. 6).

    Parameters
    ----------
    computed, averaged, real : (N, 3, H, W) float
        See `artifact_map`.

    Returns
    -------
    Tensor
        A scalar.
    """
    return (artifact_map(computed, averaged, real) * (computed - real).abs()).mean()


def wavelet(computed: Tensor, real: Tensor, levels: int = 2) -> Tensor:
    """Mean absolute difference of the high bands of an undecimated Haar transform, averaged over bands and levels.

    Nothing is left out between the transform's places, so that no grid of pixels is favoured over another.

    Parameters
    ----------
    computed, real : (N, 3, H, W) float
        RGB, 0 to 1; H and W at least 2 ** levels.
    levels : int
        The first compares neighbours, each further one sums of pixels twice as far apart.

    Returns
    -------
    Tensor
        A scalar.
    """
    band, terms = computed - real, []
    for level in range(levels):
        low, *high = _haar(band, 2**level)
        terms += [one.abs().mean() for one in high]
        band = low
    return torch.stack(terms).mean()


def _haar(image: Tensor, apart: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Split an image into its low band and those of vertical, horizontal and diagonal detail."""
    top, bottom = image[..., :-apart, :], image[..., apart:, :]
    rows = (top + bottom) / 2, (top - bottom) / 2
    (low, across), (down, diagonal) = (
        ((row[..., :-apart] + row[..., apart:]) / 2, (row[..., :-apart] - row[..., apart:]) / 2) for row in rows
    )
    return low, across, down, diagonal
