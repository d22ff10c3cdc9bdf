"""Weights on disk: safetensors with a card, and the import of the authors' checkpoint.

Nothing here unpickles: our files are safetensors, and a foreign .pth goes through ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_pathsrgan.bounded_json import open_regular_file
from napari_pathsrgan.errors import CardMismatchError, CheckpointError, OptionError, OutputError
from napari_pathsrgan.models.architecture import ARCHITECTURES
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import MOST_NAME, ModelCard
from napari_pathsrgan.models.weights_file import hash_arrays, read_weights, refuse_unusable, write_weights
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from napari_pathsrgan.models.architecture import ForeignCheckpoint
    from napari_pathsrgan.models.generator import Generator

_LARGEST_FILE = 1 << 30
"""Bytes of a foreign checkpoint, packed and unpacked."""


def hash_weights(tensors: Mapping[str, Tensor]) -> str:
    """Hash tensors as `weights_file.hash_arrays` does arrays."""
    return hash_arrays({name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()})


def save_generator(network: Generator, card: ModelCard, path: Path) -> ModelCard:
    """Write a generator and its card into one file, whole or not at all.

    Parameters
    ----------
    network : Generator
        The weights; stored in float32.
    card : ModelCard
        Its ``weights_hash`` is filled in here.
    path : Path
        Ends in .safetensors; an older file there is replaced.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    return write_weights(
        {name: value.detach().float().cpu().numpy() for name, value in network.state_dict().items()}, card, path
    )


def refuse_existing(path: Path) -> None:
    """Raise OutputError if there is something at a place where a new file is to go."""
    if path.exists():
        raise OutputError(f"{path} exists already.", "Choose another name or remove it.")


def load_generator(path: Path) -> tuple[Generator, ModelCard]:
    """Read a generator and its card.

    Parameters
    ----------
    path : Path
        A .safetensors file written by `save_generator`.

    Returns
    -------
    Generator
        On the CPU, float32, in eval mode.
    ModelCard
        Its card.

    Raises
    ------
    CheckpointError
        If the file is damaged, holds another network's weights, or does not match its own hash.
    CardMismatchError
        If the card contradicts the network.
    """
    arrays, card = read_weights(path)
    try:
        network = build_generator(card.preset, **card.preset_options)
    except OptionError as error:
        raise CheckpointError(f"{path.name}: {error.problem}", error.remedy) from error
    _check_context(network, card)
    _load(network, {name: torch.from_numpy(array) for name, array in arrays.items()}, path.name, card.preset)
    return network.eval(), card


def _check_context(network: Generator, card: ModelCard) -> None:
    """Refuse a card by which tiles would lack context: they would be inexact, and nobody would say so."""
    wanted, step = network.halo_lr_px, network.alignment_lr_px
    if card.halo_lr_px < wanted or card.halo_lr_px % step:
        raise CardMismatchError(
            f"The model “{card.name}” says that its tiles take {card.halo_lr_px} px of context; its network takes "
            f"{wanted} px or more, in steps of {step}.",
            "Ask whoever made the model for a corrected card.",
        )


def _load(network: Generator, tensors: Mapping[str, Tensor], file_name: str, preset: str) -> None:
    own = network.state_dict()
    wrong = sorted(own.keys() ^ tensors.keys()) or sorted(n for n in own if own[n].shape != tensors[n].shape)
    if wrong:
        raise CheckpointError(
            f"{file_name} holds another network than “{preset}”: {len(wrong)} tensors differ, the first is {wrong[0]}.",
            "Choose the preset it was trained with.",
        )
    network.load_state_dict(dict(tensors))


def import_checkpoint(source: Path, destination: Path, architecture: str, name: str | None = None) -> ModelCard:
    """Turn a checkpoint that another program wrote into a file of ours.

    Parameters
    ----------
    source : Path
        A state dict saved by ``torch.save``, its names with or without ``module.``.
    destination : Path
        The .safetensors file to write; must not exist.
    architecture : str
        The network it is for; one whose `Architecture.foreign` says how.
    name : str, optional
        Name on the card; the source's stem otherwise.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    CheckpointError
        If the file is absent, needs more than weights to load, or is another network.
    OptionError
        If checkpoints for that network can't be imported.
    OutputError
        If the destination exists or can't be written.
    """
    refuse_existing(destination)
    foreign = _foreign(architecture)
    state = _load_weights_only(source)
    renamed = {foreign.rename(key): value for key, value in state.items()}
    if None in renamed:
        unknown = next(key for key in state if foreign.rename(key) is None)
        raise CheckpointError(
            f"{source.name} is not {foreign.owner} network: it has a tensor “{unknown}”.",
            f"Give {foreign.owner} generator checkpoint, such as {foreign.example}.",
        )
    network = build_generator(architecture)
    _load(network, {key: value for key, value in renamed.items() if key is not None}, source.name, architecture)
    refuse_unusable(source, {key: value.numpy() for key, value in network.state_dict().items()})
    card = ModelCard(
        name=printable(name or source.stem, MOST_NAME),
        preset=architecture,
        halo_lr_px=network.halo_lr_px,
        training_data=foreign.training_data,
        licence=foreign.licence,
        command=f"pathsrgan models import {printable(source.name)} --preset {architecture}",
    )
    return save_generator(network, card, destination)


def _foreign(name: str) -> ForeignCheckpoint:
    foreign = ARCHITECTURES.find(name).foreign
    if foreign is None:
        able = [architecture.name for architecture in ARCHITECTURES.all() if architecture.foreign]
        raise OptionError(f"Nothing can be imported as “{name}”.", f"Choose {' or '.join(able)}.")
    return foreign


def _load_weights_only(source: Path) -> Mapping[str, Tensor]:
    try:
        _refuse_large(source)
        state = torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no file {source}.", "Check the path.") from error
    except Exception as error:  # damaged bytes fail in any way: struct.error, AssertionError, IndexError …
        raise CheckpointError(
            f"{source.name} can't be loaded as plain weights; loading anything more could run code from it.",
            "Ask for a file saved as torch.save(model.state_dict(), …).",
        ) from error
    for wrapper in ("state_dict", "model", "generator"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    named = isinstance(state, Mapping) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    if not named or not state:
        raise CheckpointError(
            f"{source.name} holds no named weights.", "Give a file saved as torch.save(model.state_dict(), …)."
        )
    weights: Mapping[str, Tensor] = state
    odd = next((name for name, tensor in weights.items() if not _is_plain(tensor)), None)
    if odd is not None:
        raise CheckpointError(
            f"{source.name} holds weights that are no plain numbers: {printable(odd, 100)}.",
            "Give a file saved as torch.save(model.state_dict(), …).",
        )
    return weights


def _refuse_large(source: Path) -> None:
    """Raise ValueError for a file that is no regular one, or that unpacks to more than any network has."""
    with open_regular_file(source) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _LARGEST_FILE and zipfile.is_zipfile(file):
            size = max(size, sum(part.file_size for part in zipfile.ZipFile(file).infolist()))
    if size > _LARGEST_FILE:
        raise ValueError("it is larger than any network here")


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds floats of its own: neither sparse nor quantized, and no number standing for many."""
    return (
        tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and tensor.is_floating_point()
        and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
    )
