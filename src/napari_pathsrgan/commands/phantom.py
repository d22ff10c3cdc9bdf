"""The command phantom: a synthetic slide and its scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from napari_pathsrgan.commands.command import POSITIONAL, Command, Options, PathTo
from napari_pathsrgan.commands.output import print_result, progress


class PhantomOptions(Options):
    """A synthetic specimen and its scans.

    Attributes
    ----------
    out : Path
        Folder to make; it must not exist.
    size_um : float
        Height and width of the specimen, µm.
    seed : int
        Everything follows from it.
    magnifications : tuple of int
        Which of 4, 10 and 20 to scan at.
    background_share : float
        Share of the area without cells, 0 to 1.
    """

    out: Annotated[Path, POSITIONAL, PathTo("new")]
    size_um: float = 2000.0
    seed: int = 0
    magnifications: tuple[int, ...] = (4, 10, 20)
    background_share: float = 0.4


def phantom(options: PhantomOptions, as_json: bool) -> None:
    """Make a synthetic cytology slide, scanned at 4×, 10× and 20×, with the truth about it."""
    from napari_pathsrgan.phantom.scanner import write_phantom

    with progress("Scanning") as report:
        written = write_phantom(
            options.out,
            options.size_um,
            options.seed,
            options.magnifications,
            options.background_share,
            progress=lambda share: report(share, 1.0),
        )
    record = {
        "folder": written.folder,
        "scans": written.scans,
        "truth": written.truth,
        "cells": written.cells,
        "nuclei": written.nuclei,
    }
    lines = [f"{power}×  {path}" for power, path in written.scans.items()]
    print_result(record, [*lines, f"Truth  {written.truth}"], as_json)


COMMAND = Command(name="phantom", options=PhantomOptions, run=phantom, runs_as_job=True)
