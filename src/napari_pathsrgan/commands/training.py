"""The verb that makes models: train."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from napari_pathsrgan.commands.options import options_again
from napari_pathsrgan.commands.report import Json, columns, progress, tell
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.recipes import RECIPES


@Parameter(name="*")
@dataclass(frozen=True)
class CardOptions:
    """What the model's card says beside its figures.

    Parameters
    ----------
    name : str, optional
        Of the model; the run folder's by default.
    credit : str, optional
        Whose pictures they are, as their licence wants it said.
    licence : str, optional
        Of the weights.
    limits : str, optional
        What the model is not good for, beside diagnosis.
    psnr_model : str, optional
        The model of a pixel loss that this training starts from: the two can then be mixed, as in NAME@0.5.
    """

    name: str | None = None
    credit: str | None = None
    licence: str | None = None
    limits: str | None = None
    psnr_model: str | None = None


_USUAL_CARD, _USUAL_RUN = CardOptions(), RunOptions()


def train(
    *,
    config: Annotated[TrainingConfig, Parameter(name="*")],
    out: Annotated[Path, Parameter(help="Run folder; a training found there is continued.")],
    resume: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Only continue: refuse a folder without a training.")
    ] = False,
    run: Annotated[RunOptions, Parameter(name="*")] = _USUAL_RUN,
    card: CardOptions = _USUAL_CARD,
    json: Json = False,
) -> int:
    """Train a network on registered pairs, in the paper's three phases.

    Settings that are not given are the published ones, or with `--recipe laptop` ours for a computer without a graphics
    card.

    Ctrl+C stops after the current step; the same command goes on from there.
    """
    from napari_pathsrgan.errors import OptionError
    from napari_pathsrgan.training.run_folder import STATE_FILE
    from napari_pathsrgan.training.session import CardWords
    from napari_pathsrgan.training.session import train as run_training

    if resume and not (out / STATE_FILE).exists():
        raise OptionError(f"There is no training in {out} to continue.", "Leave --resume out to begin one.")
    given = {name: value for name, value in vars(card).items() if value}
    settings = ["--recipe", config.recipe, *options_again(config, RECIPES[config.recipe])]
    words = CardWords(command=shlex.join(["pathsrgan", "train", *settings]), **given)
    with progress("Training") as told:

        def report(row: Mapping[str, Any]) -> None:
            if "divergence" in row:
                where = f"At step {row['went_wrong_at']} {row['divergence']}"
                print(f"{where}: back at step {row['step']}, with half the rate.", file=sys.stderr)
            elif "note" in row:
                print(row["note"], file=sys.stderr)
            elif "measured" in row:
                told(row["measured"], row["patches"], "Measuring on test patches")
            elif "steps" in row:
                told(row["step"], row["steps"], f"Training, phase {row['phase']}")

        written = run_training(config, out, run, report, words)
    if written is None:
        print(f"Stopped; the same command goes on from the checkpoint in {out}.", file=sys.stderr)
        return 130
    rows = [(name, f"{value:.4g}") for name, value in written.metrics.items()]
    tell({"out": str(out)} | written.model_dump(), [f"Written: {out}", *(columns(rows) if rows else ())], json)
    return 0
