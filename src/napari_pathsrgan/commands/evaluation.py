"""Commands about how good a model is: evaluate, evaluate-scanners."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from napari_pathsrgan.commands.options import NetworkOptions
from napari_pathsrgan.commands.report import Json, columns, progress, tell

if TYPE_CHECKING:
    from napari_pathsrgan.evaluation.perceptual import PerceptualDistance
    from napari_pathsrgan.evaluation.unseen import UnseenDistance


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
    engine = load_model(options.model, options.device, options.precision, options.backend)
    with progress("Evaluating") as told:
        scores = evaluate_pairs(engine, file, rows, told, _distance())
    summaries = summarise(scores)
    about = {
        "model": engine.card.name,
        "weights": engine.card.weights_hash,
        "precision": engine.precision,
        "backend": engine.execution.backend,
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


@Parameter(name="*")
@dataclass(frozen=True)
class ScannerOptions:
    """Which models are measured through which scanners.

    Parameters
    ----------
    models : tuple of str
        Names from `pathsrgan models list`, .safetensors files, or run folders.
    mpp : float
        Pixel size of the fields, µm.
    split : {"test", "all"}
        The fields that trainings leave out, one in six by name; or all.
    randomised : int
        How many randomised scanners beside those with one fault each.
    max_fields : int
        At most so many fields, the first by name.
    unseen : bool
        Also measure a perceptual distance that no training has seen, by EfficientNet-Lite0, which must be installed.
    device, precision : str
        As for `evaluate`.
    out : Path, optional
        Folder to make for report.html, chart.png and scores.json.
    """

    models: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("lite-psnr", "lite")
    mpp: float = 0.27
    split: Literal["test", "all"] = "test"
    randomised: int = 20
    max_fields: int = 1000
    unseen: bool = False
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "fp32"
    out: Path | None = None


_USUAL_SCANNERS = ScannerOptions()


def evaluate_scanners(fields: Path, /, *, options: ScannerOptions = _USUAL_SCANNERS, json: Json = False) -> None:
    """Measure models against bicubic enlargement through many simulated scanners, one fault at a time.

    Parameters
    ----------
    fields
        A folder of sharp images.
    """
    from napari_pathsrgan.errors import OptionError, OutputError
    from napari_pathsrgan.evaluation import scanner_report, scanners
    from napari_pathsrgan.inference.engine import load_model
    from napari_pathsrgan.registration.fields import is_held_out, list_fields, read_image

    if options.out is not None and options.out.exists():
        raise OutputError(f"{options.out} exists already.", "Choose another folder with --out, or remove it.")
    chosen = [path for path in list_fields(fields) if options.split == "all" or is_held_out(path.name)]
    if not chosen:
        raise OptionError(f"{fields.name} holds no field that trainings leave out.", "Give --split all.")
    made = {**scanners.FAULTS, **scanners.randomised_scanners(options.randomised)}
    models = {name: load_model(name, options.device, options.precision) for name in options.models}
    with progress("Evaluating") as told:
        scores = scanners.score_fields(
            models, chosen[: options.max_fields], options.mpp, made, read_image, _unseen(options.unseen), told
        )
    summaries = scanners.summarise(scores)
    about = {"fields": fields.name, "count": len(chosen[: options.max_fields]), "mpp": options.mpp} | {
        name: engine.card.weights_hash for name, engine in models.items()
    }
    lines = columns(scanner_report.table(summaries))
    written = scanner_report.write_report(options.out, about, scores, summaries) if options.out else []
    record = {"about": about, "summaries": [asdict(one) for one in summaries], "written": written}
    tell(record, [*lines, *map(str, written)], json)


def _unseen(wanted: bool) -> UnseenDistance | None:
    from napari_pathsrgan.evaluation.unseen import UnseenDistance

    return UnseenDistance() if wanted else None
