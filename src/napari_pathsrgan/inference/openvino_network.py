"""A generator computed by OpenVINO: the same pictures on a CPU, often sooner. Needs the extra ``openvino``."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_pathsrgan.errors import DeviceError, MissingPartError
from napari_pathsrgan.inference.signal_stack import signal_stack_kept

if TYPE_CHECKING:
    from napari_pathsrgan.inference.backend import Precision
    from napari_pathsrgan.models.generator import Generator

_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
_TRACED_PX = 64
"""Large enough for a network that pads nothing."""


class _Stages(nn.Module):
    """What both stages give, without the bicubic skip: that stays in float32 whatever the precision."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network.stages(lr, 2)


class OpenVinoNetwork:
    """A generator converted for OpenVINO; several threads may compute at the same time.

    Where each has its share of torch's threads (`Engine.at_once`), it has as many of OpenVINO's.

    Parameters
    ----------
    network : Generator
        float32, on the CPU, in eval mode.
    precision : {"fp32", "bf16", "int8"}
    threads : int

    Raises
    ------
    MissingPartError
        If OpenVINO, or what int8 takes besides, is not installed.
    DeviceError
        If the processor has no fast arithmetic of this precision.
    """

    def __init__(self, network: Generator, precision: Precision, threads: int) -> None:
        self._core = _core()
        if precision not in (*precisions(), *(("int8",) if _has("INT8", self._core) else ())):
            raise DeviceError(
                f"OpenVINO has no fast {precision} on this processor.", "Use --precision auto, or --backend torch."
            )
        self._network = network
        self._precision, self._threads = precision, threads
        self._trimmed: tuple[OpenVinoNetwork, int] | None = None
        self._making = threading.Lock()
        self._compiled: dict[tuple[int, int], Any] = {}
        self._of_thread = threading.local()

    @property
    def bicubic_skip(self) -> bool:
        """See `Generator`."""
        return self._network.bicubic_skip

    def stages(self, lr: Tensor, stage: int) -> tuple[Tensor, Tensor | None]:
        """See `Generator.stages`; the tensors are overwritten by what the thread computes next."""
        found = self._request(stage).infer([lr.contiguous().numpy()], share_inputs=True, share_outputs=True)
        mr, *hr = (torch.from_numpy(array) for array in found.to_tuple())
        return mr, hr[0] if hr else None

    def trimmed(self) -> tuple[OpenVinoNetwork, int] | None:
        """See `Generator.trimmed`; the same one each time, since converting takes a second."""
        if self._trimmed is None and (found := self._network.trimmed()):
            network, context = found
            self._trimmed = OpenVinoNetwork(network, self._precision, self._threads), context
        return self._trimmed

    @cached_property
    def _both(self) -> Any:
        """The network converted, with both pictures; a trimmed one may be all that is ever needed."""
        model = _convert(import_openvino(), self._network)
        if self._precision != "int8":
            return model
        from napari_pathsrgan.inference.int8 import quantised

        return quantised(model)

    def _request(self, stage: int) -> Any:
        """Make a request for both pictures or for the 10× one alone, each thread its own, when first needed."""
        share = min(torch.get_num_threads(), self._threads)
        requests: dict[tuple[int, int], Any] = self._of_thread.__dict__.setdefault("requests", {})
        if (stage, share) not in requests:
            with self._making:
                if (stage, share) not in self._compiled:
                    self._compiled[stage, share] = self._compile(stage, share)
            requests[stage, share] = self._compiled[stage, share].create_infer_request()
        return requests[stage, share]

    def _compile(self, stage: int, share: int) -> Any:
        openvino, model = import_openvino(), self._both
        if stage == 1:
            model = openvino.Model([model.output(0)], model.get_parameters())
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": self._threads // share,
            # Workers that share a machine would all be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        return self._core.compile_model(model, "CPU", settings)


def precisions() -> tuple[Precision, ...]:
    """Tell in which true precisions OpenVINO is fast on this processor; empty where it is not installed."""
    try:
        core = _core()
    except MissingPartError:
        return ()
    return ("fp32", "bf16") if _has("BF16", core) else ("fp32",)


def _core() -> Any:
    """Load OpenVINO with its plugin for CPUs, and leave this thread's signals alone."""
    core = import_openvino().Core()
    with signal_stack_kept():
        core.get_property("CPU", "FULL_DEVICE_NAME")
    return core


def _has(arithmetic: str, core: Any) -> bool:
    return arithmetic in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _convert(openvino: Any, network: Generator) -> Any:
    """Convert for windows of any size."""
    example = torch.rand(1, 3, _TRACED_PX, _TRACED_PX)
    # Not in inference mode, where convolutions are oneDNN's, which OpenVINO does not know.
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, which torch would rather see done otherwise
        # Checking the trace would take ten times as long; the trial does so with the pixels themselves.
        traced = torch.jit.trace(_Stages(network), example, check_trace=False)  # type: ignore[no-untyped-call]
        model = openvino.convert_model(traced, example_input=example)
    model.reshape([1, 3, -1, -1])
    return model


def import_openvino() -> Any:
    """Import OpenVINO without what it would tell its makers of its use."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingPartError(
            "OpenVINO is not installed.", "Install it with `pip install 'napari-pathsrgan[openvino]'`."
        ) from error
