"""What is known about a backend, something that computes networks; and the registry of backends. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from napari_pathsrgan.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_pathsrgan.errors import MissingPartError
    from napari_pathsrgan.models.generator import Generator

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
"""int8 is a preview: it is taken only where it is named, and its pixels are no other precision's."""


class CompiledNetwork(Protocol):
    """A network ready to run, whatever computes it; a `Generator` is one."""

    @property
    def bicubic_skip(self) -> bool:
        """See `Generator`."""

    def stages(self, lr: Tensor, stage: int) -> tuple[Tensor, Tensor | None]:
        """See `Generator.stages`; the tensors may be overwritten by what the thread computes next."""

    def trimmed(self) -> tuple[CompiledNetwork, int] | None:
        """See `Generator.trimmed`."""


class Backend(ABC):
    """Something that computes networks: all that the package knows about it.

    Attributes
    ----------
    name : str
        The name of its module, or of its entry point.
    title : str
        What messages and the window call it.
    limits : str
        What it computes, after the title: "computes networks on the CPU".
    previews : tuple of str
        Precisions whose pixels are off by more than a grey level; they are taken only where they are named.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    limits: ClassVar[str]
    previews: ClassVar[tuple[Precision, ...]] = ()

    def missing(self) -> MissingPartError | None:
        """Say which package it lacks and how to get it; None if it can be used."""
        return None

    @abstractmethod
    def supports(self, network: Generator, device: torch.device) -> bool:
        """Whether it computes a network on a device, in some precision."""

    @abstractmethod
    def precisions(self, device: torch.device) -> tuple[Precision, ...]:
        """List the precisions that are worth a trial on a device: those that it has in hardware, fp32 first."""

    @abstractmethod
    def compile(self, network: Generator, precision: Precision, device: torch.device) -> CompiledNetwork:
        """Make a network ready to run.

        Parameters
        ----------
        network : Generator
            On the device, float32, in eval mode; must not be changed.
        precision : str
        device : torch.device

        Raises
        ------
        DeviceError
            If the device has no such precision.
        MissingPartError
            If a package is not installed.
        """


BACKENDS: Registry[Backend] = Registry("napari_pathsrgan.inference.backends", "BACKEND", "backend")


def preview_precisions() -> frozenset[Precision]:
    """List the precisions whose pixels are off by more than a grey level."""
    return frozenset(precision for backend in BACKENDS.all() for precision in backend.previews)


REFERENCE = "torch"
"""The backend whose fp32 the others are compared with."""

if TYPE_CHECKING:
    BackendName = str
else:
    BackendName = Literal[("auto", *BACKENDS.names())]
"""A backend, or "auto" for what a trial shows to be the fastest exact one."""
