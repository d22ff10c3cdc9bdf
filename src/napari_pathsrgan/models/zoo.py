"""Models by name: those that ship, and those the user trained or imported. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from napari_pathsrgan.errors import CheckpointError
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


def model_card(reference: str | Path) -> ModelCard:
    """Read the card of a model found by `find_model`."""
    return read_card(find_model(reference))
