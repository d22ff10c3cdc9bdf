"""Preset ``lite`` computed by Winograd's minimal filtering: in fp32 on a CPU, the same pictures sooner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from napari_pathsrgan.errors import DeviceError
from napari_pathsrgan.inference.winograd_kernel import OUTPUT_LANES, convolution
from napari_pathsrgan.inference.winograd_layer import Channels, Rows, Step, WinogradLayer
from napari_pathsrgan.models.lite import LiteStage1, LiteStage2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_pathsrgan.models.blocks import ResidualBlock
    from napari_pathsrgan.models.generator import Generator

_STRIP_PX = 12_288
"""Input pixels that go through all layers together, by thread: few, and they stay in the processor's cache; many, and
Python has little to do with them. Ours, measured: 8,192 to 16,384 take 0.9 of the time of 4,096."""


class WinogradGenerator:
    """A generator of preset ``lite`` for windows on a CPU; several threads may compute at the same time.

    A pixel is the same to the bit whatever the window. It is torch's within a grey level, as products are others and
    are added up in another order. No thread of torch's is used, which would be waiting at full speed in between.

    Parameters
    ----------
    network : Generator
        float32, on the CPU, in eval mode; see `can_compute`.

    Raises
    ------
    DeviceError
        If this system lets nobody compile.
    """

    def __init__(self, network: Generator) -> None:
        stage1, stage2 = network.stage1, network.stage2
        assert isinstance(stage1, LiteStage1)
        assert isinstance(stage2, LiteStage2)
        self._network = network
        try:
            convolution()
        except (RuntimeError, OSError) as error:
            raise DeviceError(
                f"This system refuses code that is made while a program runs ({error}).", "Use --runtime torch."
            ) from error
        self._border = 1 if stage1.head.padding == (1, 1) else 0
        # Where a convolution pads nothing, its first pixel is one further than its input's.
        origin, step = (0, 0) if self._border else (-network.halo_lr_px, 1)

        def layer(conv: nn.Conv2d, shuffles: bool = False) -> WinogradLayer:
            nonlocal origin
            origin += step
            return WinogradLayer(conv, shuffles, phase=origin % 2)

        def layers(blocks: nn.Sequential) -> list[tuple[WinogradLayer, WinogradLayer]]:
            return [(layer(block.first), layer(block.second)) for block in cast("Iterable[ResidualBlock]", blocks)]

        self._head = layer(stage1.head)
        self._blocks1 = layers(stage1.blocks)
        self._upsample = layer(stage1.upsample.conv, shuffles=True)
        origin *= 2
        self._picture1 = layer(stage1.picture)
        origin -= step
        self._blocks2 = layers(stage2.blocks)
        self._picture2 = layer(stage2.picture, shuffles=True)

    @property
    def bicubic_skip(self) -> bool:
        """See `Generator`."""
        return self._network.bicubic_skip

    def trimmed(self) -> tuple[WinogradGenerator, int] | None:
        """See `Generator.trimmed`."""
        found = self._network.trimmed()
        return (WinogradGenerator(found[0]), found[1]) if found else None

    def stages(self, lr: Tensor, stage: int) -> tuple[Tensor, Tensor | None]:
        """See `Generator.stages`; takes one window at a time."""
        window = lr[0].permute(1, 2, 0).numpy()
        height, width, channels = window.shape
        seen = Rows(height + 2 * self._border, width + 2 * self._border, self._head.inputs, self._border)
        steps, mr, hr = self._steps(seen, stage)
        picture = None if hr is None else _Shuffled(hr)
        strip = max(2, torch.get_num_threads() * _STRIP_PX // width)
        for top in range(0, height, strip):
            pixels = window[top : top + strip]
            rows = seen.extend(len(pixels))
            rows[..., :channels] = pixels
            rows[..., channels:] = 0
            for step in steps:
                step.go_on()
            if picture:
                picture.go_on()
        return _planes(mr[0 : mr.end][..., :3]), _planes(picture.pixels) if picture else None

    def _steps(self, seen: Rows, stage: int) -> tuple[list[Step], Rows, Rows | None]:
        """What is done with a window's rows, in order, and what comes out."""
        steps: list[Step] = []

        def step(layer: WinogradLayer, source: Rows, **settings: Any) -> Rows:
            steps.append(Step(layer, source, **{"border": self._border} | settings))
            return steps[-1].target

        def residual(x: Rows, blocks: list[tuple[WinogradLayer, WinogradLayer]]) -> Rows:
            """Blocks, and a long skip around them that the last one adds as well."""
            out = x
            for number, (first, second) in enumerate(blocks, 1):
                added = (out, x) if number == len(blocks) else (out,)
                out = step(second, step(first, out, floor=0), added=added)
            return out

        features = step(self._upsample, residual(step(self._head, seen), self._blocks1), floor=0)
        mr = step(self._picture1, features, border=0, keeps_all=True)
        if stage == 1:
            return steps, mr, None
        return steps, mr, step(self._picture2, residual(features, self._blocks2), border=0)


def can_compute(network: Generator) -> bool:
    """Whether a network is one that `WinogradGenerator` computes."""
    stage1, stage2 = network.stage1, network.stage2
    return (
        isinstance(stage1, LiteStage1)
        and isinstance(stage2, LiteStage2)
        and stage1.head.out_channels % OUTPUT_LANES == 0
        and stage1.picture.in_channels % OUTPUT_LANES == 0
        and min(len(stage1.blocks), len(stage2.blocks)) > 0
    )


class _Shuffled:
    """PixelShuffle by 2 to RGB, of channels in the order of the pixels."""

    def __init__(self, source: Rows) -> None:
        self._source, self._reader = source, source.read_from(0)
        self.pixels = np.empty((2 * source.height, 2 * source.width, 3), np.float32)

    def go_on(self) -> None:
        first, end = self._reader.at, self._source.end
        by_row = self.pixels[2 * first : 2 * end].reshape(end - first, 2, self._source.width, 6)
        for row in range(2):
            by_row[:, row] = self._source[first:end][..., 6 * row : 6 * row + 6]
        self._reader.at = end


def _planes(picture: Channels) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]
