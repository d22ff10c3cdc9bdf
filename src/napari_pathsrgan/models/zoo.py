"""Models by name: those that ship, and those the user trained or imported. Imports no torch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

from napari_pathsrgan.errors import CheckpointError, OutputError, PathSRGANError
from napari_pathsrgan.models.card import ModelCard, read_card

SHIPPED_FOLDER = Path(__file__).parent / "weights"
RUN_FOLDER_FILE = "generator.safetensors"
"""What a training run's folder calls its current weights."""


def user_folder() -> Path:
    """Folder of the user's own models; ``PATHSRGAN_MODELS`` overrides it."""
    told = os.environ.get("PATHSRGAN_MODELS")
    return Path(told) if told else platformdirs.user_data_path("napari-pathsrgan") / "models"


def available_models() -> dict[str, Path]:
    """Map names to files: shipped ones first, then the user's; a user's file does not hide a shipped name."""
    found: dict[str, Path] = {}
    for folder in (SHIPPED_FOLDER, user_folder()):
        for path in sorted(folder.glob("*.safetensors")):
            found.setdefault(path.stem, path)
    return found


def find_model(reference: str | Path) -> Path:
    """Find a model's file.

    Parameters
    ----------
    reference : str or Path
        A name from `available_models`, a .safetensors file, or a run folder.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CheckpointError
        If there is no such model.
    """
    named = available_models()
    if str(reference) in named:
        return named[str(reference)]
    path = Path(reference).expanduser()
    if path.is_dir() and (path / RUN_FOLDER_FILE).is_file():
        return path / RUN_FOLDER_FILE
    if path.is_file():
        return path
    raise CheckpointError(
        f"There is no model “{reference}”.",
        f"Choose one of {', '.join(named) or 'none installed'}, or give a .safetensors file or a run folder.",
    )


def add_model(reference: str | Path) -> Path:
    """Copy a model into the user's folder under the name on its card; one that is there already stays as it is.

    Parameters
    ----------
    reference : str or Path
        See `find_model`; a run folder for one.

    Returns
    -------
    Path
        The file in the user's folder; a number follows the name where another model has it.

    Raises
    ------
    CheckpointError
        If there is no such model.
    OutputError
        If the folder can't be written.
    """
    source = find_model(reference)
    card = read_card(source)
    name = "".join(sign if sign.isalnum() or sign in " ._-" else "-" for sign in card.name).strip(" .") or "model"
    named = available_models()
    number = 1
    while (wanted := name if number == 1 else f"{name}-{number}") in named:
        if _same_weights(named[wanted], card):
            return named[wanted]
        number += 1
    target = user_folder() / f"{wanted}.safetensors"
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"The model “{card.name}” can't be copied to {target.parent}: {error.strerror or error}.",
            f"It can still be chosen as {source}.",
        ) from error
    return target


def _same_weights(path: Path, card: ModelCard) -> bool:
    try:
        return bool(card.weights_hash) and read_card(path).weights_hash == card.weights_hash
    except PathSRGANError:
        return False


def model_card(reference: str | Path) -> ModelCard:
    """Read the card of a model found by `find_model`."""
    return read_card(find_model(reference))
