"""A review's fields from a folder with a folder of images for each method."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.review.design import Design, PatchSet, draw_stratified

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}


def is_folder_of_methods(path: Path) -> bool:
    """Whether a path holds folders with images in them."""
    return path.is_dir() and any(_images(folder) for folder in _folders(path))


def fields_of_folder(path: Path, design: Design) -> Iterator[PatchSet]:
    """Draw fields from a folder.

    Parameters
    ----------
    path : Path
        A folder for each method, with images of the same names (whatever they end in). ``HSIL/17.png`` in it is of
        class HSIL.
    design : Design

    Yields
    ------
    PatchSet
        ``design.fields_needed`` of them.

    Raises
    ------
    OptionError
        If a method lacks an image, one can't be read, or there are too few.
    """
    methods = {folder.name: _images(folder) for folder in _folders(path)}
    methods = {name: files for name, files in methods.items() if files}
    every = sorted({name for files in methods.values() for name in files})
    for method, files in methods.items():
        lacking = [name for name in every if name not in files]
        if lacking:
            raise OptionError(
                f"{path.name}/{method} lacks {len(lacking)} of {len(every)} images, such as {lacking[0]}.",
                "Give every method the same fields, by the same names.",
            )
    labels = [str(Path(name).parent) if len(Path(name).parts) > 1 else "" for name in every]
    for index in draw_stratified(labels, design.fields_needed, design.seed):
        name = every[index]
        yield PatchSet(name, {method: _read(files[name]) for method, files in methods.items()}, labels[index])


def _folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []


def _images(folder: Path) -> dict[str, Path]:
    """Images below a folder by their path without what it ends in."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURES)
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def _read(path: Path) -> Pixels:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise OptionError(
            f"{path} can't be read as an image.", "Save it again as PNG, or remove it in every method."
        ) from error
