"""Training patches out of pairs files: random access, random crops, eight turns, jittered colours.

What a step sees depends on the seed and the step's number alone, so a resumed run sees what an unbroken one would have
seen, and two devices together see what one with the doubled batch sees. Steps come in rounds: a patch of the file, once
read, gives as many crops as fit into it side by side (at most four), dealt out to different steps of its round.
"""

from __future__ import annotations

import atexit
import itertools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_pathsrgan.child_processes import safe_children
from napari_pathsrgan.errors import CardMismatchError, OptionError, WorkerError
from napari_pathsrgan.registration.fine import LR_PX
from napari_pathsrgan.registration.pairs import PairsFile

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

Batch = tuple[Tensor, Tensor, Tensor]

MOST_CROPS = 4
_CANDIDATES = 3
"""Places looked at for a crop: the one with the most structure is taken, so that background does not dominate."""
_PLAIN_SHARE = 0.15
"""Share of crops that take the first place, whatever it shows."""
_BACKGROUND_WEIGHT = 0.3
"""A patch without cells is drawn this often; one full of cells 1.3 times."""
_NOISE_LEVELS = 40.0
"""Standard deviation of a scanner's noise at a jitter of 1, grey levels: 2 at 0.05."""
_FEWEST_PAIRS = 8
_MPP_TOLERANCE = 0.03


@dataclass(frozen=True)
class Sampling:
    """How patches are drawn.

    Attributes
    ----------
    patch_lr_px : int
        Side of a crop on the input grid.
    batch_size : int
        Crops per step over all devices.
    seed : tuple of int
        Of every draw.
    stain_jitter, scanner_jitter : float
        See `TrainingConfig`.
    rank, world : int
        Which of how many devices this is.
    """

    patch_lr_px: int
    batch_size: int
    seed: tuple[int, ...]
    stain_jitter: float = 0.0
    scanner_jitter: float = 0.0
    rank: int = 0
    world: int = 1

    @property
    def crops_per_patch(self) -> int:
        """Crops taken from a patch once it is read."""
        return min(MOST_CROPS, (LR_PX // self.patch_lr_px) ** 2)

    @property
    def steps_per_round(self) -> int:
        """Steps among which the crops of a patch are dealt out; enough that few meet in one batch."""
        return 2 * self.crops_per_patch if self.crops_per_patch > 1 else 1


class PairsRounds(Dataset[Batch]):
    """Rounds of training steps, each a function of its number.

    Parameters
    ----------
    paths : sequence of Path
        Pairs files.
    sampling : Sampling

    Raises
    ------
    OptionError
        If the files hold too few pairs for training.
    CardMismatchError
        If their pixels are of other sizes than the networks' 1.172, 0.586 and 0.293 µm.
    """

    def __init__(self, paths: Sequence[Path], sampling: Sampling) -> None:
        self._files = [PairsFile(path) for path in paths]
        self._sampling = sampling
        rows, weights = [], []
        for index, file in enumerate(self._files):
            _refuse_other_mpp(file)
            own = file.rows("train")
            rows.append(np.stack([np.full(len(own), index), own], axis=1))
            weights.append(_BACKGROUND_WEIGHT + file.table["foreground"][own].astype(np.float64))
        self.rows = np.concatenate(rows)
        if len(self.rows) < _FEWEST_PAIRS:
            raise OptionError(
                f"{' and '.join(path.name for path in paths)} hold {len(self.rows)} pairs for training.",
                f"Register more slides: it takes at least {_FEWEST_PAIRS} pairs, and hundreds to learn anything.",
            )
        self._chances = np.cumsum(np.concatenate(weights))

    def __len__(self) -> int:
        """How many pairs there are to train on; rounds go on for ever."""
        return len(self.rows)

    def __getitem__(self, number: int) -> Batch:
        """Draw a round.

        Returns
        -------
        tuple of (S, B, s, s, 3), (S, B, 2s, 2s, 3) and (S, B, 4s, 4s, 3) uint8
            For S steps, this device's share B of the batch.
        """
        how = self._sampling
        steps, crops = how.steps_per_round, how.crops_per_patch
        rng = np.random.default_rng((*how.seed, number))
        slots = steps * how.batch_size
        drawn = rng.random(-(-slots // crops)) * self._chances[-1]
        # A crop's own draws come from its place in the round, so that each device draws just its own.
        dealt = rng.permutation(np.repeat(np.searchsorted(self._chances, drawn, side="right"), crops)[:slots])
        share = how.batch_size // how.world
        mine = [
            step * how.batch_size + how.rank * share + position for step in range(steps) for position in range(share)
        ]  # fmt: skip
        made: dict[int, tuple[Pixels, ...]] = {}
        for row in dict.fromkeys(dealt[mine].tolist()):
            file, patch = self.rows[row]
            triplet = self._files[file][int(patch)]
            for slot in (slot for slot in mine if dealt[slot] == row):
                own = np.random.default_rng((*how.seed, number, slot))
                made[slot] = jitter(crop(triplet, how.patch_lr_px, own), how, own)
        members = zip(*(made[slot] for slot in mine), strict=True)
        lr, mr, hr = (
            torch.from_numpy(np.stack(member)).view(steps, share, *member[0].shape) for member in members
        )  # fmt: skip
        return lr, mr, hr


def _refuse_other_mpp(file: PairsFile) -> None:
    for slide in file.slides:
        mpp = slide["made"].get("mpp", {}).get("20x", 0.293)
        if abs(mpp / 0.293 - 1) > _MPP_TOLERANCE:
            raise CardMismatchError(
                f"The 20× pixels of {slide['name']} in {file.path.name} are {mpp:.3g} µm wide; the networks make pixels"
                " of 0.293 µm.",
                "Register slides that were scanned at 0.293 µm/px.",
            )


def crop(triplet: tuple[Pixels, ...], side: int, rng: np.random.Generator) -> tuple[Pixels, ...]:
    """Cut a place out of a patch, and turn and mirror it in one of eight ways.

    Parameters
    ----------
    triplet : (n, n, 3), (2n, 2n, 3) and (4n, 4n, 3) uint8
    side : int
        Of the crop at 4×, pixels.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of (side, side, 3), (2 side, 2 side, 3) and (4 side, 4 side, 3) uint8
    """
    lr = triplet[0]
    places = rng.integers(0, lr.shape[0] - side + 1, (_CANDIDATES, 2)).tolist()
    if rng.random() < _PLAIN_SHARE:
        places = places[:1]
    row, col = max(places, key=lambda at: float(lr[at[0] : at[0] + side, at[1] : at[1] + side, 1].std()))
    windows = (
        image[f * row : f * (row + side), f * col : f * (col + side)]
        for image, f in zip(triplet, (1, 2, 4), strict=True)
    )
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    return tuple(np.ascontiguousarray(np.rot90(w[:, ::-1] if mirrored else w, turns)) for w in windows)


def jitter(triplet: tuple[Pixels, ...], how: Sampling, rng: np.random.Generator) -> tuple[Pixels, ...]:
    """Change colours: of all three alike as another stain would, of the input alone as another scanner would.

    A colour's pixels go through white · (v / white)^γ, γ = exp(N(0, jitter)), so that white stays white.

    Parameters
    ----------
    triplet : three (H, W, 3) uint8
    how : Sampling
    rng : numpy.random.Generator

    Returns
    -------
    three (H, W, 3) uint8
    """
    lr, mr, hr = triplet
    if how.stain_jitter:
        table = _contrast(rng, how.stain_jitter)
        lr, mr, hr = (np.asarray(cv2.LUT(image, table), np.uint8) for image in (lr, mr, hr))
    if how.scanner_jitter:
        noisy = cv2.LUT(lr, _contrast(rng, how.scanner_jitter)) + rng.normal(
            0, rng.random() * how.scanner_jitter * _NOISE_LEVELS, lr.shape
        )
        lr = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return lr, mr, hr


def _contrast(rng: np.random.Generator, spread: float) -> Pixels:
    gammas = np.exp(rng.normal(0, spread, 3))
    levels = np.arange(256, dtype=np.float64)[:, None] / 255
    return np.rint(255 * levels**gammas).astype(np.uint8)[None]


class Batches:
    """The steps' batches in order, made ahead by other processes, with a clock on how long one was waited for.

    Parameters
    ----------
    rounds : PairsRounds
    sampling : Sampling
        The rounds' own.
    first_step : int
        Where to begin.
    num_workers : int
        Processes; 0 to make batches when they are asked for.

    Attributes
    ----------
    waited_s : float
        Seconds spent waiting for batches so far.
    """

    def __init__(self, rounds: PairsRounds, sampling: Sampling, first_step: int, num_workers: int) -> None:
        self.waited_s = 0.0
        self._skip = first_step % sampling.steps_per_round
        self._steps = sampling.steps_per_round
        first_round = first_step // sampling.steps_per_round
        ahead: dict[str, Any] = (
            {"num_workers": num_workers, "prefetch_factor": 2, "multiprocessing_context": "spawn"}
            if num_workers
            else {}
        )
        self._loader = DataLoader(
            rounds,
            batch_size=None,
            sampler=itertools.count(first_round),
            generator=torch.Generator().manual_seed(0),  # or making the loader would use up the training's own chance
            worker_init_fn=_begin_loader,
            **ahead,
        )

    def __iter__(self) -> Iterator[Batch]:
        """Give (B, s, s, 3), (B, 2s, 2s, 3) and (B, 4s, 4s, 3) uint8 for every step, without end."""
        with safe_children():
            rounds = iter(self._loader)
        while True:
            began = time.monotonic()
            lr, mr, hr = next(rounds)
            self.waited_s += time.monotonic() - began
            for step in range(self._skip, self._steps):
                yield lr[step], mr[step], hr[step]
            self._skip = 0


@contextmanager
def loss_of_loaders_told() -> Iterator[None]:
    """Tell in a sentence that a process of `Batches` was killed: torch raises that anywhere, as it hears of it.

    Raises
    ------
    WorkerError
    """
    try:
        yield
    except RuntimeError as error:  # torch has no type of its own for it
        if "DataLoader worker" not in str(error):
            raise
        raise WorkerError(
            "A process that reads training patches was ended from outside.",
            "Most likely memory ran out: close other programs, and run the same command again to go on.",
        ) from error


def _begin_loader(_worker: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all processes at once, they are the training's to answer
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    # Nothing is left to tidy up when it ends, and libraries that are taken down while their threads work abort.
    atexit.register(os._exit, 0)


def to_device(images: Tensor, device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 → (N, 3, H, W) float32, 0 to 1, channels last in memory."""
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)
