"""What is known about a network, and the registry of networks. Imports no torch: `build` builds the networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from napari_pathsrgan.registry import Registry

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator, ResidualChain

GRID_STEP_LR_PX = 8
"""Windows begin and end on multiples of it; an architecture's alignment divides it."""

ONE_PHASE: Mapping[str, Any] = MappingProxyType({"epochs": (0, 0, 12), "learning_rates": (1e-4, 1e-4, 1e-4)})
"""Training settings of networks that have no stage 1 to begin with: both stages at once, as long as 6 + 6 epochs."""


class ArchitectureOptions(BaseModel):
    """What a network can be built with; each field has a default and is recorded on the model's card."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True)
class ForeignCheckpoint:
    """How a checkpoint that another program wrote is imported.

    Attributes
    ----------
    rename : callable
        Turns a tensor's foreign name into ours; gives None for a tensor that our network lacks.
    owner, example : str
        Whose network it is, and the name of such a file, for messages.
    training_data, licence : str
        For the card.
    """

    rename: Callable[[str], str | None]
    owner: str
    example: str
    training_data: str
    licence: str


class Architecture(ABC):
    """A network that turns 5× pixels into 10× and 20× ones: all that the package knows about it.

    Attributes
    ----------
    name : str
        The name of its module, or of its entry point.
    options : type of ArchitectureOptions
    alignment_lr_px : int
        A window's sides and its place on the slide must be multiples of it: 8 for three poolings by 2.
    training : mapping of str to value
        Settings of a `TrainingConfig` that this network is trained with unless the user says otherwise.
    foreign : ForeignCheckpoint or None
        Where checkpoints of another program can be imported.
    """

    name: ClassVar[str]
    options: ClassVar[type[ArchitectureOptions]] = ArchitectureOptions
    alignment_lr_px: ClassVar[int] = 1
    training: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    foreign: ClassVar[ForeignCheckpoint | None] = None

    @abstractmethod
    def build(self, options: Any) -> Generator:
        """Build the network with random weights, ready to be trained.

        Parameters
        ----------
        options : ArchitectureOptions
            Of the type that `options` names.
        """

    def approximate_context_lr_px(self, options: Any) -> int | None:
        """Tell the context that tiles take although the network looks farther, where the exact one would cost too much.

        Tiles then equal the same pixels of one big pass within one grey level. None, the default: the exact context is
        measured and taken.
        """
        return None

    def trim(self, network: Generator) -> bool:
        """Change a network so that it computes only pixels whose context lies in the window, and say whether it can.

        What is left must be the same pixels around the same centre. This spares the computation of the halo.
        """
        return False

    def residual_chain(self, network: Generator) -> ResidualChain | None:
        """Give the network as a chain of 3×3 convolutions, for backends that compute those; None if it is none."""
        return None


ARCHITECTURES: Registry[Architecture] = Registry("napari_pathsrgan.models.architectures", "ARCHITECTURE", "network")
