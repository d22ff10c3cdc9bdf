"""Build networks by name, and tell what tiles have to know of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.architecture import ARCHITECTURES, Architecture, ArchitectureOptions
from napari_pathsrgan.models.receptive_field import measure_context

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator, ResidualChain


class _Tiling:
    """How tiles of a network with certain options are cut; see `generator.Tiling`."""

    def __init__(self, architecture: Architecture, options: ArchitectureOptions) -> None:
        self._architecture, self._options = architecture, options
        self.alignment_lr_px = architecture.alignment_lr_px

    @property
    def context_lr_px(self) -> int:
        return context_lr_px(self._architecture, self._options)

    def trim(self, network: Generator) -> bool:
        return self._architecture.trim(network)

    def residual_chain(self, network: Generator) -> ResidualChain | None:
        return self._architecture.residual_chain(network)


def build_generator(name: str, **options: Any) -> Generator:
    """Build a network by its name, with random weights.

    Parameters
    ----------
    name : str
        One of ``ARCHITECTURES.names()``.
    **options
        The network's own, as recorded on a model's card.

    Raises
    ------
    OptionError
        For an unknown network or option.
    """
    architecture = ARCHITECTURES.find(name)
    try:
        parsed = architecture.options(**options)
        network = architecture.build(parsed)
    except (ValidationError, RuntimeError) as error:  # RuntimeError: too large for the memory
        raise OptionError(
            f"The network “{name}” does not take these options: {', '.join(map(str, options))} ({_first(error)}).",
            "Leave them out, or use the version of napari-pathsrgan that wrote them.",
        ) from error
    network.tiling = _Tiling(architecture, parsed)
    return network


def _first(error: ValidationError | RuntimeError) -> str:
    if isinstance(error, RuntimeError):
        return str(error)
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


@lru_cache(maxsize=64)
def context_lr_px(architecture: Architecture, options: ArchitectureOptions) -> int:
    """Tell how much context a tile of a network takes on each side, input pixels; a multiple of its alignment.

    Raises
    ------
    OptionError
        If the network looks at more than a window can hold, and its architecture names no approximate context.
    """
    approximate = architecture.approximate_context_lr_px(options)
    if approximate is not None:
        return approximate
    with torch.random.fork_rng(devices=[]):  # a training's own random numbers stay as they are
        context = measure_context(architecture.build(options), architecture.alignment_lr_px)
    if context is None:
        raise OptionError(
            f"The network “{architecture.name}” looks at more than a window can hold, so its tiles can't be computed.",
            "Let its architecture's approximate_context_lr_px tell one.",
        )
    return context
