"""True errors of registration on phantoms whose scans lie up to 860 µm (2,935 px at 20×) apart along each axis.

``python benchmarks/registration_accuracy.py --folder FOLDER`` makes the phantoms of 2 × 2 mm there, some minutes each,
or uses those that are there. Errors are along rows and columns, in pixels of the finer scan.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measure import Figure, command, say

from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.phantom.truth import PhantomTruth
from napari_pathsrgan.registration.accuracy import true_errors_px
from napari_pathsrgan.registration.coarse import DifferentSlidesError
from napari_pathsrgan.registration.fine import register_slides
from napari_pathsrgan.registration.turns import as_scanned, turns_of
from napari_pathsrgan.slides.open_slide import open_slide

_SEEDS = [21, 22, 23, 24, 25, 93, 133, 355]
"""The last three are those whose scans lie furthest apart."""
_GOALS = {10: (0.05, 0.12, 1.0), 20: (0.1, 0.25, 1.0)}


def measure(options: argparse.Namespace) -> list[Figure]:
    """Register every phantom, and each 4× scan with the next phantom's finer ones."""
    figures: list[Figure] = []
    options.folder.mkdir(parents=True, exist_ok=True)
    folders = [options.folder / f"far{seed}" for seed in options.seeds]
    gathered: dict[int, list[np.ndarray]] = {10: [], 20: []}
    tried = accepted = 0
    for seed, folder in zip(options.seeds, folders, strict=True):
        if not folder.exists():
            say(f"Making {folder.name}")
            write_phantom(folder, 2000.0, seed, background_share=options.background, max_global_offset_um=options.apart)
        found = register_slides(*(open_slide(folder / f"{power}x.tiff") for power in (4, 10, 20)))
        truth = PhantomTruth.load(folder / "truth.json")
        tried, accepted = tried + found.tried, accepted + len(found.patches)
        moved = " and ".join(f"{part / 0.293:.0f}" for part in found.coarse_20x.offset_um)
        own = as_scanned(found.patches, {"turned": turns_of(found)})
        for power in (10, 20):
            errors = np.abs(true_errors_px(own, truth, power))
            gathered[power].append(errors)
            detail = (
                f"p95 {np.percentile(errors, 95):.3f}, max {errors.max():.3f}; {len(errors)} patches; {moved} px apart"
            )
            figures.append(Figure(f"Seed {seed}, 4×–{power}×, mean error", float(errors.mean()), "px", detail))
    for power, (mean, p95, most) in _GOALS.items():
        errors = np.concatenate(gathered[power])
        figures += [
            Figure(f"All, 4×–{power}×, mean error", float(errors.mean()), "px", at_most=mean),
            Figure(f"All, 4×–{power}×, 95 % of errors below", float(np.percentile(errors, 95)), "px", at_most=p95),
            Figure(f"All, 4×–{power}×, largest error", float(errors.max()), "px", at_most=most),
        ]
    figures.append(Figure("Accepted of foreground patches", 100 * accepted / tried, "%", f"of {tried}", at_least=90))
    refused = 0
    for ours, theirs in zip(folders, [*folders[1:], folders[0]], strict=True):
        try:
            register_slides(
                *(open_slide(one / f"{power}x.tiff") for one, power in ((ours, 4), (theirs, 10), (theirs, 20)))
            )
        except DifferentSlidesError:
            refused += 1
    if len(folders) > 1:
        share = 100 * refused / len(folders)
        figures.append(Figure("Refused of scans of different slides", share, "%", f"of {len(folders)}", at_least=100))
    return figures


if __name__ == "__main__":
    command(
        measure,
        ("--folder", {"type": Path, "required": True, "help": "where the phantoms are, or are made"}),
        ("--seeds", {"type": int, "nargs": "+", "default": _SEEDS, "help": "one phantom each"}),
        ("--apart", {"type": float, "default": 430.0, "help": "each scan lies up to so far off, µm, of those made"}),
        ("--background", {"type": float, "default": 0.4, "help": "share of background of phantoms that are made"}),
    )
