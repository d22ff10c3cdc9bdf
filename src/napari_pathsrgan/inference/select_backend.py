"""Select the fastest backend and precision here that gives a network's pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_pathsrgan.errors import DeviceError, MissingPartError
from napari_pathsrgan.inference.backend import BACKENDS, REFERENCE, Backend
from napari_pathsrgan.inference.cell_windows import cell_window
from napari_pathsrgan.inference.execution import Execution
from napari_pathsrgan.models.blocks import centre

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_pathsrgan.inference.backend import BackendName, CompiledNetwork, Precision
    from napari_pathsrgan.models.generator import Generator

MOST_DIFFERING = 1e-3
"""Share of the values that may be more than one grey level from torch's fp32."""
_TRIALS = 3
_TRIAL_PX = 96
_WORTH_IT = 0.95
"""How much of torch's time in fp32 another candidate may take at most: what two trials differ by must not decide."""


def select_backend(
    network: Generator, device: torch.device, backend: BackendName = "auto", precision: Precision = "auto"
) -> tuple[CompiledNetwork, Execution]:
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
        If the device has no such precision, or the backend does not compute this network on it.
    MissingPartError
        If the backend is not installed.
    """
    if backend != "auto":
        _refuse_unsupported(BACKENDS.find(backend), network, device)
    if precision == "auto":
        return _fastest(network, device, backend)
    chosen = _default_for(precision) if backend == "auto" else BACKENDS.find(backend)
    _refuse_precision(chosen, precision, device)
    compiled = chosen.compile(network, precision, device)
    if precision in chosen.previews:  # what is lacking is said now, not when a tile is waited for
        _levels(_on_windows(compiled), trial_window(device))
    return compiled, Execution(chosen.name, precision)


def candidates(network: Generator, device: torch.device, backend: BackendName) -> Iterator[tuple[Backend, Precision]]:
    """List what "auto" tries; torch's fp32 comes first, since the others are compared with it."""
    reference = BACKENDS.find(REFERENCE)
    yield reference, "fp32"
    for one in sorted(BACKENDS.all(), key=lambda one: one is not reference):
        if backend in ("auto", one.name) and one.supports(network, device):
            yield from (
                (one, precision) for precision in one.precisions(device) if (one, precision) != (reference, "fp32")
            )


def _default_for(precision: Precision) -> Backend:
    """Choose the backend of a precision that is named: torch, but for the previews of others."""
    return next((one for one in BACKENDS.all() if precision in one.previews), BACKENDS.find(REFERENCE))


def _refuse_unsupported(backend: Backend, network: Generator, device: torch.device) -> None:
    missing = backend.missing()
    if missing is not None:
        raise missing
    if not backend.supports(network, device):
        raise DeviceError(f"{backend.title} {backend.limits}.", "Use --backend auto, or torch.")


def _refuse_precision(chosen: Backend, precision: Precision, device: torch.device) -> None:
    """Refuse the preview of one backend by another, or on another device."""
    owner = _default_for(precision)
    if precision in owner.previews and (chosen is not owner or device.type != "cpu"):
        raise DeviceError(
            f"Only {owner.title} computes in {precision}, on the CPU.",
            "Use --device cpu with --backend auto, or another --precision.",
        )


def _fastest(network: Generator, device: torch.device, backend: BackendName) -> tuple[CompiledNetwork, Execution]:
    """Try the candidates on a window of cells.

    A candidate has to be within one grey level of torch's fp32 on 99.9 % of the values, and clearly faster. Measured:
    to load ``lite`` takes 0.6 s on two cores without bf16, and 2 to 3 s with OpenVINO, which converts it.
    """
    window = trial_window(device)
    exact: npt.NDArray[np.int16] | None = None
    found: list[tuple[float, CompiledNetwork, Execution]] = []
    for candidate, precision in candidates(network, device, backend):
        try:
            compiled = candidate.compile(network, precision, device)
            on_windows = _on_windows(compiled)
            pixels = _levels(on_windows, window)  # the first run of a shape also prepares kernels
            exact = pixels if exact is None else exact
            if _share_differing(exact, pixels) > MOST_DIFFERING or backend not in ("auto", candidate.name):
                continue
            # The best of some, and a CPU's own time: a busy machine must not decide which pixels one gets.
            clock = time.process_time if device.type == "cpu" else time.perf_counter
            seconds = min(_seconds(on_windows, window, clock) for _ in range(_TRIALS))
            found.append((seconds, compiled, Execution(candidate.name, precision)))
        except (RuntimeError, DeviceError, MissingPartError):  # an operator or a right that is lacking here
            if exact is None:
                raise
    if not found:  # another backend than torch was asked for
        chosen = BACKENDS.find(backend)
        return chosen.compile(network, "fp32", device), Execution(chosen.name, "fp32")
    usual = Execution(REFERENCE, "fp32")
    _, compiled, execution = min(found, key=lambda one: one[0] * (_WORTH_IT if one[2] == usual else 1))
    return compiled, execution


def trial_window(device: torch.device) -> Tensor:
    """Draw cells of sharper edges and richer contrast than scanned ones, (1, 3, H, W) float32, 0 to 1."""
    return torch.from_numpy(cell_window(seed=0, contrast=1.7, blur_px=0.6, side_px=_TRIAL_PX)).to(device)


def _on_windows(network: CompiledNetwork) -> CompiledNetwork:
    """The network as it runs on windows with context."""
    trimmed = network.trimmed()
    return trimmed[0] if trimmed else network


def _levels(network: CompiledNetwork, window: Tensor) -> npt.NDArray[np.int16]:
    """Compute what stage 2 gives in grey levels; the bicubic skip, if any, is the same whatever computes."""
    with torch.inference_mode():
        _, hr = network.stages(window, 2)
        assert hr is not None
        levels: npt.NDArray[np.int16] = hr.float().mul_(255).round_().to(torch.int16).cpu().numpy()
    return levels


def _share_differing(exact: npt.NDArray[np.int16], pixels: npt.NDArray[np.int16]) -> float:
    """Share of the values more than a grey level apart, where both are there: a trimmed network leaves edges out."""
    height, width = (min(one, other) for one, other in zip(exact.shape[2:], pixels.shape[2:], strict=True))
    one, other = (centre(torch.from_numpy(levels), height, width) for levels in (exact, pixels))
    return float(((one - other).abs() > 1).float().mean())


def _seconds(network: CompiledNetwork, window: Tensor, clock: Callable[[], float]) -> float:
    began = clock()
    _levels(network, window)
    return clock() - began
