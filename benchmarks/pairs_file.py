"""Whether a pairs file of many patches is written within bounds, and the same after kills.

The file is written twice by processes of their own: once in one go, once killed (SIGKILL) at thirds of the rows and
taken up again. Patches are of flat colour, and one in a hundred of noise, to spare the disk: what is measured is the
writing.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import Figure, command, say

from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, PATCH_FIELDS
from napari_pathsrgan.registration.pairs import PairsFile, Planned, append

_MEMORY_BOUND_MIB = 2048


def cut(patch: np.void) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make one patch, the same whenever it is asked for."""
    number = int(patch["hr_row_px"])
    rng = np.random.default_rng(number)
    colour = rng.integers(0, 256, 3, np.uint8)
    sides = LR_PX, MR_PX, HR_PX
    if number % 100 == 0:
        lr, mr, hr = (rng.integers(0, 256, (side, side, 3), np.uint8) for side in sides)
    else:
        lr, mr, hr = (np.tile(colour, (side, side, 1)) for side in sides)
    return lr, mr, hr


def write(path: Path, rows: int) -> None:
    """Append one slide of so many patches, or go on with it."""
    table = np.zeros(rows, PATCH_FIELDS)
    table["hr_row_px"] = np.arange(rows)
    append(path, "large", {"slide": "large"}, "train", lambda: Planned(table, np.full(rows, "", np.str_), {}), cut)


def digest(path: Path) -> str:
    """Hash of every file's name and content."""
    total = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        total.update(str(file.relative_to(path)).encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def killed_at(path: Path, rows: int, at: int) -> int:
    """Write until so many rows are complete, kill the process, and return how many there were."""
    process = multiprocessing.get_context("spawn").Process(target=write, args=(path, rows))
    process.start()
    while process.is_alive():
        if path.exists() and _complete(path) >= at:
            process.kill()
        time.sleep(0.02)
    process.join()
    return _complete(path)


def _complete(path: Path) -> int:
    try:
        return len(PairsFile(path))
    except Exception:
        return 0


def measure(options: argparse.Namespace) -> list[Figure]:
    """Write in one go and with kills, and compare."""
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        began = time.perf_counter()
        killed_at(folder / "whole.zarr", options.rows, options.rows + 1)
        took = time.perf_counter() - began
        peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        kills = [killed_at(folder / "killed.zarr", options.rows, third * options.rows // 3) for third in (1, 2)]
        say(f"Killed with {kills} rows complete")
        killed_at(folder / "killed.zarr", options.rows, options.rows + 1)
        same = digest(folder / "whole.zarr") == digest(folder / "killed.zarr")
        complete = _complete(folder / "killed.zarr")
    finally:
        shutil.rmtree(folder)
    return [
        Figure("Rows written", complete, "", f"{took:.0f} s in one go", at_least=options.rows),
        Figure("Peak memory of the writing process", peak_mib, "MiB", at_most=_MEMORY_BOUND_MIB),
        Figure(
            "Same bytes after two kills",
            100.0 * same,
            "%",
            f"SIGKILL with {kills[0]} and {kills[1]} rows complete",
            at_least=100,
        ),
    ]


if __name__ == "__main__":
    command(
        measure,
        ("--folder", {"type": Path, "default": None, "help": "where the files are made, and taken away again"}),
        ("--rows", {"type": int, "default": 20000, "help": "patches (%(default)s)"}),
    )
