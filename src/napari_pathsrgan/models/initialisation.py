"""Random weights to start a training from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_pathsrgan.models.blocks import DenseAdditionBlock, DenseStackingBlock

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator

_BLOCK_SCALE = 0.1
_RESIDUAL_SCALE = 0.05
_SLOPE = 0.1


def initialise(network: nn.Module, scale: float = 1.0, slope: float = _SLOPE) -> None:
    """Draw all convolutions from Kaiming's normal distribution times a factor; biases are zero.

    Parameters
    ----------
    network : nn.Module
        A network or a part of one, changed in place.
    scale : float
        Factor on the standard deviation.
    slope : float
        Negative slope of the LeakyReLU that follows; 1 where nothing follows.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            with torch.no_grad():
                module.weight.mul_(scale)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_dense(generator: Generator) -> None:
    """Initialise a generator of dense blocks: each block begins close to the identity, all else at full size.

    The factor 0.1 (ESRGAN's practice) is for the convolutions inside the dense blocks alone, whose input goes round
    them. On convolutions that nothing goes round it would multiply up to outputs and gradients of zero. Images that are
    residuals on a bicubic enlargement begin small.
    """
    initialise(generator)
    for module in generator.modules():
        if isinstance(module, DenseAdditionBlock | DenseStackingBlock):
            initialise(module, _BLOCK_SCALE)
    for stage in (generator.stage1, generator.stage2):
        assert isinstance(stage.picture, nn.Module)
        initialise(stage.picture, _RESIDUAL_SCALE if generator.bicubic_skip else 1.0, slope=1.0)


def initialise_residual(last: nn.Module) -> None:
    """Initialise the convolution that gives a residual image: it begins small."""
    initialise(last, _RESIDUAL_SCALE, slope=1.0)


def initialise_near_bicubic(generator: Generator) -> None:
    """Initialise a generator whose images are residuals on a bicubic enlargement: the residuals begin small."""
    initialise(generator, 0.5)
    for stage in (generator.stage1, generator.stage2):
        assert isinstance(stage.picture, nn.Module)
        initialise(stage.picture, _RESIDUAL_SCALE)
