"""Models by name: those that ship, and those the user trained or imported. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from napari_pathsrgan.atomic_write import atomic_replace, output_error
from napari_pathsrgan.errors import CheckpointError, OptionError, OutputError, PathSRGANError
from napari_pathsrgan.models.blending import write_blend
from napari_pathsrgan.models.card import ModelCard, read_card
from napari_pathsrgan.private_files import copy_privately, make_private, private_folder

SHIPPED_FOLDER = Path(__file__).parent / "weights"
RUN_FOLDER_FILE = "generator.safetensors"
"""What a training run's folder calls its current weights."""
WEIGHT_SIGN = "@"
"""Between a model's name and how natural it is to be: ward@0.5 is halfway from its PSNR model to ward."""


def user_folder() -> Path:
    """Folder of the user's own models; ``PATHSRGAN_MODELS`` overrides it."""
    told = os.environ.get("PATHSRGAN_MODELS")
    return Path(told) if told else platformdirs.user_data_path("napari-pathsrgan") / "models"


def available_models() -> dict[str, Path]:
    """Map names to files: shipped ones first, then the user's; a user's file does not hide a shipped name."""
    found: dict[str, Path] = {}
    for folder in (SHIPPED_FOLDER, user_folder()):
        for path in sorted(folder.glob("*.safetensors"), key=lambda path: path.stem):
            found.setdefault(path.stem, path)
    return found


def find_model(reference: str | Path) -> Path:
    """Find a model's file.

    Parameters
    ----------
    reference : str or Path
        A name from `available_models`, a .safetensors file, or a run folder. ``NAME@WEIGHT`` is a mixture of that model
        and the PSNR model on its card: 0 for the PSNR model, 1 for the model itself.

    Returns
    -------
    Path
        The file; a mixture's lies in the cache folder.

    Raises
    ------
    CheckpointError
        If there is no such model.
    OptionError
        If the weight is none, or the model has no PSNR model to be mixed with.
    OutputError
        If a mixture can't be written.
    """
    named = available_models()
    if str(reference) in named:
        return named[str(reference)]
    path = Path(reference).expanduser()
    if path.is_dir() and (path / RUN_FOLDER_FILE).is_file():
        return path / RUN_FOLDER_FILE
    if path.is_file():
        return path
    model, weight = split_weight(reference)
    if weight is not None:
        return _find_blend(model, weight)
    raise CheckpointError(
        f"There is no model “{reference}”.",
        f"Choose one of {', '.join(named) or 'none installed'}, or give a .safetensors file or a run folder.",
    )


def split_weight(reference: str | Path) -> tuple[str, float | None]:
    """Split ``NAME@WEIGHT`` into the model and the weight; None where there is none."""
    model, sign, weight = str(reference).rpartition(WEIGHT_SIGN)
    try:
        return (model, float(weight)) if sign and model else (str(reference), None)
    except ValueError:
        return str(reference), None


def _find_blend(model: str, weight: float) -> Path:
    gan_model = find_model(model)
    card = read_card(gan_model)
    if not card.psnr_model:
        raise OptionError(
            f"The model “{card.name}” has no PSNR model to be mixed with.",
            "Give it without a weight, or mix two files with `pathsrgan models blend`.",
        )
    psnr_model = find_model(card.psnr_model)
    if weight in (0, 1):
        return gan_model if weight else psnr_model
    hashes = f"{read_card(psnr_model).weights_hash[:12]}-{card.weights_hash[:12]}"
    mixture = platformdirs.user_cache_path("napari-pathsrgan") / "blends" / f"{hashes}-{weight:g}.safetensors"
    try:
        private_folder(mixture.parent)
        if not mixture.is_file():
            write_blend(psnr_model, gan_model, weight, mixture)
        make_private(mixture.parent)
    except OSError as error:
        raise output_error(mixture, error) from error
    return mixture


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
    try:
        private_folder(target.parent)
        with atomic_replace(target) as partial:
            copy_privately(source, partial)
    except OSError as error:
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
