"""The command evaluate-scanners: how good models are through many simulated scanners."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from napari_pathsrgan.commands.command import POSITIONAL, Command, Options, PathTo
from napari_pathsrgan.commands.options import Precision
from napari_pathsrgan.commands.output import columns, print_result, progress

if TYPE_CHECKING:
    from napari_pathsrgan.evaluation.unseen import UnseenDistance


class ScannerOptions(Options):
    """Which models are measured through which scanners.

    Attributes
    ----------
    fields : Path
        A folder of sharp images.
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
    device : str
        auto, cpu, cuda, cuda:1 or mps.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        As for `evaluate`.
    out : Path, optional
        Folder to make for report.html, chart.png and scores.json.
    """

    fields: Annotated[Path, POSITIONAL, PathTo("folder")]
    models: tuple[str, ...] = ("lite-psnr", "lite")
    mpp: float = 0.27
    split: Literal["test", "all"] = "test"
    randomised: int = 20
    max_fields: int = 1000
    unseen: bool = False
    device: str = "auto"
    precision: Precision = "fp32"
    out: Annotated[Path | None, PathTo("new")] = None


def evaluate_scanners(options: ScannerOptions, as_json: bool) -> None:
    """Measure models against bicubic enlargement through many simulated scanners, one fault at a time."""
    from napari_pathsrgan.errors import OptionError, OutputError
    from napari_pathsrgan.evaluation import scanner_report, scanners
    from napari_pathsrgan.inference.engine import load_model
    from napari_pathsrgan.registration.fields import is_held_out, list_fields, read_image

    if options.out is not None and options.out.exists():
        raise OutputError(f"{options.out} exists already.", "Choose another folder with --out, or remove it.")
    chosen = [path for path in list_fields(options.fields) if options.split == "all" or is_held_out(path.name)]
    if not chosen:
        raise OptionError(f"{options.fields.name} holds no field that trainings leave out.", "Give --split all.")
    made = {**scanners.FAULTS, **scanners.randomised_scanners(options.randomised)}
    models = {name: load_model(name, options.device, options.precision) for name in options.models}
    with progress("Evaluating") as report:
        scores = scanners.score_fields(
            models, chosen[: options.max_fields], options.mpp, made, read_image, _unseen(options.unseen), report
        )
    summaries = scanners.summarise(scores)
    about = {"fields": options.fields.name, "count": len(chosen[: options.max_fields]), "mpp": options.mpp} | {
        name: engine.card.weights_hash for name, engine in models.items()
    }
    lines = columns(scanner_report.table(summaries))
    written = scanner_report.write_report(options.out, about, scores, summaries) if options.out else []
    record = {"about": about, "summaries": [asdict(one) for one in summaries], "written": written}
    print_result(record, [*lines, *map(str, written)], as_json)


def _unseen(wanted: bool) -> UnseenDistance | None:
    from napari_pathsrgan.evaluation.unseen import UnseenDistance

    return UnseenDistance() if wanted else None


COMMAND = Command(
    name="evaluate-scanners",
    options=ScannerOptions,
    run=evaluate_scanners,
    device=lambda options: options.device,
)
