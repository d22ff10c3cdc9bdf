"""3×3 convolutions by Winograd's minimal filtering, and the rows of pixels between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_pathsrgan.inference.winograd_kernel import INPUT_LANES, OUTPUT_LANES, POINTS, TILES, convolution

Channels = npt.NDArray[np.float32]
"""(H, W, channels)"""

_LEAST_TILES = 4 * TILES
"""Tiles that are worth a thread of their own."""
_NO_FLOOR = float("-inf")
_SPREAD = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
"""G of F(2 × 2, 3 × 3)."""
_of_thread = threading.local()


class WinogradLayer:
    """A 3×3 convolution, with channels of zeros to make its lanes full.

    Parameters
    ----------
    conv : nn.Conv2d
    shuffles : bool
        Whether PixelShuffle by 2 follows, which is done where each of its pixels has lanes of its own. Otherwise the
        channels come in the order of the pixels: those of the upper left one first.
    phase : {0, 1}
        1 where its first output pixel is an odd one of the slide: tiles lie on even ones whatever the window, or its
        last bits would depend on that.

    Attributes
    ----------
    inputs, outputs : int
        Channels taken and given.
    scale : {1, 2}
        2 where it shuffles.
    """

    def __init__(self, conv: nn.Conv2d, shuffles: bool, phase: int) -> None:
        assert conv.bias is not None
        weight, bias = (given.detach().double().numpy() for given in (conv.weight, conv.bias))
        if shuffles:  # each of the four pixels has its channels side by side
            weight, bias = (np.concatenate([given[pixel::4] for pixel in range(4)]) for given in (weight, bias))
        self.inputs, computed = _full(conv.in_channels, INPUT_LANES), _full(conv.out_channels, OUTPUT_LANES)
        more_in, more_out = self.inputs - conv.in_channels, computed - conv.out_channels
        weight = np.pad(weight, ((0, more_out), (0, more_in), (0, 0), (0, 0)))
        points = np.einsum("ai,oqij,bj->abqo", _SPREAD, weight, _SPREAD)
        panels = points.reshape(POINTS, self.inputs, computed // OUTPUT_LANES, OUTPUT_LANES)
        self._weights = np.ascontiguousarray(panels.transpose(0, 2, 1, 3), dtype=np.float32)
        self._bias = np.pad(bias, (0, more_out)).astype(np.float32)
        self._nothing = np.zeros(computed, np.float32)
        self._computed, self._kept = computed, _full(conv.out_channels, INPUT_LANES)
        self.scale = 2 if shuffles and conv.out_channels % (4 * INPUT_LANES) == 0 else 1
        self.outputs = self._kept // self.scale**2
        self.phase = phase

    def compute(
        self, x: Channels, out: Channels, first: int, floor: float = _NO_FLOOR, added: tuple[Channels, ...] = ()
    ) -> None:
        """Compute some rows: convolve, give no less than `floor`, then add up to two others.

        Parameters
        ----------
        x : (H, W, inputs) float32
            Contiguous.
        out : (scale (H − 2), scale (W − 2), outputs) float32
            Written to.
        first : int
            Which row of the window's output the first one is, before the shuffle.
        floor : float
        added : tuple of (H − 2, W − 2, outputs) float32
        """
        height, width = x.shape[0] - 2, x.shape[1] - 2
        row, column, _ = _strides(out)
        places = _places(self.scale, self.outputs, row, column)
        sums = [(other.ctypes.data, *_strides(other)[:2]) for other in added]
        sums += [(self._nothing.ctypes.data, 0, 0)] * (2 - len(sums))
        row_phase = (first + self.phase) % 2
        down, across = (height + row_phase + 1) // 2, (width + self.phase + 1) // 2

        def compute_tiles(begin: int, end: int) -> None:
            transformed = _workspace(POINTS * TILES * (self.inputs + self._computed))
            products = transformed[POINTS * TILES * self.inputs :]
            convolution()(
                x.ctypes.data, x.shape[0], x.shape[1], self.inputs,
                self._weights.ctypes.data, self._bias.ctypes.data, self._computed, floor, *sums[0], *sums[1],
                out.ctypes.data, self.scale * row, self.scale * column, places.ctypes.data, self._kept,
                row_phase, self.phase, begin, end, transformed.ctypes.data, products.ctypes.data,
            )  # fmt: skip

        _share(down * across, compute_tiles)


@dataclass
class Reader:
    """Somebody who goes through rows.

    Attributes
    ----------
    at : int
        The first row still needed.
    """

    at: int


class Rows:
    """Pixels between two layers, row by row, as far as they are still needed.

    Parameters
    ----------
    height, width, channels : int
        Of all there will be, border included.
    border : {0, 1}
        Zeros around the pixels.
    capacity : int
        Rows to have room for from the start.

    Attributes
    ----------
    end : int
        Rows there so far.
    """

    def __init__(self, height: int, width: int, channels: int, border: int, capacity: int = 0) -> None:
        self.height, self.width, self.end = height, width, 0
        self._readers: list[Reader] = []
        self._border, self._first = border, 0
        self._kept = np.empty((capacity, width, channels), np.float32)
        if border:
            self._make_room(1)[:] = 0

    def __getitem__(self, rows: slice) -> Channels:
        """Those rows, with their border at the sides."""
        return self._kept[rows.start - self._first : rows.stop - self._first]

    def read_from(self, first: int) -> Reader:
        """Register somebody who needs all from this row on, until he says otherwise."""
        self._readers.append(Reader(first))
        return self._readers[-1]

    def extend(self, count: int) -> Channels:
        """Add rows, to be written to, and after the last the border."""
        last = self.end + count + self._border == self.height
        added = self._make_room(count + self._border if last else count)
        if self._border:
            added[:, 0] = added[:, -1] = 0
            added[count:] = 0
        return added[:count, self._border : self.width - self._border]

    def _make_room(self, count: int) -> Channels:
        kept = self.end - self._first
        if kept + count > len(self._kept):
            first = min((reader.at for reader in self._readers), default=self._first)
            still = self[first : self.end]
            if len(still) + count > len(self._kept):
                self._kept = np.empty((len(still) + count, *still.shape[1:]), np.float32)
            self._kept[: len(still)] = still
            self._first = first
        self.end += count
        return self[self.end - count : self.end]


class Step:
    """A layer between rows and rows.

    Parameters
    ----------
    layer : WinogradLayer
    source : Rows
    border : int
        Of what comes out.
    floor : float
    added : tuple of Rows
        Taken around the same centre.
    keeps_all : bool
        Whether all of what comes out stays.

    Attributes
    ----------
    target : Rows
    """

    def __init__(
        self,
        layer: WinogradLayer,
        source: Rows,
        border: int,
        floor: float = _NO_FLOOR,
        added: tuple[Rows, ...] = (),
        keeps_all: bool = False,
    ) -> None:
        self._layer, self._source, self._floor = layer, source, floor
        self._done, self._height, self._width = 0, source.height - 2, source.width - 2
        height, width = (layer.scale * size + 2 * border for size in (self._height, self._width))
        self.target = Rows(height, width, layer.outputs, border, height if keeps_all else 0)
        self._reader = source.read_from(0)
        self._added = [(rows, rows.read_from((rows.height - self._height) // 2)) for rows in added]

    def go_on(self) -> None:
        """Compute all the rows that can be, in whole tiles until the last."""
        ready = self._source.end - 2
        if self._source.end < self._source.height:
            ready -= (ready + self._layer.phase) % 2
        count = ready - self._done
        if count <= 0:
            return
        out = self.target.extend(self._layer.scale * count)
        added = tuple(self._centre(rows, reader.at, count) for rows, reader in self._added)
        self._layer.compute(self._source[self._done : ready + 2], out, self._done, self._floor, added)
        self._done = ready
        for reader in (self._reader, *(reader for _, reader in self._added)):
            reader.at += count

    def _centre(self, rows: Rows, first: int, count: int) -> Channels:
        left = (rows.width - self._width) // 2
        return rows[first : first + count][:, left : left + self._width]


def _full(channels: int, lanes: int) -> int:
    return -(-channels // lanes) * lanes


@lru_cache(maxsize=64)
def _places(scale: int, outputs: int, row: int, column: int) -> npt.NDArray[np.int64]:
    """Where groups of channels go from an output pixel's place: beside each other, or to the pixels of a shuffle."""
    pixels = [down * row + right * column for down in range(scale) for right in range(scale)]
    return np.concatenate([pixel + np.arange(0, outputs, INPUT_LANES, dtype=np.int64) for pixel in pixels])


def _workspace(size: int) -> npt.NDArray[np.float32]:
    """So many floats that this thread may write to, the same ones each time, which are in its cache."""
    if len(getattr(_of_thread, "workspace", ())) < size:
        _of_thread.workspace = np.empty(size, np.float32)
    found: npt.NDArray[np.float32] = _of_thread.workspace
    return found


def _strides(x: Channels) -> tuple[int, ...]:
    return tuple(stride // x.itemsize for stride in x.strides)


def _share(tiles: int, compute_tiles: Callable[[int, int], None]) -> None:
    """Have tiles computed by as many threads as torch may use, where they are worth it."""
    parts = min(torch.get_num_threads(), max(1, tiles // _LEAST_TILES))
    bounds = [tiles * part // parts for part in range(parts + 1)]
    others = [_pool().submit(compute_tiles, *bounds[part : part + 2]) for part in range(1, parts)]
    compute_tiles(bounds[0], bounds[1])
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="pathsrgan-winograd")
