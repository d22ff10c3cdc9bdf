"""Preset ``lite`` computed by Winograd's minimal filtering: in fp32 on a CPU, the same pictures sooner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_pathsrgan.errors import DeviceError
from napari_pathsrgan.inference.winograd_kernel import OUTPUT_LANES, convolution
from napari_pathsrgan.inference.winograd_layer import Channels, Rows, Step, WinogradLayer, Zeros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pathsrgan.models.generator import Generator

_LEAST_BAND_ROWS = 16
"""Rows that are worth a thread of their own: it computes some of its neighbours' as well."""
_STRIP_PX = 12_288
"""Input pixels that go through all layers together: few, and they stay in the processor's cache; many, and Python has
little to do with them."""


class WinogradNetwork:
    """A generator of preset ``lite`` for windows on a CPU; several threads may compute at the same time.

    A pixel is the same to the bit whatever the window. It is torch's within a grey level, as products are others and
    are added up in another order. A window is cut into as many bands as torch may use threads, with rows that both
    neighbours compute: threads that met after each layer would spend their time on waiting.

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
        chain = network.residual_chain()
        assert chain is not None
        self._network = network
        try:
            convolution()
        except (RuntimeError, OSError) as error:
            raise DeviceError(
                f"This system refuses code that is made while a program runs ({error}).", "Use --backend torch."
            ) from error
        self.pads = chain.head.padding == (1, 1)
        self._head = WinogradLayer(chain.head)
        self._blocks1 = _layers(chain.blocks1)
        self._upsample = WinogradLayer(chain.upsample, shuffles=True)
        self._picture1 = WinogradLayer(chain.image1)
        self._blocks2 = _layers(chain.blocks2)
        self._picture2 = WinogradLayer(chain.image2, shuffles=True)

    @property
    def bicubic_skip(self) -> bool:
        """See `Generator`."""
        return self._network.bicubic_skip

    def trimmed(self) -> tuple[WinogradNetwork, int] | None:
        """See `Generator.trimmed`."""
        found = self._network.trimmed()
        return (WinogradNetwork(found[0]), found[1]) if found else None

    def stages(self, lr: Tensor, stage: int) -> tuple[Tensor, Tensor | None]:
        """See `Generator.stages`; takes one window at a time."""
        window = lr[0].permute(1, 2, 0).numpy()
        height = window.shape[0] - 2 * self._context
        count = max(1, min(torch.get_num_threads(), height // _LEAST_BAND_ROWS))
        bounds = [height * number // count // 2 * 2 for number in range(count)] + [height]
        bands = [_Band(self, window, rows, stage) for rows in pairwise(bounds)]
        pictures = [
            _Picture([band.sources[number] for band in bands], [2 * row for row in bounds[1:-1]], scale)
            for number, scale in enumerate((1, 2)[:stage])
        ]
        others = [_pool().submit(band.compute, window, pictures, number) for number, band in enumerate(bands[1:], 1)]
        bands[0].compute(window, pictures, 0)
        for other in others:
            other.result()
        mr, *hr = (torch.from_numpy(picture.pixels).permute(2, 0, 1)[None] for picture in pictures)
        return mr, hr[0] if hr else None

    @property
    def _context(self) -> int:
        """Rows and columns on each side of which nothing comes out, input pixels."""
        return 0 if self.pads else self._network.halo_lr_px

    def place(self, window: Channels, rows: tuple[int, int]) -> tuple[slice, Rows]:
        """Tell which of a window's rows it takes to compute some of what comes out, and make room for them."""
        context, reach = self._context, self._network.halo_lr_px
        height, width = window.shape[0] - 2 * context, window.shape[1]
        top, end = max(-context, rows[0] - reach), min(height + context, rows[1] + reach)
        beside = int(self.pads)
        zeros = Zeros(int(self.pads and top == 0), int(self.pads and end == height), beside)
        return slice(top + context, end + context), Rows(
            (top - zeros.above, -context - beside),
            end - top + zeros.above + zeros.below,
            width + 2 * beside,
            self._head.inputs,
            zeros,
        )

    def steps(self, seen: Rows, stage: int) -> tuple[list[Step], list[Rows]]:
        """List what is done with rows of a window, in order, and what comes out: one or both pictures, by 10× pixel."""
        steps: list[Step] = []
        zeros = seen.zeros

        def step(layer: WinogradLayer, source: Rows, **settings: Any) -> Rows:
            steps.append(Step(layer, source, **{"zeros": zeros} | settings))
            return steps[-1].target

        def residual(x: Rows, blocks: list[tuple[WinogradLayer, WinogradLayer]]) -> Rows:
            """Blocks, and a long skip around them that the last one adds as well."""
            out = x
            for number, (first, second) in enumerate(blocks, 1):
                added = (out, x) if number == len(blocks) else (out,)
                out = step(second, step(first, out, floor=0), added=added)
            return out

        features = step(self._upsample, residual(step(self._head, seen), self._blocks1), floor=0)
        nothing = Zeros(0, 0, 0)
        pictures = [step(self._picture1, features, zeros=nothing)]
        if stage == 2:
            pictures.append(step(self._picture2, residual(features, self._blocks2), zeros=nothing))
        return steps, pictures


class _Band:
    """Rows of a window that one thread computes.

    Parameters
    ----------
    network : WinogradNetwork
    window : (H, W, 3) float32
    rows : (first, end)
        Of what comes out, input pixels.
    stage : {1, 2}

    Attributes
    ----------
    sources : list of Rows
        Where its pictures come out.
    """

    def __init__(self, network: WinogradNetwork, window: Channels, rows: tuple[int, int], stage: int) -> None:
        self._taken, self._seen = network.place(window, rows)
        self._steps, self.sources = network.steps(self._seen, stage)

    def compute(self, window: Channels, pictures: list[_Picture], number: int) -> None:
        """Compute it and have the pictures, whose band of this number it is, take what has come, strip by strip."""
        taken = window[self._taken]
        strip = max(2, _STRIP_PX // window.shape[1])
        for top in range(0, len(taken), strip):
            pixels = taken[top : top + strip]
            seen = self._seen.extend(len(pixels))
            seen[..., : pixels.shape[2]] = pixels
            seen[..., pixels.shape[2] :] = 0
            for step in self._steps:
                step.go_on()
            for picture in pictures:
                picture.take(number)


class _Picture:
    """A picture, put together of what bands give.

    Parameters
    ----------
    sources : list of Rows
        With the channels of 1 or of 2 × 2 pixels, one pixel after the other.
    cuts : list of int
        The rows of the sources' grid where one band ends and the next begins.
    scale : {1, 2}

    Attributes
    ----------
    pixels : (scale · H, scale · W, 3) float32
    """

    def __init__(self, sources: list[Rows], cuts: list[int], scale: int) -> None:
        first, last = sources[0], sources[-1]
        bounds = [first.top, *cuts, last.top + last.height]
        height = bounds[-1] - bounds[0]
        self.pixels = np.empty((scale * height, scale * first.width, 3), np.float32)
        self._by_row = self.pixels.reshape(height, scale, first.width, 3 * scale)
        self._first, self._ends, self._sources = bounds[0], bounds[1:], sources
        self._readers = [
            source.read_from(begin - source.top) for source, begin in zip(sources, bounds[:-1], strict=True)
        ]

    def take(self, number: int) -> None:
        """Take what has come of a band."""
        source, reader = self._sources[number], self._readers[number]
        first, end = reader.at, min(source.end, self._ends[number] - source.top)
        if end <= first:
            return
        _, scale, _, values = self._by_row.shape
        to = source.top - self._first
        for row in range(scale):
            self._by_row[to + first : to + end, row] = source[first:end][..., values * row : values * (row + 1)]
        reader.at = end


def can_compute(network: Generator) -> bool:
    """Whether a network is one that `WinogradNetwork` computes."""
    chain = network.residual_chain()
    return (
        chain is not None
        and chain.head.out_channels % OUTPUT_LANES == 0
        and chain.image1.in_channels % OUTPUT_LANES == 0
        and min(len(chain.blocks1), len(chain.blocks2)) > 0
    )


def _layers(blocks: Sequence[tuple[nn.Conv2d, nn.Conv2d]]) -> list[tuple[WinogradLayer, WinogradLayer]]:
    return [(WinogradLayer(first), WinogradLayer(second)) for first, second in blocks]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="pathsrgan-winograd")
