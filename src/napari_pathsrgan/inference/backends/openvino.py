"""The backend OpenVINO: any network on a CPU, and int8 as a preview. Needs the extra ``openvino``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pathsrgan.errors import MissingPartError
from napari_pathsrgan.inference.backend import Backend, CompiledNetwork, Precision

if TYPE_CHECKING:
    import torch

    from napari_pathsrgan.models.generator import Generator


class OpenVino(Backend):
    """OpenVINO, with NNCF for int8."""

    name = "openvino"
    title = "OpenVINO"
    limits = "computes on the CPU"
    previews = ("int8",)

    def missing(self) -> MissingPartError | None:
        """See `Backend.missing`."""
        from napari_pathsrgan.inference.openvino_network import import_openvino

        try:
            import_openvino()
        except MissingPartError as error:
            return error
        return None

    def supports(self, network: Generator, device: torch.device) -> bool:
        """Whether the device is a CPU."""
        return device.type == "cpu"

    def precisions(self, device: torch.device) -> tuple[Precision, ...]:
        """See `Backend.precisions`."""
        from napari_pathsrgan.inference.openvino_network import precisions

        return precisions()

    def compile(self, network: Generator, precision: Precision, device: torch.device) -> CompiledNetwork:
        """See `Backend.compile`; converting takes seconds."""
        import torch

        from napari_pathsrgan.inference.openvino_network import OpenVinoNetwork

        return OpenVinoNetwork(network, precision, torch.get_num_threads())


BACKEND = OpenVino()
