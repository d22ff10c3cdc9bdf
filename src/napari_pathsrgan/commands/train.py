"""The command train: registered pairs become a model."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from napari_pathsrgan.commands.command import (
    Command,
    FormField,
    JobForm,
    ModelName,
    OpenLayers,
    Options,
    PathTo,
    ResultWindow,
)
from napari_pathsrgan.commands.option_text import option_words
from napari_pathsrgan.commands.output import Progress, columns, print_result, progress
from napari_pathsrgan.commands.result_paths import beside
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.recipes import RECIPES

_CARD = ("name", "credit", "licence", "limits", "psnr_model")


class TrainOptions(RunOptions, TrainingConfig, Options):
    """How a network is trained, on what, and what its card says.

    Attributes
    ----------
    out : Path
        Run folder; a training found there is continued.
    resume : bool
        Only continue: refuse a folder without a training.
    name : str, optional
        Of the model; the run folder's by default.
    credit : str, optional
        Whose images they are, as their licence wants it said.
    licence : str, optional
        Of the weights.
    limits : str, optional
        What the model is not good for, beside diagnosis.
    psnr_model : str, optional
        The model of a pixel loss that this training starts from: the two can then be mixed, as in NAME@0.5.
    """

    pairs: Annotated[tuple[Path, ...], Field(min_length=1), PathTo("pairs")]
    init_from: Annotated[str | None, ModelName()] = None
    out: Annotated[Path, PathTo("new")]
    resume: bool = False
    name: str | None = None
    credit: str | None = None
    licence: str | None = None
    limits: str | None = None
    psnr_model: str | None = None

    @classmethod
    def usual(cls, given: Mapping[str, Any], /) -> dict[str, Any]:
        """Settings that are not given are those of the recipe."""
        recipe = RECIPES.get(given.get("recipe", "published"))
        return super().usual(given) | ({} if recipe is None else recipe.model_dump(exclude={"recipe"}))

    def part(self, model: type[TrainingConfig] | type[RunOptions]) -> dict[str, Any]:
        """Values of the options that belong to a part."""
        return {name: getattr(self, name) for name in model.model_fields}


def train(options: TrainOptions, as_json: bool) -> int:
    """Train a network on registered pairs, in the paper's three phases.

    Settings that are not given are the published ones, or with `--recipe laptop` ours for a computer without a graphics
    card.

    Ctrl+C stops after the current step; the same command goes on from there.
    """
    from napari_pathsrgan.errors import OptionError
    from napari_pathsrgan.training.run_folder import STATE_FILE
    from napari_pathsrgan.training.session import CardWords
    from napari_pathsrgan.training.session import train as run_training

    if options.resume and not (options.out / STATE_FILE).exists():
        raise OptionError(f"There is no training in {options.out} to continue.", "Leave --resume out to begin one.")
    card = {name: value for name in _CARD if (value := getattr(options, name))}
    words = CardWords(command=card_command(options), **card)
    config, run = TrainingConfig(**options.part(TrainingConfig)), RunOptions(**options.part(RunOptions))
    with progress("Training") as report:
        written = run_training(config, options.out, run, lambda row: _report_row(row, report), words)
    if written is None:
        print(f"Stopped; the same command goes on from the checkpoint in {options.out}.", file=sys.stderr)
        return 130
    rows = [(name, f"{value:.4g}") for name, value in written.metrics.items()]
    lines = [f"Written: {options.out}", *(columns(rows) if rows else ())]
    print_result({"out": str(options.out)} | written.model_dump(), lines, as_json)
    return 0


def card_command(options: TrainOptions) -> str:
    """Write the command of the card: the settings that decide how the weights come out, without folders."""
    usual = {name: value for name, value in options.usual(vars(options)).items() if name != "recipe"}
    words = option_words(options, usual, TrainingConfig.model_fields, bare_paths=True)
    return shlex.join(["pathsrgan", "train", *words])


def _report_row(row: Mapping[str, Any], report: Progress) -> None:
    """Print what went wrong in a training, and report how far it is."""
    if "divergence" in row:
        where = f"At step {row['went_wrong_at']} {row['divergence']}"
        print(f"{where}: back at step {row['step']}, with half the rate.", file=sys.stderr)
    elif "note" in row:
        print(row["note"], file=sys.stderr)
    elif "measured" in row:
        report(row["measured"], row["patches"], "Measuring on test patches")
    elif "steps" in row:
        report(row["step"], row["steps"], f"Training, phase {row['phase']}")


def _list_model(options: TrainOptions) -> None:
    """Put a model trained by a job among the user's, so that it can be chosen by name."""
    from napari_pathsrgan.errors import PathSRGANError
    from napari_pathsrgan.models.zoo import add_model

    try:
        print(f"Listed as the model “{add_model(options.out).stem}”.")
    except PathSRGANError as error:  # the run folder has it in any case
        print(error, file=sys.stderr)


def _suggest(layers: OpenLayers) -> Mapping[str, Any]:
    if layers.pairs is None:
        return {}
    return {"pairs": (layers.pairs,), "out": beside(layers.pairs, "-model")}


def _open_result(window: ResultWindow, out: Path) -> None:
    window.choose_model(out)


_PAIRS = FormField("pairs", "Pairs", "The pairs file that a registration has written.")
_OUT = FormField(
    "out", "Run folder", "Where the training keeps its checkpoints; its name is the model's.", in_job="model"
)

COMMAND = Command(
    name="train",
    options=TrainOptions,
    run=train,
    extra="train",
    runs_as_job=True,
    device=lambda options: options.accelerator,
    after_job=_list_model,
    open_result=_open_result,
    forms=(
        JobForm(
            "Train a model",
            "A network learns from pairs what a slide looks like at 10× and 20×. It takes hours, best on a graphics"
            " card.",
            (_PAIRS, _OUT),
            {"recipe": "laptop"},
            _suggest,
        ),
        JobForm(
            "Fine-tune on my scanner",
            "A model that exists learns on from pairs of your own scanner. It needs less data and time than a new one.",
            (_PAIRS, FormField("init_from", "Begin with"), _OUT),
            {"recipe": "laptop", "init_from": "lite"},
            _suggest,
        ),
    ),
)
