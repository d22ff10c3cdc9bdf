"""A network on one device: uint8 pictures in, uint8 pictures out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_pathsrgan.errors import DeviceError
from napari_pathsrgan.inference.backend import preview_precisions
from napari_pathsrgan.inference.execution import network_product
from napari_pathsrgan.inference.int8 import Deviation
from napari_pathsrgan.inference.network_parts import Pictures, network_parts
from napari_pathsrgan.inference.over_bicubic import OverBicubic, core, only_enlarged
from napari_pathsrgan.inference.select_backend import select_backend
from napari_pathsrgan.models.architecture import GRID_STEP_LR_PX
from napari_pathsrgan.models.checkpoint import hash_weights, load_generator
from napari_pathsrgan.models.zoo import find_model
from napari_pathsrgan.tiles.covering import Rectangle

if TYPE_CHECKING:
    from napari_pathsrgan.inference.backend import BackendName, CompiledNetwork, Precision
    from napari_pathsrgan.models.card import ModelCard
    from napari_pathsrgan.models.generator import Generator
    from napari_pathsrgan.slides.foreground import SlideBackground
    from napari_pathsrgan.types import Pixels

MOST_AT_ONCE = 4
"""Windows computed at the same time, at most: the second took 0.2 GB more where `Engine.at_once` was measured."""


def default_threads() -> int:
    """Threads for the network: all cores but one, since the window needs that; both where there are only two.

    On two cores the inference process is of lower priority instead, and the window takes what it needs.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return cores - 1 if cores > 2 else cores


def choose_device(wanted: str = "auto") -> torch.device:
    """Choose where networks run.

    Parameters
    ----------
    wanted : str
        "auto" (CUDA, then Apple's MPS, then the CPU), or a torch device such as "cpu" or "cuda:1".

    Raises
    ------
    DeviceError
        If the device is unknown or absent.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        raise DeviceError(f"The device “{wanted}” is not available here.", "Use --device auto, or cpu.") from error
    return device


class Engine:
    """A generator ready to run.

    Parameters
    ----------
    network : Generator
        On the CPU, float32, in eval mode; owned by the engine from now on.
    card : ModelCard
    device : str
        See `choose_device`.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        "auto" takes what a trial shows to be the fastest that is true to fp32 within one grey level on 99.9 % of the
        pixels. "int8" is not: it is a preview, by OpenVINO.
    backend : "auto" or str
        What computes. "auto" has all that can compute this network here take part in that trial; beside a precision
        that is named, it is torch.

    Attributes
    ----------
    execution : Execution
        What was chosen.
    product : Product
        What its pixels are known by in caches and stores.
    deviation : Deviation or None
        Of a preview: how far it is off, compared on some of the windows that it computes.
    """

    def __init__(
        self,
        network: Generator,
        card: ModelCard,
        device: str = "auto",
        precision: Precision = "auto",
        backend: BackendName = "auto",
    ) -> None:
        card.check_ratios()
        # Weights that never were in a file have no hash yet, and must not be taken for one another.
        self.card = (
            card if card.weights_hash else card.model_copy(update={"weights_hash": hash_weights(network.state_dict())})
        )
        self.device = choose_device(device)
        network = network.to(self.device)
        if self.device.type != "mps":
            network.to(memory_format=torch.channels_last)
        prepared, self.execution = select_backend(network, self.device, backend, precision)
        self.product = network_product(self.card.weights_hash, self.execution.precision)
        self._network = _Networks(prepared)
        self._over_bicubic = OverBicubic(self.device)
        self.deviation = Deviation() if self.execution.precision in preview_precisions() else None
        self._exact = self._network if self.deviation is None else _Networks(network)

    @property
    def halo(self) -> int:
        """Context needed around a window, input pixels."""
        return self.card.halo_lr_px

    @contextmanager
    def at_once(self) -> Iterator[int]:
        """Let windows of a whole slide be computed at the same time, each by its share of torch's threads.

        One window after the other by all threads leaves them idle at the end of each layer and while anything else is
        done. Ours, measured with `benchmarks/tile_loops.py` on 8,960 × 8,960 px of 20×, median of three turns: two at
        a time, a thread each, take 0.93 of the time. Full-size networks have the memory to themselves.

        Yields
        ------
        int
            How many threads, started within the block, may be in `run` at a time; one on a graphics card.
        """
        before = torch.get_num_threads()
        several = self.device.type == "cpu" and self._network.is_light
        count = min(before, MOST_AT_ONCE) if several else 1
        torch.set_num_threads(before // count)
        try:
            yield count
        finally:
            torch.set_num_threads(before)

    @property
    def precision(self) -> Precision:
        """Of the network's numbers: "fp32", "bf16", "fp16" or "int8"."""
        return self.execution.precision

    def apply(self, patch: Pixels) -> tuple[Pixels, Pixels]:
        """Super-resolve a patch in one pass.

        Parameters
        ----------
        patch : (H, W, 3) uint8
            RGB at the card's input pixel size (1.172 µm/px).

        Returns
        -------
        tuple of (2H, 2W, 3) and (4H, 4W, 3) uint8
            The 10× and the 20× picture.

        Raises
        ------
        ValueError
            For another shape or dtype.
        """
        pictures = self.run(patch, stage=2)
        assert pictures.hr is not None
        return pictures.mr, pictures.hr

    def run(self, window: Pixels, stage: int, background: SlideBackground | None = None, halo: int = 0) -> Pictures:
        """Super-resolve a window to 10×, and to 20× if asked.

        Parameters
        ----------
        window : (H, W, 3) uint8
            RGB at the input pixel size, with its context.
        stage : {1, 2}
            1 for the 10× picture alone.
        background : SlideBackground, optional
            Where given, background takes the bicubic path: the network runs on as little of the window as cells allow.
        halo : int
            Context to cut off on each side again, input pixels.

        Returns
        -------
        Pictures
            Of (H − 2 halo) × (W − 2 halo) input pixels.

        Raises
        ------
        ValueError
            For another shape or dtype, or where nothing would remain.
        """
        if window.ndim != 3 or window.shape[2] != 3 or window.dtype != np.uint8:
            raise ValueError(f"A model takes (H, W, 3) uint8 RGB, not {window.shape} {window.dtype}.")
        if min(window.shape[:2]) <= 2 * halo:
            raise ValueError(f"A halo of {halo} px uses up the whole {window.shape[0]}×{window.shape[1]} window.")
        scales = (2, 4)[:stage]
        height, width = (size - 2 * halo for size in window.shape[:2])
        weight, computed, left = network_parts(window, background, halo)
        if computed == [Rectangle(0, 0, height, width)]:
            mr, *hr = self._compute(window, weight, scales, halo)
            return Pictures(mr, hr[0] if hr else None, computed)
        pictures = [np.empty((scale * height, scale * width, 3), np.uint8) for scale in scales]
        for rectangle in computed:
            part = rectangle.slices(1, 2 * halo)
            found = self._compute(window[part], None if weight is None else weight[part], scales, halo)
            for picture, scale, pixels in zip(pictures, scales, found, strict=True):
                picture[rectangle.slices(scale)] = pixels
        for rectangle in left:
            part = rectangle.slices(1, 2 * halo)
            for picture, scale in zip(pictures, scales, strict=True):
                picture[rectangle.slices(scale)] = only_enlarged(window[part], scale, halo)
        return Pictures(pictures[0], pictures[1] if stage == 2 else None, computed)

    def _compute(
        self, window: Pixels, weight: npt.NDArray[np.float32] | None, scales: Sequence[int], halo: int
    ) -> list[Pixels]:
        """Run the network on a window, and take as much of its pictures as the weights say."""
        found = self._mixed(self._network, window, weight, scales, halo)
        if self.deviation is not None and self.deviation.is_due():
            self.deviation.note(found[-1], self._mixed(self._exact, window, weight, scales, halo)[-1])
        return found

    def _mixed(
        self,
        networks: _Networks,
        window: Pixels,
        weight: npt.NDArray[np.float32] | None,
        scales: Sequence[int],
        halo: int,
    ) -> list[Pixels]:
        network, spared = networks.fit(halo)
        window, halo = core(window, spared), halo - spared
        weight = None if weight is None else core(weight, spared)
        height, width = (size - 2 * halo for size in window.shape[:2])
        if network is networks.whole:
            window, weight = _on_grid(window, weight)
        if weight is not None and core(weight, max(0, halo - 1)).min() == 1:  # enlarged, they reach a pixel further
            weight = None
        with torch.inference_mode():
            stages = network.stages(self._to_device(window), len(scales))
            return [
                self._over_bicubic.pixels(computed, window, scale, halo, network.bicubic_skip, weight)[
                    : scale * height, : scale * width
                ]
                for computed, scale in zip(stages, scales, strict=False)
                if computed is not None
            ]

    def _to_device(self, window: Pixels) -> Tensor:
        # Writeable, since torch warns of arrays that are not, such as those from the tile cache.
        pixels = torch.from_numpy(np.require(window, requirements=["C", "W"])).to(self.device)
        return pixels.permute(2, 0, 1)[None].float().div_(255)


class _Networks:
    """A network, and the same for windows with context."""

    def __init__(self, network: CompiledNetwork) -> None:
        self.whole = network
        self._trimmed = network.trimmed()

    @property
    def is_light(self) -> bool:
        """Whether its features are few, as those of a network without poolings are."""
        return self._trimmed is not None

    def fit(self, halo: int) -> tuple[CompiledNetwork, int]:
        """Choose the network that spares the halo's pixels, where it has all the context that takes.

        Returns
        -------
        tuple of Network and int
            And how much of the halo to leave out.
        """
        if self._trimmed is None or halo < self._trimmed[1]:
            return self.whole, 0
        network, context = self._trimmed
        return network, halo - context


def _on_grid(window: Pixels, weight: npt.NDArray[np.float32] | None) -> tuple[Pixels, npt.NDArray[np.float32] | None]:
    """Make a window larger, below and on the right, until its sides are multiples of `GRID_STEP_LR_PX`."""
    height, width = window.shape[:2]
    more = (0, -height % GRID_STEP_LR_PX), (0, -width % GRID_STEP_LR_PX)
    if not any(added for _, added in more):
        return window, weight
    mirrors = more[0][1] < height and more[1][1] < width
    larger = np.pad(window, (*more, (0, 0)), mode="reflect" if mirrors else "edge")
    return larger, None if weight is None else np.pad(weight, more, mode="edge")


def load_model(
    reference: str | Path = "lite", device: str = "auto", precision: Precision = "auto", backend: BackendName = "auto"
) -> Engine:
    """Load a model to work in this process.

    Parameters
    ----------
    reference : str or Path
        A shipped name, a .safetensors file of ours, or a run folder.
    device : str
        See `choose_device`.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
    backend : "auto" or str
        See `Engine`.

    Returns
    -------
    Engine
        ``apply(patch)`` super-resolves a patch; `super_resolve` takes it with a slide.

    Raises
    ------
    CheckpointError, CardMismatchError, DeviceError, MissingPartError
        Each with what to do about it.
    """
    network, card = load_generator(find_model(reference))
    return Engine(network, card, device, precision, backend)
