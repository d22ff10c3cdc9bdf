"""Labelled nuclei to learn lesions from: of pictures with a table, and of synthetic fields whose truth is known."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.phantom.field_image import phantom_cells, phantom_field
from napari_pathsrgan.registration.fields import MPP_HR, MPP_MR, TEST_ONE_IN, is_held_out, read_image

if TYPE_CHECKING:
    from napari_pathsrgan.training.lesion_config import LesionConfig
    from napari_pathsrgan.types import Pixels

SIDE_PX = 64
"""Side of what the network sees of a nucleus: 19 µm at 20×, 38 µm at 10×."""
NORMAL = {"negative for intraepithelial lesion", "nilm", "normal"}
"""What labels call a cell that is none of a lesion, in lower case."""
_LESIONS, _NO_EPITHELIUM = {"LSIL", "HSIL"}, {"leucocyte"}
_Labelled = tuple[float, float, bool]


@dataclass(frozen=True)
class Nuclei:
    """Windows around nuclei, wide enough to be turned and shown at any scale from 20× to 10×.

    Attributes
    ----------
    windows : (N, n, n, 3) uint8
    lesion : (N,) bool
    held_out : (N,) bool
        Those of pictures left out of training.
    """

    windows: Pixels
    lesion: npt.NDArray[np.bool_]
    held_out: npt.NDArray[np.bool_]


def read_nuclei(config: LesionConfig) -> Nuclei:
    """Cut the nuclei out of the pictures and synthetic fields.

    Parameters
    ----------
    config : LesionConfig

    Returns
    -------
    Nuclei
        Synthetic ones are for learning; where there are no others, one field in six is left out.

    Raises
    ------
    OptionError
        If pictures come without a table or there is neither, the table lacks columns, no picture it names is there, or
        one of the classes is missing.
    """
    if (config.fields is None) != (config.nuclei is None):
        raise OptionError(
            "Pictures and the table of their nuclei go together.", "Give both --fields and --nuclei, or neither."
        )
    if config.fields is None and not config.phantoms:
        raise OptionError(
            "There are no nuclei to learn from.", "Give --fields and --nuclei, or a number of --phantoms."
        )
    side = int(np.ceil(SIDE_PX * MPP_MR / config.mpp * 1.42)) + 2
    windows, lesion, held_out = [], [], []
    for left_out, picture, labelled in (*_of_pictures(config), *_of_phantoms(config)):
        wide = cv2.copyMakeBorder(picture, side, side, side, side, cv2.BORDER_REFLECT_101)
        for x, y, ill in labelled:
            top, left = round(y) + side - side // 2, round(x) + side - side // 2
            windows.append(wide[top : top + side, left : left + side].copy())
            lesion.append(ill)
            held_out.append(left_out)
    found = Nuclei(
        np.stack(windows) if windows else np.empty((0, side, side, 3), np.uint8), np.array(lesion, bool),
        np.array(held_out, bool),
    )  # fmt: skip
    for split in (True, False):
        classes = set(found.lesion[found.held_out == split].tolist())
        if classes != {True, False}:
            raise OptionError(
                f"There are no nuclei of both classes among the pictures {'left out' if split else 'to learn from'}.",
                "Give pictures of lesions and of normal cells, at least a dozen, and a table that names them.",
            )
    return found


def _of_pictures(config: LesionConfig) -> Iterator[tuple[bool, Pixels, list[_Labelled]]]:
    if config.fields is None or config.nuclei is None:
        return
    try:
        with config.nuclei.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                (row["image"], float(row["x_px"]), float(row["y_px"]), row["bethesda"].strip().lower() not in NORMAL)
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise OptionError(
            f"{config.nuclei} can't be read as a table of nuclei: {error}.",
            "Give a CSV file with the columns image, x_px, y_px and bethesda.",
        ) from error
    by_image: dict[str, list[_Labelled]] = {}
    for image, x, y, ill in rows:
        by_image.setdefault(image, []).append((x, y, ill))
    for image, labelled in sorted(by_image.items()):
        path = config.fields / image
        if path.exists():
            yield is_held_out(image), read_image(path), labelled


def _of_phantoms(config: LesionConfig) -> Iterator[tuple[bool, Pixels, list[_Labelled]]]:
    for index in range(config.phantoms):
        seed = int(np.random.SeedSequence([config.seed, index]).generate_state(1)[0])
        picture = phantom_field(seed)
        shape = (round(picture.shape[1] * MPP_HR / config.mpp), round(picture.shape[0] * MPP_HR / config.mpp))
        labelled = [
            (
                cell.nucleus_um[1] / config.mpp - 0.5,
                cell.nucleus_um[0] / config.mpp - 0.5,
                cell.kind in _LESIONS,
            )
            for cell in phantom_cells(seed)
            if cell.kind not in _NO_EPITHELIUM
        ]
        left_out = config.fields is None and index % TEST_ONE_IN == TEST_ONE_IN - 1
        yield left_out, np.asarray(cv2.resize(picture, shape, interpolation=cv2.INTER_CUBIC), np.uint8), labelled


def view_of(window: Pixels, mpp: float, shown_mpp: float, turn: float, mirrored: bool) -> Pixels:
    """Show a nucleus at a pixel size, turned.

    Parameters
    ----------
    window : (n, n, 3) uint8
    mpp, shown_mpp : float
        Its pixel size and the one to show it at, µm.
    turn : float
        Degrees.
    mirrored : bool

    Returns
    -------
    (64, 64, 3) uint8
    """
    scale, side = mpp / shown_mpp, window.shape[0]
    if scale < 1:  # or what is finer than the new pixels would turn into moiré
        window = np.asarray(cv2.GaussianBlur(window, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1) + 1e-3), np.uint8)
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), turn, scale)
    matrix[:, 2] += (SIDE_PX - side) / 2
    if mirrored:
        matrix[0] = -matrix[0]
        matrix[0, 2] += SIDE_PX - 1
    shown = cv2.warpAffine(window, matrix, (SIDE_PX, SIDE_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(shown, np.uint8)
