"""Teaches the perceptual network to tell lesions from normal cells, on pictures whose nuclei are labelled (§ III-C)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.perceptual import PerceptualCard, PerceptualNetwork, start_from_imagenet
from napari_pathsrgan.registration.fields import MPP_HR, MPP_MR
from napari_pathsrgan.training.nuclei import Nuclei, read_nuclei, view_of

if TYPE_CHECKING:
    from napari_pathsrgan.training.lesion_config import LesionConfig
    from napari_pathsrgan.types import Pixels

_LAST_RATE = 0.02
_CALIBRATION = 64


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
    network.calibrate(next(_batches(nuclei, config.model_copy(update={"batch_size": _CALIBRATION})))[0])
    card = PerceptualCard(
        name="cytology",
        width=config.width,
        start=config.start if config.start in ("scratch", "imagenet") else Path(config.start).name,
        training_data=_in_words(nuclei, config),
        metrics=_measured(network, nuclei, config),
    )
    return network, card


def _in_words(nuclei: Nuclei, config: LesionConfig) -> str:
    of = [f"the pictures of “{config.fields.name}”"] if config.fields is not None else []
    of += [f"{config.phantoms} synthetic fields"] if config.phantoms else []
    learnt, left_out = int((~nuclei.held_out).sum()), int(nuclei.held_out.sum())
    return (
        f"{learnt} nuclei in {' and '.join(of)}, lesions against normal ones; "
        f"{left_out} of other pictures were left out and measured on."
    )


def _batches(nuclei: Nuclei, config: LesionConfig) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Draw half lesions, half normal nuclei, at any scale from 20× to 10× and any angle."""
    pools = [np.flatnonzero(~nuclei.held_out & (nuclei.lesion == ill)) for ill in (True, False)]
    for step in range(config.steps):
        rng = np.random.default_rng((config.seed, step))
        chosen = np.concatenate([rng.choice(pool, config.batch_size // 2) for pool in pools])
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
