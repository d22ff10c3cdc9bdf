"""A whole training, from a folder of pictures to weights with a card that says how good they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.inference.engine import Engine
from napari_pathsrgan.models.card import HALO_LR_PX, ModelCard
from napari_pathsrgan.training.fields import PatchSampler
from napari_pathsrgan.training.heldout import evaluate
from napari_pathsrgan.training.sources import GatheredFields, gather_fields
from napari_pathsrgan.training.trainer import Trainer

if TYPE_CHECKING:
    from napari_pathsrgan.training.config import TrainingConfig


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
    command : str
        That makes the weights again.
    """

    name: str = ""
    credit: str = ""
    licence: str = "unknown: see the licence of the pictures it was trained on"
    command: str = "unknown"


def train_from_fields(
    config: TrainingConfig,
    out: Path,
    report: Callable[[dict[str, float]], None] | None = None,
    prepared: Callable[[int, int], None] | None = None,
    words: CardWords | None = None,
) -> ModelCard | None:
    """Make fields, train, measure on the fields left out, and write weights and card; continues a run found in `out`.

    Parameters
    ----------
    config : TrainingConfig
    out : Path
        The run folder.
    report : callable, optional
        Given step, phase, loss and seconds per step now and then, see `Trainer.run`.
    prepared : callable, optional
        Told the fields made and to make.
    words : CardWords, optional
        For the card.

    Returns
    -------
    ModelCard or None
        The card as written; None if the training was asked to stop, and can be continued.

    Raises
    ------
    OptionError
        If the pictures can't be used.
    OutputError
        If the folder can't be written, or holds a training with other settings.
    CheckpointError
        If the run in the folder is damaged.
    """
    fields = gather_fields(config.fields, config.seed, progress=prepared)
    trainer = Trainer(config, out, PatchSampler(fields.training, config.patch_lr_px))
    if not trainer.run(report):
        return None
    card = _card(config, fields, out, words or CardWords())
    engine = Engine(trainer.averaged(), card, device="cpu", precision="fp32")
    return trainer.export(card.model_copy(update={"metrics": evaluate(engine, fields.held_out)}))


def _card(config: TrainingConfig, fields: GatheredFields, out: Path, words: CardWords) -> ModelCard:
    source = config.fields
    n_held_out = len(fields.held_out)
    learnt = _count(len(fields.training) - source.phantoms, "picture")
    drawn = f" and {_count(source.phantoms, 'synthetic field')}" if source.phantoms else ""
    scanners = _count(source.scans_per_field, "simulated 4× scanner")
    sentences = (
        f"{learnt} of {source.mpp:g} µm/px from “{source.folder.name}”{drawn}, each through {scanners}.",
        f"Left out and measured on: {_count(n_held_out, 'picture')}, one in {source.hold_out_every} by name.",
        "Split by picture: slides and patients are not known.",
        words.credit,
    )
    return ModelCard(
        name=words.name or out.resolve().name,
        preset=config.preset,
        preset_options=config.preset_options,
        halo_lr_px=HALO_LR_PX[config.preset],
        training_data=" ".join(filter(None, sentences)),
        licence=words.licence,
        command=words.command,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
