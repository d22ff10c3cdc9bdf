"""The command evaluate: how good a model is on registered pairs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from napari_pathsrgan.commands.command import POSITIONAL, Command, PathTo
from napari_pathsrgan.commands.options import NetworkOptions
from napari_pathsrgan.commands.output import columns, print_result, progress

if TYPE_CHECKING:
    from napari_pathsrgan.evaluation.perceptual import PerceptualDistance


class EvaluateOptions(NetworkOptions):
    """What is evaluated, on what, and where the report goes.

    Attributes
    ----------
    pairs : Path
        A pairs file.
    split : {"test", "train", "all"}
        Which of the file's slides.
    max_patches : int
        At most so many of their patches, drawn at random.
    examples : int
        Patches on the contact sheet, from the least gain to the most.
    out : Path, optional
        Folder to make for report.html, contact_sheet.png and scores.json.
    """

    pairs: Annotated[Path, POSITIONAL, PathTo("pairs")]
    split: Literal["test", "train", "all"] = "test"
    max_patches: int = Field(default=2000, ge=1)
    examples: int = Field(default=8, ge=1)
    out: Annotated[Path | None, PathTo("new")] = None


def evaluate(options: EvaluateOptions, as_json: bool) -> None:
    """Measure a model on registered pairs, beside bicubic enlargement, as a table and with images."""
    from napari_pathsrgan.errors import OutputError
    from napari_pathsrgan.evaluation.on_pairs import choose_rows, evaluate_pairs, representative_rows, summarise
    from napari_pathsrgan.evaluation.report import contact_sheet, table, write_report
    from napari_pathsrgan.inference.engine import load_model
    from napari_pathsrgan.registration.pairs import PairsFile

    if options.out is not None and options.out.exists():
        raise OutputError(f"{options.out} exists already.", "Choose another folder with --out, or remove it.")
    file = PairsFile(options.pairs)
    rows = choose_rows(file, options.split, options.max_patches)
    engine = load_model(options.model, options.device, options.precision, options.backend)
    with progress("Evaluating") as report:
        scores = evaluate_pairs(engine, file, rows, report, _distance())
    summaries = summarise(scores)
    about = {
        "model": engine.card.name,
        "weights": engine.card.weights_hash,
        "precision": engine.precision,
        "backend": engine.execution.backend,
        "pairs": options.pairs.name,
        "split": options.split,
        "patches": len(rows),
        "simulated": bool(file.table["simulated"][rows].any()),
    }
    lines = columns(table(summaries))
    written: list[Path] = []
    if options.out is not None:
        sheet = contact_sheet(engine, file, representative_rows(scores, options.examples))
        written = write_report(options.out, about, scores, summaries, sheet)
        lines += ["", *map(str, written)]
    print_result({"about": about, "summaries": [asdict(one) for one in summaries], "written": written}, lines, as_json)


def _distance() -> PerceptualDistance | None:
    from napari_pathsrgan.errors import OptionError
    from napari_pathsrgan.evaluation.perceptual import PerceptualDistance

    try:
        return PerceptualDistance()
    except OptionError as error:
        print(f"No perceptual distance. {error}", file=sys.stderr)
        return None


COMMAND = Command(
    name="evaluate",
    options=EvaluateOptions,
    run=evaluate,
    runs_as_job=True,
    device=lambda options: options.device,
)
