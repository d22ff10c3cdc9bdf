"""Network interpolation: weights between those of a pixel loss and those of an adversarial one (as ESRGAN has it).

It only makes sense where one was trained from the other, so that their features still mean the same. Imports no torch:
a window blends while the user moves a slider.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import CardMismatchError, OptionError
from napari_pathsrgan.models.card import MOST_NAME
from napari_pathsrgan.models.weights_file import read_weights, write_weights
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from napari_pathsrgan.models.card import ModelCard


def blend_models(psnr_model: Path, gan_model: Path, weight: float) -> tuple[dict[str, npt.NDArray[Any]], ModelCard]:
    """Mix the weights of two models of one network.

    Parameters
    ----------
    psnr_model, gan_model : Path
        Model files.
    weight : float
        0 for the first alone, 1 for the second alone.

    Returns
    -------
    dict of str to ndarray of float32
        The weights.
    ModelCard
        The second's, saying what it was mixed from; without figures, since none were measured.

    Raises
    ------
    OptionError
        If the weight is none.
    CardMismatchError
        If they are different networks.
    CheckpointError
        If one of them can't be read.
    """
    if not 0 <= weight <= 1:
        raise OptionError(f"A weight of {weight:g} is none.", "Give one from 0 to 1.")
    (first, first_card), (second, second_card) = read_weights(psnr_model), read_weights(gan_model)
    if (first_card.preset, first_card.preset_options) != (second_card.preset, second_card.preset_options):
        raise CardMismatchError(
            f"“{first_card.name}” and “{second_card.name}” are different networks, and can't be mixed.",
            "Choose two models of which one was trained from the other.",
        )
    near, far = np.float32(weight), np.float32(1 - weight)
    mixed = {name: far * first[name] + near * value for name, value in second.items()}
    card = second_card.model_copy(
        update={
            "name": printable(f"{second_card.name} {100 * weight:.0f} %", MOST_NAME),
            "command": f"pathsrgan models blend {first_card.name} {second_card.name} --weight {weight:g}",
            "metrics": {},
            "psnr_model": "",
            "weights_hash": "",
        }
    )
    return mixed, card


def write_blend(psnr_model: Path, gan_model: Path, weight: float, path: Path) -> ModelCard:
    """Mix two models and write the mixture; see `blend_models` and `weights_file.write_weights`."""
    mixed, card = blend_models(psnr_model, gan_model, weight)
    return write_weights(mixed, card, path)
