"""A whole training, from pairs files to weights with a card that says how good they are."""

from __future__ import annotations

import copy
import itertools
import logging
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_pathsrgan.child_processes import safe_children
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.evaluation.on_pairs import CARD_METRICS, PatchScore, card_metrics, evaluate_pairs
from napari_pathsrgan.evaluation.report import contact_sheet
from napari_pathsrgan.inference.backends.torch import cpu_has_bf16
from napari_pathsrgan.inference.engine import Engine
from napari_pathsrgan.models.card import MOST_NAME, MOST_TEXT, ModelCard
from napari_pathsrgan.models.checkpoint import save_generator
from napari_pathsrgan.models.zoo import RUN_FOLDER_FILE
from napari_pathsrgan.registration.pairs import PairsFile
from napari_pathsrgan.registration.splitting import BY_PLACE
from napari_pathsrgan.slides.foreground import REACH_PX
from napari_pathsrgan.text import printable
from napari_pathsrgan.training.config import RunOptions
from napari_pathsrgan.training.metrics_log import tail_metrics, tensorboard_log
from napari_pathsrgan.training.run_folder import RunFolder
from napari_pathsrgan.training.stopping import signals_to
from napari_pathsrgan.training.trainer import Trainer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from napari_pathsrgan.models.generator import Generator
    from napari_pathsrgan.training.config import TrainingConfig

Report = Callable[[dict[str, Any]], None]

MEASURED_PATCHES = 240
"""Test patches that the card's figures are taken on, at most."""
_SAMPLE_PATCHES = 4


@dataclass(frozen=True)
class CardWords:
    """What only a person can say for the card.

    Attributes
    ----------
    name : str
        Of the model; the run folder's by default.
    credit : str
        Whose pictures they are, as their licence wants it said.
    licence : str
        Of the weights.
    limits : str
        What they are not good for, beside diagnosis.
    psnr_model : str
        The model of a pixel loss they were trained from, if the two may be mixed.
    command : str
        That makes the weights again.
    """

    name: str = ""
    credit: str = ""
    licence: str = "unknown: see the licence of the pictures it was trained on"
    limits: str = ""
    psnr_model: str = ""
    command: str = "unknown"


def train(
    config: TrainingConfig,
    out: Path,
    run: RunOptions | None = None,
    report: Report | None = None,
    words: CardWords | None = None,
) -> ModelCard | None:
    """Train, measure on the test pairs, and write weights and card; continues a run found in `out`.

    Parameters
    ----------
    config : TrainingConfig
    out : Path
        The run folder.
    run : RunOptions, optional
    report : callable, optional
        Gets a row of figures now and then, see `Trainer.run`; and, while the figures of the card are taken, how many
        ``patches`` are ``measured``.
    words : CardWords, optional
        For the card.

    Returns
    -------
    ModelCard or None
        The card as written; None if the training was asked to stop, and can be continued.

    Raises
    ------
    OptionError, CardMismatchError
        If pairs, options and model don't fit together, or a part is not installed.
    OutputError
        If the folder can't be written, or holds a training with other settings.
    CheckpointError
        If the run in the folder is damaged.
    TrainingError
        If the loss is not a number any more, again after a roll-back.
    """
    run, report = run or RunOptions(), report or (lambda row: None)
    fabric = _fabric(run)
    folder = RunFolder(out, config)
    if run.devices == 1:
        return _train(fabric, config, run, folder, words or CardWords(), report)
    with safe_children(), signals_to(_signal_children), tail_metrics(folder.path, report):
        launched = partial(_train, config=config, run=run, folder=folder, words=words or CardWords())
        card: ModelCard | None = fabric.launch(launched)
        return card


def _fabric(run: RunOptions) -> Fabric:
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise OptionError(
            "Training needs lightning-fabric and torchvision.", "Install them: pip install 'napari-pathsrgan[train]'."
        ) from error
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells its precision on standard error
    strategy = "ddp_spawn" if run.devices > 1 else "auto"
    precision: Any = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[_precision(run)]
    try:
        return Fabric(accelerator=run.accelerator, devices=run.devices, strategy=strategy, precision=precision)
    except (RuntimeError, ValueError) as error:
        raise OptionError(
            f"There is no training on {run.devices} × {run.accelerator} here: {error}", "Use --accelerator auto."
        ) from error


def _precision(run: RunOptions) -> str:
    if run.precision != "auto":
        return run.precision
    if run.accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    fast = cpu_has_bf16() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return "bf16" if fast and run.accelerator in ("auto", "cpu") else "fp32"


def _train(
    fabric: Fabric,
    config: TrainingConfig,
    run: RunOptions,
    folder: RunFolder,
    words: CardWords,
    report: Report | None = None,
) -> ModelCard | None:
    trainer = Trainer(config, run, folder, fabric)
    sheets = _Sheets(config, folder)
    with tensorboard_log(folder.path, run.tensorboard and fabric.is_global_zero) as log:

        def tell(row: dict[str, Any]) -> None:
            log(row)
            if report is not None:
                report(row)

        finished = trainer.run(tell, sheets.draw if fabric.is_global_zero else _draw_nothing)
    if not finished:
        return None
    halo_lr_px = _halo(trainer.network)
    card = _card(config, halo_lr_px, folder.path, words, trainer.perceptual_name)
    if fabric.is_global_zero:
        network = trainer.averaged().to("cpu")
        sheets.draw(trainer.step, network)
        card = card.model_copy(update={"metrics": _measured(network, config, card, report)})
        card = save_generator(network, card, folder.path / RUN_FOLDER_FILE)
    fabric.barrier()
    return card


def _halo(network: Generator) -> int:
    """Context that tiles take: the network's, and at least as much as finding background takes."""
    step = network.alignment_lr_px
    return max(network.halo_lr_px, -(-REACH_PX // step) * step)


def _draw_nothing(_step: int, _network: Generator) -> None:
    """The first of several devices draws for all."""


class _Sheets:
    """Draws and measures the same test patches again and again, to see a training by."""

    def __init__(self, config: TrainingConfig, folder: RunFolder) -> None:
        self._config, self._folder = config, folder
        self._pairs = next((file for file in map(PairsFile, config.pairs) if len(file.rows("test"))), None)

    def draw(self, step: int, network: Generator) -> None:
        if self._pairs is None:
            return
        rows = self._pairs.rows("test")
        spread = [int(row) for row in rows[:: max(1, len(rows) // _SAMPLE_PATCHES)][:_SAMPLE_PATCHES]]
        card = ModelCard(name="sample", preset=self._config.preset)
        engine = Engine(copy.deepcopy(network).to("cpu"), card, device="cpu", precision="fp32")
        self._folder.save_sample(step, contact_sheet(engine, self._pairs, spread))
        scores = evaluate_pairs(engine, self._pairs, spread, wanted=("psnr",))
        self._folder.log({"step": step, **card_metrics(scores)})


def _measured(network: Generator, config: TrainingConfig, card: ModelCard, report: Report | None) -> dict[str, float]:
    """Measure on test patches of all pairs files, spread evenly over each, and report how far that is."""
    from napari_pathsrgan.evaluation.perceptual import PerceptualDistance

    engine = Engine(copy.deepcopy(network), card, device="cpu", precision="fp32")
    distance = PerceptualDistance()
    most = max(1, MEASURED_PATCHES // len(config.pairs))
    parts = []
    for pairs in map(PairsFile, config.pairs):
        rows = pairs.rows("test")
        parts.append((pairs, rows[:: max(1, -(-len(rows) // most))]))
    total = sum(len(chosen) for _, chosen in parts)
    measured = itertools.count(1)

    def tell(*_: float) -> None:
        if report is not None:
            report({"measured": next(measured), "patches": total})

    scores: list[PatchScore] = []
    for pairs, chosen in parts:
        scores += evaluate_pairs(engine, pairs, chosen, tell, distance, CARD_METRICS)
    return card_metrics(scores)


def _card(config: TrainingConfig, halo_lr_px: int, out: Path, words: CardWords, perceptual: str) -> ModelCard:
    sentences = []
    for path in config.pairs:
        pairs = PairsFile(path)
        slides = pairs.slides
        kind = "single pictures seen through simulated scanners" if any(s["simulated"] for s in slides) else "slides"
        learnt, left = ([s for s in slides if s["split"] in (split, BY_PLACE)] for split in ("train", "test"))
        measured = f"{len(left)} left out" if set(map(id, learnt)).isdisjoint(map(id, left)) else "parts left out"
        sentences.append(
            f"“{path.name}”: {len(learnt)} {kind}, {len(pairs.rows('train'))} patches; {measured} and measured on."
        )
    limits = " ".join(filter(None, (ModelCard.model_fields["limits"].default, words.limits)))
    return ModelCard(
        name=printable(words.name or out.resolve().name, MOST_NAME),
        preset=config.preset,
        preset_options=dict(config.preset_options),
        halo_lr_px=halo_lr_px,
        training_data=printable(" ".join(filter(None, (*sentences, words.credit))), MOST_TEXT),
        licence=printable(words.licence, MOST_TEXT),
        command=printable(words.command, MOST_TEXT),
        limits=printable(limits, MOST_TEXT),
        psnr_model=printable(words.psnr_model, MOST_NAME),
        perceptual=printable(perceptual, MOST_NAME),
        date=datetime.now(UTC).date().isoformat(),
    )


def _signal_children(number: int, _frame: object) -> None:
    """Hand a signal on to the processes that train, which then write their checkpoint."""
    for child in multiprocessing.active_children():
        if child.pid is not None:
            os.kill(child.pid, number)
