"""Losses between computed and real pictures."""

from __future__ import annotations

import torch
from torch import Tensor


def charbonnier(computed: Tensor, real: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of √(d² + ε²): the mean absolute error, smooth at zero (Lai et al. 2017).

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
