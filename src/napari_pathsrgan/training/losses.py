"""Losses between computed and real pictures (Ma et al. 2020, Eqs 2–6).

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
    from napari_pathsrgan.models.perceptual import PerceptualNetwork


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


def perceptual(network: PerceptualNetwork, cuts: Sequence[str], computed: Tensor, real: Tensor) -> Tensor:
    """Mean squared difference of a perceptual network's feature maps, averaged over the cuts.

    The maps are divided by their usual size, which the paper does not say and on which α's meaning would depend.

    Parameters
    ----------
    network : PerceptualNetwork
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


def adversarial(judged_computed: Tensor) -> Tensor:
    """What the generator pays for being seen through: −log D(G(x)), from logits (Eq. 4 in its numerically safe form).

    Parameters
    ----------
    judged_computed : (N, 1, h, w) float
        The discriminator's logits for computed pictures.

    Returns
    -------
    Tensor
        A scalar; ln 2 where the discriminator can't tell.
    """
    return functional.softplus(-judged_computed).mean()


def discrimination(judged_real: Tensor, judged_computed: Tensor) -> Tensor:
    """What the discriminator pays for its errors: −½ [log D(y) + log(1 − D(G(x)))], from logits (Eq. 5).

    Parameters
    ----------
    judged_real, judged_computed : (N, 1, h, w) float
        Its logits for real and for computed pictures.

    Returns
    -------
    Tensor
        A scalar; ln 2 where it can't tell.
    """
    return (functional.softplus(-judged_real).mean() + functional.softplus(judged_computed).mean()) / 2
