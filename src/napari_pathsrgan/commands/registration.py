"""Verbs about pairs: register, accuracy."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from napari_pathsrgan.commands.options import validated
from napari_pathsrgan.commands.report import Json, Progress, columns, progress, tell, thousands
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.registration.config import FieldsConfig, RegistrationConfig

if TYPE_CHECKING:
    from napari_pathsrgan.registration.accuracy import Accuracy
    from napari_pathsrgan.slides.slide import Slide

_POWERS = ("4x", "10x", "20x")


@Parameter(name="*")
@dataclass(frozen=True)
class RegisterOptions:
    """Where pairs come from and which are kept.

    Parameters
    ----------
    from_fields : Path, optional
        A folder of single sharp pictures to simulate scans of, instead of slides.
    mpp : float
        Pixel size of those pictures, µm.
    scanners : int
        Simulated 4× scanners each of those pictures is seen through; the first is a perfect one.
    phantoms : int
        Synthetic fields added, seen through as many.
    mpp_low : float, optional
        Pixel size of the 4× scan, µm, where the file does not say it or is wrong.
    mpp_mid : float, optional
        The same of the 10× scan.
    mpp_high : float, optional
        The same of the 20× scan.
    annotations : Path, optional
        QuPath's GeoJSON on the 4× scan: only patches inside an area are taken, and carry its class.
    places : Path, optional
        GeoJSON to write with the patches' places on the 4× scan of the last slide.
    split : {"train", "test"}, optional
        What the slides are for; by default one in six is for testing.
    config : RegistrationConfig
    """

    from_fields: Path | None = None
    mpp: float = FieldsConfig.model_fields["mpp"].default
    scanners: int = FieldsConfig.model_fields["scanners"].default
    phantoms: int = FieldsConfig.model_fields["phantoms"].default
    mpp_low: float | None = None
    mpp_mid: float | None = None
    mpp_high: float | None = None
    annotations: Path | None = None
    places: Path | None = None
    split: Literal["train", "test"] | None = None
    config: Annotated[RegistrationConfig, Parameter(name="*")] = field(default_factory=RegistrationConfig)


_USUAL = RegisterOptions()


def register(out: Path, /, *scans: Path, options: RegisterOptions = _USUAL, json: Json = False) -> None:
    """Match 4×, 10× and 20× scans of slides and write their patches as training pairs.

    Give the three scans; or a folder with a folder per slide, each with files named 4x, 10x and 20x; or a CSV file with
    the columns low, mid, high and, if you like, split. A killed run goes on where it stopped when given the same names.

    Parameters
    ----------
    out
        The pairs file: appended to if it exists.
    scans
        Three files, a folder or a CSV file.
    """
    from napari_pathsrgan.registration.pairs import PairsFile

    if options.from_fields is not None or options.phantoms:
        _simulate(out, options)
    else:
        triplets = _triplets(scans)
        for number, (paths, split) in enumerate(triplets, 1):
            with progress(f"Slide {number} of {len(triplets)}") as told:
                _register_slide(out, paths, split or options.split, options, told)
    pairs = PairsFile(out)
    record = {"out": out, "pairs": len(pairs), "slides": pairs.slides}
    rows = [("Slide", "Pairs", "Tried", "For")]
    for slide in pairs.slides:
        rows.append((slide["name"], str(slide["count"]), str(slide["found"].get("tried", "")), slide["split"]))
        for note in slide["found"].get("notes", []):
            print(note, file=sys.stderr)
    tell(record, [*columns(rows), f"{thousands(len(pairs))} pairs in {out}"], json)


def _simulate(out: Path, options: RegisterOptions) -> None:
    from napari_pathsrgan.registration.from_fields import append_fields

    config = validated(
        FieldsConfig, folder=options.from_fields, mpp=options.mpp, scanners=options.scanners, phantoms=options.phantoms,
        seed=options.config.seed, least_foreground=options.config.least_foreground,
    )  # fmt: skip
    with progress("Simulating") as told:
        append_fields(out, config, options.split, progress=told)


def _triplets(scans: Sequence[Path]) -> list[tuple[list[Path], str | None]]:
    """Find out which files belong together: three paths and a split each."""
    if len(scans) == 3:
        return [(list(scans), None)]
    if len(scans) != 1:
        raise OptionError(
            f"{len(scans)} files make no triplet.", "Give the 4×, 10× and 20× scan, a folder of slides or a CSV file."
        )
    (path,) = scans
    if path.suffix.lower() == ".csv":
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                return [
                    ([path.parent / row[power] for power in ("low", "mid", "high")], row.get("split") or None)
                    for row in csv.DictReader(file)
                ]
        except KeyError as error:
            raise OptionError(f"{path.name} has no column {error}.", "Name the columns low, mid and high.") from error
        except OSError as error:
            raise OptionError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from error
    folders = [path, *sorted(path.iterdir())] if path.is_dir() else []
    found = []
    for folder in folders:
        files = [next(iter(sorted(folder.glob(f"{power}.*"))), None) for power in _POWERS]
        if all(files):
            found.append(([file for file in files if file], None))
    if not found:
        raise OptionError(
            f"{path} holds no slides.", "Give a folder with a folder per slide, each with files named 4x, 10x and 20x."
        )
    return [(paths, None) for paths, _ in found]


def _register_slide(
    out: Path, paths: Sequence[Path], split: str | None, options: RegisterOptions, told: Progress
) -> None:
    from napari_pathsrgan.registration.cutting import register_into
    from napari_pathsrgan.slides.open_slide import open_slide

    low, mid, high = paths
    mpps = (options.mpp_low, options.mpp_mid, options.mpp_high)
    with open_slide(low, mpps[0]) as first, open_slide(mid, mpps[1]) as second, open_slide(high, mpps[2]) as third:
        label, source = _labels(options.annotations, first)
        register_into(out, first, second, third, options.config, split, label, source, told)
        if options.places is not None:
            _write_places(options.places, out, first, third)


def _labels(path: Path | None, low: Slide) -> tuple[Callable[[Any], list[str | None]] | None, str]:
    if path is None:
        return None, ""
    from napari_pathsrgan.slides.annotation import label_places
    from napari_pathsrgan.slides.geojson import QuPathGrid, read_annotations

    areas = read_annotations(path, QuPathGrid.of(low))
    return lambda places: label_places(areas, places), hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


def _write_places(path: Path, out: Path, low: Slide, high: Slide) -> None:
    import numpy as np

    from napari_pathsrgan.registration.pairs import PairsFile
    from napari_pathsrgan.slides.geojson import QuPathGrid, write_squares

    pairs = PairsFile(out)
    mine = next(s for s in pairs.slides if s["made"]["fingerprints"].get("4x") == low.fingerprint)
    table = pairs.table[mine["first"] : mine["first"] + mine["count"]]
    about = [{"label": str(row["label"]), "correlation": round(float(row["correlation"]), 4)} for row in table]
    corners = np.stack([table["row_um"], table["col_um"]], axis=1)
    write_squares(path, corners, 512 * high.mpp, QuPathGrid.of(low), about)


@Parameter(name="*")
@dataclass(frozen=True)
class AccuracyOptions:
    """What is measured.

    Parameters
    ----------
    count : int
        Pairs matched again, drawn at random.
    truth : Path, optional
        A phantom's truth.json: tells the true errors of its pairs too.
    """

    count: int = 5000
    truth: Path | None = None


_USUAL_ACCURACY = AccuracyOptions()


def accuracy(pairs: Path, /, *, options: AccuracyOptions = _USUAL_ACCURACY, json: Json = False) -> None:
    """Measure how well pairs lie on each other, as the paper's Table II does: magnified ten times and matched again.

    Parameters
    ----------
    pairs
        A pairs file.
    """
    from napari_pathsrgan.registration.accuracy import PAPER_ROWS, Accuracy, table_ii_accuracy, true_errors_px
    from napari_pathsrgan.registration.pairs import PairsFile

    file = PairsFile(pairs)
    with progress("Matching again") as told:
        measured: list[Accuracy] = list(table_ii_accuracy(file, options.count, progress=told))
    if options.truth is not None:
        from napari_pathsrgan.phantom.truth import PhantomTruth

        known = PhantomTruth.load(options.truth)
        measured += [Accuracy(power, true_errors_px(file.table, known, power), "truth") for power in (10, 20)]
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
    tell({"table": rows, "histograms": histograms}, lines, json)


def _cell(row: dict[str, Any], name: str) -> str:
    value = row.get(name, "–")
    return ", ".join(f"{part:.3f}" for part in value) if isinstance(value, tuple) else str(value)
