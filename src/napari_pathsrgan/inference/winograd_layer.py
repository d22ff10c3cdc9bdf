"""3×3 convolutions by Winograd's minimal filtering, and the rows of pixels between them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.inference.winograd_kernel import INPUT_LANES, OUTPUT_LANES, POINTS, TILES, convolution

if TYPE_CHECKING:
    from torch import nn

Channels = npt.NDArray[np.float32]
"""(H, W, channels)"""

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

    Attributes
    ----------
    inputs, outputs : int
        Channels taken and given.
    scale : {1, 2}
        2 where it shuffles.
    """

    def __init__(self, conv: nn.Conv2d, shuffles: bool = False) -> None:
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

    def compute(
        self,
        x: Channels,
        out: Channels,
        place: tuple[int, int],
        floor: float = _NO_FLOOR,
        added: tuple[Channels, ...] = (),
    ) -> None:
        """Compute some rows: convolve, give no less than `floor`, then add up to two others.

        Parameters
        ----------
        x : (H, W, inputs) float32
            Contiguous.
        out : (scale (H − 2), scale (W − 2), outputs) float32
            Written to.
        place : (row, column)
            Where the output begins, before the shuffle: tiles lie on even pixels whatever the window, or its last bits
            would depend on that.
        floor : float
        added : tuple of (H − 2, W − 2, outputs) float32
        """
        row, column, _ = _strides(out)
        places = _places(self.scale, self.outputs, row, column)
        sums = [(other.ctypes.data, *_strides(other)[:2]) for other in added]
        sums += [(self._nothing.ctypes.data, 0, 0)] * (2 - len(sums))
        row_phase, column_phase = (start % 2 for start in place)
        tiles = ((x.shape[0] - 1 + row_phase) // 2) * ((x.shape[1] - 1 + column_phase) // 2)
        transformed = _workspace(POINTS * TILES * (self.inputs + self._computed))
        products = transformed[POINTS * TILES * self.inputs :]
        convolution()(
            x.ctypes.data, x.shape[0], x.shape[1], self.inputs,
            self._weights.ctypes.data, self._bias.ctypes.data, self._computed, floor, *sums[0], *sums[1],
            out.ctypes.data, self.scale * row, self.scale * column, places.ctypes.data, self._kept,
            row_phase, column_phase, tiles, transformed.ctypes.data, products.ctypes.data,
        )  # fmt: skip


class Zeros(NamedTuple):
    """Rows of zeros above and below what comes out of a layer, and columns on both sides: 0 or 1 each."""

    above: int
    below: int
    beside: int


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
    place : (top, left)
        Where they begin, zeros included, in a grid of their own size.
    height, width, channels : int
        Of all there will be, zeros included.
    zeros : Zeros

    Attributes
    ----------
    end : int
        Rows there so far.
    """

    def __init__(self, place: tuple[int, int], height: int, width: int, channels: int, zeros: Zeros) -> None:
        self.top, self.left = place
        self.height, self.width, self.end = height, width, 0
        self._readers: list[Reader] = []
        self.zeros, self._first = zeros, 0
        self._kept = np.empty((0, width, channels), np.float32)
        if zeros.above:
            self._make_room(1)[:] = 0

    def __getitem__(self, rows: slice) -> Channels:
        """Those rows, with the zeros at their sides."""
        return self._kept[rows.start - self._first : rows.stop - self._first]

    def read_from(self, first: int) -> Reader:
        """Register somebody who needs all from this row on, until he says otherwise."""
        self._readers.append(Reader(first))
        return self._readers[-1]

    def extend(self, count: int) -> Channels:
        """Add rows, to be written to, and after the last the zeros below."""
        below, beside = self.zeros.below, self.zeros.beside
        last = self.end + count + below == self.height
        added = self._make_room(count + below if last else count)
        added[count:] = 0
        if beside:
            added[:, 0] = added[:, -1] = 0
        return added[:count, beside : self.width - beside]

    def _make_room(self, count: int) -> Channels:
        kept = self.end - self._first
        if kept + count > len(self._kept):
            first = min([self.end, *(reader.at for reader in self._readers)])
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
    zeros : Zeros
        Around what comes out.
    floor : float
    added : tuple of Rows
        Taken from the same place.

    Attributes
    ----------
    target : Rows
    """

    def __init__(
        self,
        layer: WinogradLayer,
        source: Rows,
        zeros: Zeros,
        floor: float = _NO_FLOOR,
        added: tuple[Rows, ...] = (),
    ) -> None:
        self._layer, self._source, self._floor = layer, source, floor
        self._top, self._left, self._width = source.top + 1, source.left + 1, source.width - 2
        self._done, scale = 0, layer.scale
        self.target = Rows(
            (scale * self._top - zeros.above, scale * self._left - zeros.beside),
            scale * (source.height - 2) + zeros.above + zeros.below,
            scale * self._width + 2 * zeros.beside,
            layer.outputs,
            zeros,
        )
        self._reader = source.read_from(0)
        self._added = [(rows, rows.read_from(self._top - rows.top)) for rows in added]

    def go_on(self) -> None:
        """Compute all the rows that can be, in whole tiles until the last."""
        ready = self._source.end - 2
        if self._source.end < self._source.height:
            ready -= (self._top + ready) % 2
        count = ready - self._done
        if count <= 0:
            return
        out = self.target.extend(self._layer.scale * count)
        added = tuple(self._beside(rows, reader.at, count) for rows, reader in self._added)
        place = (self._top + self._done, self._left)
        self._layer.compute(self._source[self._done : ready + 2], out, place, self._floor, added)
        self._done = ready
        for reader in (self._reader, *(reader for _, reader in self._added)):
            reader.at += count

    def _beside(self, rows: Rows, first: int, count: int) -> Channels:
        left = self._left - rows.left
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
