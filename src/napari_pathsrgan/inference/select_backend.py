"""Which way of computing a network is the fastest here that gives its pixels."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_pathsrgan.errors import DeviceError
from napari_pathsrgan.inference.execution import Execution
from napari_pathsrgan.inference.openvino_generator import OpenVinoGenerator, precisions
from napari_pathsrgan.inference.winograd import WinogradGenerator, can_compute

if TYPE_CHECKING:
    from napari_pathsrgan.inference.execution import BackendName, Precision
    from napari_pathsrgan.models.generator import Generator

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_TRIALS = 3
_WORTH_IT = 0.95
"""How much of torch's time in fp32 another way may take at most: what two trials differ by must not decide."""


class Network(Protocol):
    """A generator, whatever computes it."""

    @property
    def bicubic_skip(self) -> bool:
        """See `Generator`."""

    def stages(self, lr: Tensor, stage: int) -> tuple[Tensor, Tensor | None]:
        """See `Generator.stages`; the tensors may be overwritten by what the thread computes next."""

    def trimmed(self) -> tuple[Network, int] | None:
        """See `Generator.trimmed`."""


def prepare(
    network: Generator, device: torch.device, backend: BackendName, precision: Precision
) -> tuple[Network, Execution]:
    """Make a network ready to run as asked for.

    Parameters
    ----------
    network : Generator
        On the device, float32, in eval mode.
    device : torch.device
    backend, precision : str
        See `engine.Engine`.

    Raises
    ------
    DeviceError
        If the device has no such precision.
    MissingPartError
        If the backend is not installed.
    """
    if backend in ("openvino", "winograd") and device.type != "cpu":
        name = "OpenVINO" if backend == "openvino" else "The backend winograd"
        raise DeviceError(f"{name} computes on the CPU.", "Use --device cpu, or --backend torch.")
    if backend == "winograd" and not (can_compute(network) and precision in ("auto", "fp32")):
        raise DeviceError(
            "The backend winograd computes networks of preset lite in fp32.", "Use --backend auto, or torch."
        )
    if precision == "auto":
        return _fastest(network, device, backend)
    if precision == "int8" and (backend == "torch" or device.type != "cpu"):
        raise DeviceError(
            "Only OpenVINO computes in int8, on the CPU.",
            "Use --device cpu with --backend auto, or another --precision.",
        )
    usual: BackendName = "openvino" if precision == "int8" else "torch"
    chosen = Execution(usual if backend == "auto" else backend, precision)
    made = _made(network, device, chosen)
    if precision == "int8":  # it takes seconds to make, and may lack something: now, not when a tile is waited for
        _levels(_on_windows(made), _blobs(device))
    return made, chosen


def _made(network: Generator, device: torch.device, wanted: Execution) -> Network:
    if wanted.backend == "openvino":
        return OpenVinoGenerator(network, wanted.precision, torch.get_num_threads())
    if wanted.backend == "winograd":
        return WinogradGenerator(network)
    if wanted.precision == "fp16" and device.type == "cpu":
        raise DeviceError("The CPU has no fast fp16.", "Use --precision auto, bf16 or fp32.")
    if wanted.precision == "fp32":
        return network
    # A copy: casting there and back would leave the fp32 weights rounded.
    halved = copy.deepcopy(network)
    halved.cast_stages(_DTYPES[wanted.precision])
    return halved


def _ways(network: Generator, device: torch.device, backend: BackendName) -> Iterator[Execution]:
    """List what "auto" tries; torch's fp32 comes first, since the others are held against it."""
    yield Execution("torch", "fp32")
    if backend in ("auto", "torch") and (device.type != "cpu" or cpu_has_bf16()):
        yield Execution("torch", "bf16" if device.type == "cpu" or _cuda_bf16(device) else "fp16")
    if backend in ("auto", "winograd") and device.type == "cpu" and can_compute(network):
        yield Execution("winograd", "fp32")
    if backend in ("auto", "openvino") and device.type == "cpu":
        yield from (Execution("openvino", precision) for precision in precisions())


def _fastest(network: Generator, device: torch.device, backend: BackendName) -> tuple[Network, Execution]:
    """Try the ways out on a made-up window of blobs and edges.

    A way has to be true to torch's fp32 within one grey level on 99.9 % of the pixels, and clearly faster. Ours,
    measured: to load ``lite`` takes 0.6 s on two cores without bf16, and 2 to 3 s with OpenVINO, which converts it.
    """
    window = _blobs(device)
    exact: npt.NDArray[np.int16] | None = None
    found: list[tuple[float, Network, Execution]] = []
    for way in _ways(network, device, backend):
        try:
            made = _made(network, device, way)
            on_windows = _on_windows(made)
            pixels = _levels(on_windows, window)  # the first run of a shape also prepares kernels
            exact = pixels if exact is None else exact
            if (np.abs(exact - pixels) > 1).mean() > 1e-3 or backend not in ("auto", way.backend):
                continue
            # The best of some, and a CPU's own time: a busy machine must not decide which pixels one gets.
            clock = time.process_time if device.type == "cpu" else time.perf_counter
            found.append((min(_seconds(on_windows, window, clock) for _ in range(_TRIALS)), made, way))
        except (RuntimeError, DeviceError):  # an operator that the device lacks, or a way that the system refuses
            if exact is None:
                raise
    if not found:  # another backend than torch was asked for
        chosen = Execution(backend, "fp32")
        return _made(network, device, chosen), chosen
    usual = Execution("torch", "fp32")
    _, made, chosen = min(found, key=lambda one: one[0] * (_WORTH_IT if one[2] == usual else 1))
    return made, chosen


def _blobs(device: torch.device) -> Tensor:
    coarse = np.random.default_rng(0).integers(60, 245, (12, 12, 3)).astype(np.float32)
    window = torch.from_numpy(np.kron(coarse, np.ones((8, 8, 1), np.float32)).astype(np.uint8)).to(device)
    return window.permute(2, 0, 1)[None].float().div_(255)


def _on_windows(network: Network) -> Network:
    """The network as it runs on windows with context."""
    trimmed = network.trimmed()
    return trimmed[0] if trimmed else network


def _levels(network: Network, window: Tensor) -> npt.NDArray[np.int16]:
    """Compute what stage 2 gives in grey levels; the bicubic skip, if any, is the same whatever computes."""
    with torch.inference_mode():
        _, hr = network.stages(window, 2)
        assert hr is not None
        levels: npt.NDArray[np.int16] = hr.float().mul_(255).round_().to(torch.int16).cpu().numpy()
    return levels


def _seconds(network: Network, window: Tensor, clock: Callable[[], float]) -> float:
    began = clock()
    _levels(network, window)
    return clock() - began


def cpu_has_bf16() -> bool:
    """Whether this processor computes in bf16; where it only pretends to, torch takes many times as long as in fp32."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _cuda_bf16(device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
