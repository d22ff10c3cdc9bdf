"""Network interpolation: weights between those of a pixel loss and those of an adversarial one (as ESRGAN has it).

It only makes sense where one was trained from the other, so that their features still mean the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_pathsrgan.errors import CardMismatchError, OptionError
from napari_pathsrgan.models.checkpoint import load_generator
from napari_pathsrgan.models.zoo import find_model

if TYPE_CHECKING:
    from napari_pathsrgan.models.card import ModelCard
    from napari_pathsrgan.models.generator import Generator


def blend_models(faithful: str | Path, natural: str | Path, share: float) -> tuple[Generator, ModelCard]:
    """Mix the weights of two models of one network.

    Parameters
    ----------
    faithful, natural : str or Path
        See `zoo.find_model`.
    share : float
        0 for the first alone, 1 for the second alone.

    Returns
    -------
    Generator
        In eval mode.
    ModelCard
        The second's, saying what it was mixed from; without figures, since none were measured.

    Raises
    ------
    OptionError
        If the share is none.
    CardMismatchError
        If they are different networks.
    CheckpointError
        If one of them can't be loaded.
    """
    if not 0 <= share <= 1:
        raise OptionError(f"A share of {share:g} is none.", "Give one from 0 to 1.")
    (first, first_card), (second, second_card) = (load_generator(find_model(name)) for name in (faithful, natural))
    if (first_card.preset, first_card.preset_options) != (second_card.preset, second_card.preset_options):
        raise CardMismatchError(
            f"“{first_card.name}” and “{second_card.name}” are different networks, and can't be mixed.",
            "Choose two models of which one was trained from the other.",
        )
    mixed = second.state_dict()
    with torch.no_grad():
        for name, value in first.state_dict().items():
            mixed[name] = torch.lerp(value, mixed[name], share)
    second.load_state_dict(mixed)
    card = second_card.model_copy(
        update={
            "name": f"{second_card.name} {100 * share:.0f} %",
            "command": f"pathsrgan models blend {first_card.name} {second_card.name} --share {share:g}",
            "metrics": {},
            "faithful": "",
            "weights_hash": "",
        }
    )
    return second, card
