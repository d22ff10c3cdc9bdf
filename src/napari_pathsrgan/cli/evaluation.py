"""The verb about how good a model is: evaluate."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from napari_pathsrgan.cli.options import NetworkOptions
from napari_pathsrgan.cli.report import Json, columns, progress, tell

if TYPE_CHECKING:
    from napari_pathsrgan.evaluation.perceptual import PerceptualDistance


@Parameter(name="*")
@dataclass(frozen=True)
class EvaluateOptions(NetworkOptions):
    """What is evaluated, on what, and where the report goes.

    Parameters
    ----------
    split : {"test", "train", "all"}
        Which of the file's slides.
    max_patches : int
        At most so many of their patches, drawn at random.
    examples : int
        Patches on the contact sheet, from the least gain to the most.
    out : Path, optional
        Folder to make for report.html, contact_sheet.png and scores.json.
    """

    split: Literal["test", "train", "all"] = "test"
    max_patches: int = 2000
    examples: int = 8
    out: Path | None = None


_USUAL = EvaluateOptions()


def evaluate(pairs: Path, /, *, options: EvaluateOptions = _USUAL, json: Json = False) -> None:
    """Measure a model on registered pairs, beside bicubic enlargement, as a table and with pictures.

    Parameters
    ----------
    pairs
        A pairs file.
    """
    from napari_pathsrgan.errors import OptionError, OutputError
    from napari_pathsrgan.evaluation.on_pairs import choose_rows, evaluate_pairs, representative_rows, summarise
    from napari_pathsrgan.evaluation.report import contact_sheet, table, write_report
    from napari_pathsrgan.inference.engine import load_model
    from napari_pathsrgan.registration.pairs import PairsFile

    for name, value in (("max-patches", options.max_patches), ("examples", options.examples)):
        if value < 1:
            raise OptionError(f"--{name} can't be {value}.", "Give at least 1.")
    if options.out is not None and options.out.exists():
        raise OutputError(f"{options.out} exists already.", "Choose another folder with --out, or remove it.")
    file = PairsFile(pairs)
    rows = choose_rows(file, options.split, options.max_patches)
    engine = load_model(options.model, options.device, options.precision, options.runtime)
    with progress("Evaluating") as told:
        scores = evaluate_pairs(engine, file, rows, told, _distance())
    summaries = summarise(scores)
    about = {
        "model": engine.card.name,
        "weights": engine.identity,
        "precision": engine.precision,
        "runtime": engine.arithmetic.runtime,
        "pairs": pairs.name,
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
    tell({"about": about, "summaries": [asdict(one) for one in summaries], "written": written}, lines, json)


def _distance() -> PerceptualDistance | None:
    from napari_pathsrgan.errors import OptionError
    from napari_pathsrgan.evaluation.perceptual import PerceptualDistance

    try:
        return PerceptualDistance()
    except OptionError as error:
        print(f"No perceptual distance. {error}", file=sys.stderr)
        return None
