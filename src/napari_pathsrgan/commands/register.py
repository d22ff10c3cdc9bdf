"""The command register: three scans of a slide become training pairs."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from napari_pathsrgan.commands.command import (
    POSITIONAL,
    Command,
    FormField,
    JobForm,
    OpenLayers,
    Options,
    PathTo,
    ResultWindow,
)
from napari_pathsrgan.commands.option_text import validated
from napari_pathsrgan.commands.output import Progress, columns, print_result, progress, thousands
from napari_pathsrgan.commands.result_paths import beside
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.registration.config import FieldsConfig, RegistrationConfig

if TYPE_CHECKING:
    from napari_pathsrgan.registration.pairs import PairsFile
    from napari_pathsrgan.registration.splitting import Split
    from napari_pathsrgan.slides.slide import Slide

_POWERS = ("4x", "10x", "20x")
_POWER_MPPS = (1.465, 0.586, 0.293)


class RegisterOptions(RegistrationConfig, Options):
    """Where pairs come from and which are kept.

    Attributes
    ----------
    out : Path
        The pairs file: appended to if it exists.
    scans : tuple of Path
        Three files, a folder or a CSV file.
    from_fields : Path, optional
        A folder of single sharp images to simulate scans of, instead of slides.
    mpp : float
        Pixel size of those images, µm.
    scanners : int
        Simulated 4× scanners each of those images is seen through; the first is a perfect one.
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
    split : {"train", "test", "place"}, optional
        What the slides are for. By default one slide in six is for testing; of a single slide one end is ("place").
    """

    out: Annotated[Path, POSITIONAL, PathTo("new")]
    from_fields: Annotated[Path | None, PathTo("folder")] = None
    mpp: float = FieldsConfig.model_fields["mpp"].default
    scanners: int = FieldsConfig.model_fields["scanners"].default
    phantoms: int = FieldsConfig.model_fields["phantoms"].default
    mpp_low: float | None = None
    mpp_mid: float | None = None
    mpp_high: float | None = None
    annotations: Annotated[Path | None, PathTo("file", "GeoJSON (*.geojson *.json)")] = None
    places: Annotated[Path | None, PathTo("new")] = None
    split: Literal["train", "test", "place"] | None = None
    scans: Annotated[tuple[Path, ...], POSITIONAL, PathTo("slide")] = Field(default=(), validate_default=True)

    @field_validator("scans")
    @classmethod
    def _make_triplets(cls, scans: tuple[Path, ...], info: ValidationInfo) -> tuple[Path, ...]:
        simulated = info.data.get("from_fields") is not None or info.data.get("phantoms")
        if len(scans) not in (1, 3) and not (simulated and not scans):
            raise ValueError("Give the 4×, 10× and 20× scan, a folder of slides or a CSV file.")
        return scans

    def registration(self) -> RegistrationConfig:
        """How scans are matched."""
        return RegistrationConfig(**self.model_dump(include=set(RegistrationConfig.model_fields)))


def register(options: RegisterOptions, as_json: bool) -> None:
    """Match 4×, 10× and 20× scans of slides and write their patches as training pairs.

    Give the three scans; or a folder with a folder per slide, each with files named 4x, 10x and 20x; or a CSV file with
    the columns low, mid, high and, if you like, split. A killed run goes on where it stopped when given the same names.
    """
    from napari_pathsrgan.registration.pairs import PairsFile
    from napari_pathsrgan.registration.splitting import BY_PLACE

    if options.from_fields is not None or options.phantoms:
        _simulate(options)
    else:
        triplets = _triplets(options.scans)
        for number, (paths, split) in enumerate(triplets, 1):
            with progress(f"Slide {number} of {len(triplets)}") as report:
                usual = BY_PLACE if len(triplets) == 1 else None
                _register_slide(paths, split or options.split or usual, options, report)
    pairs = PairsFile(options.out)
    record = {"out": options.out, "pairs": len(pairs), "slides": pairs.slides}
    rows = [("Slide", "Pairs", "Tried", "For")]
    for slide in pairs.slides:
        rows.append((slide["name"], str(slide["count"]), str(slide["found"].get("tried", "")), _purpose(pairs, slide)))
        for note in slide["found"].get("notes", []):
            print(note, file=sys.stderr)
    print_result(record, [*columns(rows), f"{thousands(len(pairs))} pairs in {options.out}"], as_json)


def _purpose(pairs: PairsFile, slide: dict[str, Any]) -> str:
    """Say what a slide's pairs are for."""
    if slide["split"] != "place":
        return str(slide["split"])
    own = range(slide["first"], slide["first"] + slide["count"])
    train, test = (sum(row in own for row in pairs.rows(split)) for split in ("train", "test"))
    return f"train {train}, test {test} (one end of the slide), {slide['count'] - train - test} between"


def _simulate(options: RegisterOptions) -> None:
    from napari_pathsrgan.registration.from_fields import append_fields

    shared = {name for name in FieldsConfig.model_fields if name != "folder"}
    if options.split == "place":
        raise OptionError(
            "Single images are split by image, not by place.", "Give --split train or test, or leave it out."
        )
    config = validated(FieldsConfig, options.model_dump(include=shared) | {"folder": options.from_fields})
    with progress("Simulating") as report:
        append_fields(options.out, config, options.split, progress=report)


def _split(text: str | None) -> Split | None:
    """Read a split of a CSV file."""
    from napari_pathsrgan.registration.splitting import SPLITS

    if not text:
        return None
    for split in SPLITS:
        if split == text:
            return split
    raise OptionError(f"There is no split “{text}”.", "Write train, test or place into the column split, or nothing.")


def _triplets(scans: Sequence[Path]) -> list[tuple[list[Path], Split | None]]:
    """Find out which files belong together: three paths and a split each."""
    if len(scans) == 3:
        return [(list(scans), None)]
    (path,) = scans
    if path.suffix.lower() == ".csv":
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                return [
                    ([path.parent / row[power] for power in ("low", "mid", "high")], _split(row.get("split")))
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


def _register_slide(paths: Sequence[Path], split: Split | None, options: RegisterOptions, report: Progress) -> None:
    from napari_pathsrgan.registration.cutting import register_into
    from napari_pathsrgan.slides.open_slide import open_slide

    low, mid, high = paths
    mpps = (options.mpp_low, options.mpp_mid, options.mpp_high)
    with open_slide(low, mpps[0]) as first, open_slide(mid, mpps[1]) as second, open_slide(high, mpps[2]) as third:
        label, source = _labels(options.annotations, first)
        register_into(options.out, first, second, third, options.registration(), split, label, source, report)
        if options.places is not None:
            _write_places(options.places, options.out, first, third)


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
    from napari_pathsrgan.registration.turns import as_scanned
    from napari_pathsrgan.slides.geojson import QuPathGrid, write_squares

    pairs = PairsFile(out)
    mine = next(s for s in pairs.slides if s["made"]["fingerprints"].get("4x") == low.fingerprint)
    table = as_scanned(pairs.table[mine["first"] : mine["first"] + mine["count"]], mine["found"])
    about = [{"label": str(row["label"]), "correlation": round(float(row["correlation"]), 4)} for row in table]
    corners = np.stack([table["row_um"], table["col_um"]], axis=1)
    write_squares(path, corners, 512 * high.mpp, QuPathGrid.of(low), about)


def _suggest(layers: OpenLayers) -> Mapping[str, Any]:
    """Take the open slides for the scans whose pixel sizes theirs are nearest to."""
    scans = [next((slide for slide in layers.slides if slide.is_near(mpp)), None) for mpp in _POWER_MPPS]
    first = next(filter(None, scans), None)
    known: dict[str, Any] = {"scans": tuple(None if slide is None else slide.path for slide in scans)}
    for name, slide in zip(("mpp_low", "mpp_mid", "mpp_high"), scans, strict=True):
        if slide is not None and slide.mpp_given:
            known[name] = slide.mpp
    return known if first is None else known | {"out": beside(first.path, "-pairs.zarr")}


def _open_result(window: ResultWindow, out: Path) -> None:
    window.open_pairs(out)


COMMAND = Command(
    name="register",
    options=RegisterOptions,
    run=register,
    runs_as_job=True,
    open_result=_open_result,
    forms=(
        JobForm(
            "Register slides",
            "Three scans of one glass slide, at 4×, 10× and 20×, become matched patches to train on.",
            (
                FormField("scans", "4× scan", "About 1.465 µm/px."),
                FormField("scans", "10× scan", "About 0.586 µm/px."),
                FormField("scans", "20× scan", "About 0.293 µm/px."),
                FormField("out", "Pairs file", "Written to; one that exists is added to.", "pairs.zarr"),
            ),
            suggest=_suggest,
        ),
    ),
)
