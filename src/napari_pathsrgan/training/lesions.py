"""Teaches the perceptual network to tell lesions from normal cells, on pictures whose nuclei are labelled (§ III-C)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.perceptual import PerceptualCard, PerceptualNetwork, start_from_imagenet
from napari_pathsrgan.registration.fields import MPP_HR, MPP_MR, is_held_out, read_picture

if TYPE_CHECKING:
    from napari_pathsrgan.training.lesion_config import LesionConfig

Pixels = npt.NDArray[np.uint8]

SIDE_PX = 64
"""Side of what the network sees of a nucleus: 19 µm at 20×, 38 µm at 10×."""
NORMAL = {"negative for intraepithelial lesion", "nilm", "normal"}
"""What labels call a cell that is none of a lesion, in lower case."""
_LAST_RATE = 0.02
_CALIBRATION = 64


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
    """Cut the nuclei out of the pictures.

    Raises
    ------
    OptionError
        If the table lacks columns, no picture it names is there, or one of the classes is missing.
    """
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
    side = int(np.ceil(SIDE_PX * MPP_MR / config.mpp * 1.42)) + 2
    windows, lesion, held_out = [], [], []
    by_image: dict[str, list[tuple[float, float, bool]]] = {}
    for image, x, y, ill in rows:
        by_image.setdefault(image, []).append((x, y, ill))
    for image, own in sorted(by_image.items()):
        path = config.fields / image
        if not path.exists():
            continue
        picture = cv2.copyMakeBorder(read_picture(path), side, side, side, side, cv2.BORDER_REFLECT_101)
        for x, y, ill in own:
            top, left = round(y) + side - side // 2, round(x) + side - side // 2
            windows.append(picture[top : top + side, left : left + side])
            lesion.append(ill)
            held_out.append(is_held_out(image))
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


def train_perceptual(
    config: LesionConfig, progress: Callable[[float, float], None] | None = None
) -> tuple[PerceptualNetwork, PerceptualCard]:
    """Train VGG16 as a classifier and calibrate its feature maps.

    Parameters
    ----------
    config : LesionConfig
    progress : callable (done, total), optional

    Returns
    -------
    PerceptualNetwork
        Frozen.
    PerceptualCard
        With accuracy and area under the ROC curve on nuclei of pictures left out.

    Raises
    ------
    OptionError
        If pictures and table don't fit, or ImageNet weights are wanted for a narrower network.
    CheckpointError
        If the weights to start from can't be had.
    """
    if config.start != "scratch" and config.width != 64:
        raise OptionError(
            f"ImageNet's weights are those of a network of width 64, not {config.width}.",
            "Take --width 64, or --start scratch.",
        )
    nuclei = read_nuclei(config)
    torch.manual_seed(config.seed)
    network = PerceptualNetwork(config.width)
    if config.start != "scratch":
        start_from_imagenet(network, None if config.start == "imagenet" else Path(config.start))
    network.to(memory_format=torch.channels_last).train()
    adam = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(adam, config.steps, config.learning_rate * _LAST_RATE)
    for step, (pictures, answers) in enumerate(_batches(nuclei, config), 1):
        loss = functional.binary_cross_entropy_with_logits(network(pictures), answers)
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        rates.step()
        if progress:
            progress(step, config.steps)
    network.frozen()
    network.calibrate(next(_batches(nuclei, config.model_copy(update={"batch": _CALIBRATION})))[0])
    learnt = int((~nuclei.held_out).sum())
    card = PerceptualCard(
        name="cytology",
        width=config.width,
        start=config.start if config.start in ("scratch", "imagenet") else Path(config.start).name,
        training_data=f"{learnt} nuclei in the pictures of “{config.fields.name}”, lesions against normal ones; "
        f"{int(nuclei.held_out.sum())} of other pictures were left out and measured on.",
        metrics=_measured(network, nuclei, config),
    )
    return network, card


def _batches(nuclei: Nuclei, config: LesionConfig) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Draw half lesions, half normal nuclei, at any scale from 20× to 10× and any angle."""
    pools = [np.flatnonzero(~nuclei.held_out & (nuclei.lesion == ill)) for ill in (True, False)]
    for step in range(config.steps):
        rng = np.random.default_rng((config.seed, step))
        chosen = np.concatenate([rng.choice(pool, config.batch // 2) for pool in pools])
        views = [
            view_of(
                nuclei.windows[index], config.mpp, float(rng.uniform(MPP_HR, MPP_MR)), float(rng.uniform(0, 360)),
                bool(rng.integers(2)),
            )
            for index in chosen
        ]  # fmt: skip
        yield _tensor(views), torch.from_numpy(nuclei.lesion[chosen].astype(np.float32))


def _tensor(views: list[Pixels]) -> torch.Tensor:
    pictures = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
    return pictures.contiguous(memory_format=torch.channels_last)


def _measured(network: PerceptualNetwork, nuclei: Nuclei, config: LesionConfig) -> dict[str, float]:
    left_out = np.flatnonzero(nuclei.held_out)
    answers = []
    with torch.inference_mode():
        for first in range(0, len(left_out), 256):
            views = [
                view_of(nuclei.windows[index], config.mpp, 0.4, 0, mirrored=False)
                for index in left_out[first : first + 256]
            ]
            answers.append(network(_tensor(views)).numpy())
    logits, lesion = np.concatenate(answers), nuclei.lesion[left_out]
    ranks = np.argsort(np.argsort(logits)) + 1
    n_lesions, n_normal = int(lesion.sum()), int((~lesion).sum())
    area = (ranks[lesion].sum() - n_lesions * (n_lesions + 1) / 2) / (n_lesions * n_normal)
    balanced = ((logits[lesion] > 0).mean() + (logits[~lesion] <= 0).mean()) / 2
    return {"balanced_accuracy": round(float(balanced), 4), "area_under_roc": round(float(area), 4)}
