"""Named arrays and their card in one safetensors file: what a model is on disk. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from napari_pathsrgan.atomic_write import atomic_replace
from napari_pathsrgan.errors import CheckpointError, OutputError
from napari_pathsrgan.models.card import CARD_KEY, ModelCard, read_card
from napari_pathsrgan.text import printable

_LARGEST_FILE = 512 << 20
"""Bytes; the largest network here has 97 MB."""

Arrays = Mapping[str, npt.NDArray[Any]]


def hash_arrays(arrays: Arrays) -> str:
    """Hash arrays by name, dtype, shape and bytes, in the order of their names.

    Returns
    -------
    str
        BLAKE2b, 32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} torch.{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_weights(arrays: Arrays, card: ModelCard, path: Path) -> ModelCard:
    """Write weights and their card, whole or not at all.

    Parameters
    ----------
    arrays : mapping of str to ndarray of float32
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
    written = card.model_copy(update={"weights_hash": hash_arrays(arrays)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In C order: safetensors writes an array's memory as it lies, and torch keeps some with the channels last.
        ordered = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with atomic_replace(path) as partial:
            save_file(ordered, partial, metadata={CARD_KEY: written.model_dump_json(by_alias=True)})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} can't be written: {error}.", "Free some space or choose another folder.") from error
    return written


def read_weights(path: Path) -> tuple[dict[str, npt.NDArray[Any]], ModelCard]:
    """Read weights and their card.

    Parameters
    ----------
    path : Path
        A .safetensors file written by `write_weights`.

    Returns
    -------
    dict of str to ndarray
        As stored.
    ModelCard

    Raises
    ------
    CheckpointError
        If the file is absent, damaged, too large, does not match its own hash, or holds anything but finite floats.
    CardMismatchError
        If the card contradicts the network.
    """
    card = read_card(path)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise CheckpointError(f"{path.name} is larger than any model here.", "Choose another file.")
        arrays = load_file(path)
    except (SafetensorError, OSError, TypeError, KeyError) as error:  # KeyError: a dtype that NumPy lacks
        raise CheckpointError(f"{path.name} is damaged: {error}.", "Copy or download it again.") from error
    if hash_arrays(arrays) != card.weights_hash:
        raise CheckpointError(
            f"The weights in {path.name} are not those its card was written for.", "Copy or download it again."
        )
    refuse_unusable(path, arrays)
    return arrays, card


def refuse_unusable(path: Path, arrays: Arrays) -> None:
    """Raise CheckpointError unless all weights are finite floats: with others a network paints black or fails."""
    for name, array in arrays.items():
        kind = None if array.dtype.kind == "f" else f"of type {array.dtype}"
        kind = kind or (None if np.isfinite(array).all() else "not finite")
        if kind is not None:
            raise CheckpointError(
                f"{path.name} holds weights that are {kind}: {printable(name, 100)}.",
                "Choose another model, or train it again from a checkpoint before they came up.",
            )
