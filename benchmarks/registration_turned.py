"""Registration of slides that were put in again: phantoms scanned turned, mirrored and scaled, and other slides.

``python benchmarks/registration_turned.py --folder FOLDER`` makes the phantoms there, some minutes each, or uses those
that are there: each specimen is scanned once at 20×, and at 4× and 10× for every turn. Errors are along rows and
columns, in pixels of the finer scan.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from measure import Figure, command, say

from napari_pathsrgan.errors import DifferentSlidesError
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.phantom.truth import PhantomTruth, Turn
from napari_pathsrgan.registration.accuracy import true_errors_px
from napari_pathsrgan.registration.fine import Registration, register_slides
from napari_pathsrgan.registration.turns import as_scanned, turns_of
from napari_pathsrgan.slides.open_slide import open_slide

_EMPTY = 0.3


@dataclass(frozen=True)
class Case:
    """How the slide lay for the 4× and for the 10× scan: angle, scale, mirrored."""

    name: str
    low: tuple[float, float, bool]
    mid: tuple[float, float, bool]


_AS_IT_LAY = (0.0, 1.0, False)
CASES = {
    case.name: case
    for case in (
        Case("0", _AS_IT_LAY, _AS_IT_LAY),
        Case("0.3", (0.3, 1.0, False), (-0.2, 1.0, False)),
        Case("0.5", (0.5, 1.0, False), _AS_IT_LAY),
        Case("1", (1.0, 1.0, False), (-1.0, 1.0, False)),
        Case("3", (3.0, 1.01, False), (-2.0, 0.99, False)),
        Case("5", (-5.0, 0.97, False), (2.0, 1.0, False)),
        Case("90", (91.2, 1.0, False), (-88.0, 1.0, False)),
        Case("180", (178.0, 0.98, False), (180.0, 1.01, False)),
        Case("mirrored", (4.0, 1.03, True), (-2.0, 1.0, False)),
        Case("mirrored-90", (-88.5, 0.975, True), (120.0, 1.0, True)),
    )
}


@dataclass(frozen=True)
class Result:
    """What one triplet gave."""

    case: str
    errors_px: dict[int, np.ndarray]
    seconds: float


def scans_of(folder: Path, size_um: float, seed: int, case: Case) -> tuple[list[Path], PhantomTruth]:
    """Make the scans of a specimen that are not there yet."""
    whole, turned = folder / f"{seed}", folder / f"{seed}-{case.name}"
    centre = (size_um / 2, size_um / 2)
    if not whole.exists():
        say(f"Making {whole.name}")
        write_phantom(whole, size_um, seed, (20,), background_share=_EMPTY)
    if not turned.exists():
        say(f"Making {turned.name}")
        turns = {4: Turn.of(centre, *case.low), 10: Turn.of(centre, *case.mid)}
        write_phantom(turned, size_um, seed, (4, 10), background_share=_EMPTY, turns=turns)
    truth, fine = (PhantomTruth.load(place / "truth.json") for place in (turned, whole))
    paths = [turned / "4x.tiff", turned / "10x.tiff", whole / "20x.tiff"]
    return paths, replace(truth, offsets={**truth.offsets, 20: fine.offsets[20]})


def register(paths: list[Path]) -> Registration | None:
    """Register three files; None where they are refused."""
    with ExitStack() as stack:
        try:
            return register_slides(*(stack.enter_context(open_slide(path)) for path in paths))
        except DifferentSlidesError as error:
            say(str(error))
            return None


def measure_case(folder: Path, size_um: float, seed: int, case: Case) -> Result | None:
    """Register a triplet and compare with the truth."""
    paths, truth = scans_of(folder, size_um, seed, case)
    began = time.process_time()
    found = register(paths)
    seconds = time.process_time() - began
    if found is None or not len(found.patches):
        return None
    own = as_scanned(found.patches, {"turned": turns_of(found)})
    errors = {power: np.abs(true_errors_px(own, truth, power)) for power in (10, 20)}
    say(f"{seed}-{case.name}: {errors[10].mean():.3f} and {errors[20].mean():.3f} px, {seconds:.1f} s")
    return Result(case.name, errors, seconds)


def measure(options: argparse.Namespace) -> list[Figure]:
    """Register every specimen at every turn, and scans of one with those of the next."""
    options.folder.mkdir(parents=True, exist_ok=True)
    cases = [CASES[name] for name in options.turns]
    results = {
        (seed, case.name): measure_case(options.folder, options.size, seed, case)
        for case in cases for seed in options.seeds
    }  # fmt: skip
    found = [result for result in results.values() if result is not None]
    share = 100 * len(found) / len(results)
    figures = [Figure("Triplets found", share, "%", f"{len(found)} of {len(results)}", at_least=100)]
    figures += [*_figures("not turned", [result for result in found if result.case == "0"])]
    figures += [*_figures("turned", [result for result in found if result.case != "0"])]
    others = [*options.seeds[1:], options.seeds[0]] if len(options.seeds) > 1 else []
    wrong = [(case, ours, theirs) for case in cases for ours, theirs in zip(options.seeds, others, strict=False)]
    accepted = sum(_mixed(options, *each) for each in wrong)
    return [*figures, Figure("Triplets of different slides accepted", accepted, "", f"of {len(wrong)}", at_most=0)]


def _mixed(options: argparse.Namespace, case: Case, ours: int, theirs: int) -> bool:
    """Whether the 4× scan of one specimen is accepted with the finer scans of another."""
    (low, _, _), (_, mid, high) = (scans_of(options.folder, options.size, seed, case)[0] for seed in (ours, theirs))
    return register([low, mid, high]) is not None


def _figures(name: str, results: list[Result]) -> Iterator[Figure]:
    for power, goal in ((10, 0.06), (20, 0.12)) if results else ():
        errors = np.concatenate([result.errors_px[power] for result in results])
        detail = f"95 % below {np.percentile(errors, 95):.3f}, largest {errors.max():.3f}; {len(errors)} patches"
        yield Figure(f"4×–{power}×, {name}, mean error", float(errors.mean()), "px", detail, at_most=goal)


if __name__ == "__main__":
    command(
        measure,
        ("--folder", {"type": Path, "required": True, "help": "where the phantoms are, or are made"}),
        ("--seeds", {"type": int, "nargs": "+", "default": [1, 2, 3, 4, 5, 6], "help": "one specimen each"}),
        ("--turns", {"nargs": "+", "default": list(CASES), "choices": list(CASES), "help": "how the slide lay"}),
        ("--size", {"type": float, "default": 1000.0, "help": "side of the specimens, µm"}),
    )
