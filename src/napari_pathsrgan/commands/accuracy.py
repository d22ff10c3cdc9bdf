"""The command accuracy: how well registered pairs lie on each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from napari_pathsrgan.commands.command import POSITIONAL, Command, Options, PathTo
from napari_pathsrgan.commands.output import columns, print_result, progress

if TYPE_CHECKING:
    from napari_pathsrgan.registration.accuracy import Accuracy


class AccuracyOptions(Options):
    """What is measured.

    Attributes
    ----------
    pairs : Path
        A pairs file.
    count : int
        Pairs matched again, drawn at random.
    truth : Path, optional
        A phantom's truth.json: gives the true errors of its pairs too.
    """

    pairs: Annotated[Path, POSITIONAL, PathTo("pairs")]
    count: int = 5000
    truth: Annotated[Path | None, PathTo("file")] = None


def accuracy(options: AccuracyOptions, as_json: bool) -> None:
    """Measure how well pairs lie on each other, as the paper's Table II does: magnified ten times and matched again."""
    from napari_pathsrgan.registration.accuracy import PAPER_ROWS, Accuracy, table_ii_accuracy, true_errors_px
    from napari_pathsrgan.registration.pairs import PairsFile

    file = PairsFile(options.pairs)
    with progress("Matching again") as report:
        measured: list[Accuracy] = list(table_ii_accuracy(file, options.count, progress=report))
    if options.truth is not None:
        import numpy as np

        from napari_pathsrgan.phantom.truth import PhantomTruth
        from napari_pathsrgan.registration.turns import as_scanned

        known = PhantomTruth.load(options.truth)
        table = file.table
        parts = [
            as_scanned(table[slide["first"] : slide["first"] + slide["count"]], slide["found"]) for slide in file.slides
        ]
        own = np.concatenate(parts)
        measured += [Accuracy(power, true_errors_px(own, known, power), "truth") for power in (10, 20)]
    rows = [one.row() for one in measured]
    rows += [{"scans": f"4×–{power}×", "measure": "paper", "pairs": 5000, **row} for power, row in PAPER_ROWS.items()]
    heads = ("scans", "measure", "pairs", "mean_px", "sd_px", "p95_px", "max_px")
    titles = [name.replace("_px", ", px (X, Y)") for name in heads]
    lines = columns([titles, *([_cell(row, head) for head in heads] for row in rows)])
    for one in measured:
        counts, edges = one.histogram()
        lines += ["", f"Distances 4×–{one.magnification}×, {one.measure}, pixels at {one.magnification}×"]
        lines += [
            f"{low:6.3f} – {high:6.3f}  {count:6}  {'█' * round(40 * count / counts.max())}"
            for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
        ]
    histograms = [[part.tolist() for part in one.histogram()] for one in measured]
    print_result({"table": rows, "histograms": histograms}, lines, as_json)


def _cell(row: dict[str, Any], name: str) -> str:
    value = row.get(name, "–")
    return ", ".join(f"{part:.3f}" for part in value) if isinstance(value, tuple) else str(value)


COMMAND = Command(name="accuracy", options=AccuracyOptions, run=accuracy, runs_as_job=True)
