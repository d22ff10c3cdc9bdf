"""The backend winograd: residual networks such as ``lite`` in fp32 on a CPU, by code compiled for that processor.

It is for processors without bf16, where it is faster than torch's fp32. Needs the extra ``fast``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from napari_pathsrgan.errors import DeviceError, MissingPartError
from napari_pathsrgan.inference.backend import Backend, CompiledNetwork, Precision

if TYPE_CHECKING:
    import torch

    from napari_pathsrgan.models.generator import Generator


class Winograd(Backend):
    """Winograd's minimal filtering, written with llvmlite."""

    name = "winograd"
    title = "Winograd"
    limits = "computes networks of residual blocks such as lite, in fp32 on the CPU"

    def missing(self) -> MissingPartError | None:
        """See `Backend.missing`."""
        if find_spec("llvmlite") is not None:
            return None
        return MissingPartError(
            "llvmlite is not installed.",
            "Install it with `pip install 'napari-pathsrgan[fast]'`, or use --backend torch.",
        )

    def supports(self, network: Generator, device: torch.device) -> bool:
        """Whether the network is a chain of 3×3 convolutions with channels enough, and the device a CPU."""
        if device.type != "cpu" or self.missing():
            return False
        from napari_pathsrgan.inference.winograd import can_compute

        return can_compute(network)

    def precisions(self, device: torch.device) -> tuple[Precision, ...]:
        """fp32 alone."""
        return ("fp32",)

    def compile(self, network: Generator, precision: Precision, device: torch.device) -> CompiledNetwork:
        """See `Backend.compile`."""
        from napari_pathsrgan.inference.winograd import WinogradNetwork

        if precision != "fp32":
            raise DeviceError(f"{self.title} {self.limits}.", "Use --backend auto, or torch.")
        return WinogradNetwork(network)


BACKEND = Winograd()
