"""The exponential moving average of a network's weights."""

from __future__ import annotations

import torch
from torch import nn


def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move an average towards a network; buffers, such as the statistics of a batch normalisation, are copied.

    Parameters
    ----------
    average, network : nn.Module
        Of the same architecture, on the same device; the average is changed in place.
    decay : float
        Share that the average keeps of itself, 0 to 1.
    """
    with torch.no_grad():
        for kept, current in zip(average.parameters(), network.parameters(), strict=True):
            kept.lerp_(current, 1 - decay)
        for own, other in zip(average.buffers(), network.buffers(), strict=True):
            own.copy_(other)
