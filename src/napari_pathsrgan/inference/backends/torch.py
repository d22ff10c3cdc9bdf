"""The backend torch: any network on any device; its fp32 is what the others are compared with."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from napari_pathsrgan.errors import DeviceError
from napari_pathsrgan.inference.backend import Backend, CompiledNetwork, Precision

if TYPE_CHECKING:
    import torch

    from napari_pathsrgan.models.generator import Generator


class Torch(Backend):
    """PyTorch."""

    name = "torch"
    title = "PyTorch"
    limits = "computes in fp32, bf16 and fp16"

    def supports(self, network: Generator, device: torch.device) -> bool:
        """Always."""
        return True

    def precisions(self, device: torch.device) -> tuple[Precision, ...]:
        """fp32, and the half precision that the device has."""
        if device.type == "cpu":
            return ("fp32", "bf16") if cpu_has_bf16() else ("fp32",)
        return "fp32", "bf16" if _cuda_has_bf16(device) else "fp16"

    def compile(self, network: Generator, precision: Precision, device: torch.device) -> CompiledNetwork:
        """See `Backend.compile`."""
        import torch

        dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        if precision not in dtypes:
            raise DeviceError(f"{self.title} {self.limits}.", "Use --backend auto, or another --precision.")
        if precision == "fp16" and device.type == "cpu":
            raise DeviceError("The CPU has no fast fp16.", "Use --precision auto, bf16 or fp32.")
        if precision == "fp32":
            return network
        # A copy: casting there and back would leave the fp32 weights rounded.
        halved = copy.deepcopy(network)
        halved.cast_stages(dtypes[precision])
        return halved


def cpu_has_bf16() -> bool:
    """Whether this processor computes in bf16; where it only pretends to, torch takes many times as long as in fp32."""
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _cuda_has_bf16(device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    import torch

    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


BACKEND = Torch()
