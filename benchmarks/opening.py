"""How long a slide of 10 GB takes to open, and how much of that goes into telling it from every other.

The file is sparse: its 54,000 tiles take no room on disk, but all their offsets and byte counts are there to be read.
Processor time is told beside the time on the clock, which other programs of a busy machine stretch. With ``--against``,
another version of the package opens the same file in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tifffile
from measure import Figure, command
from sample_slides import SLIDES_OPTION

_SIDES_PX = (58_000, 14_500, 3_625)
_MOST_MS = 50.0
_OPENS = 7
_OPENING = """
import json, sys, time
from napari_pathsrgan.slides.open_slide import open_slide
open_slide(sys.argv[1]).close()
took = []
for _ in range(int(sys.argv[2])):
    began = time.perf_counter(), time.process_time()
    open_slide(sys.argv[1]).close()
    took.append((time.perf_counter() - began[0], time.process_time() - began[1]))
print(json.dumps(took))
"""


def big_slide(folder: Path) -> Path:
    """Make a tiled TIFF of 10 GB that takes next to no room on disk, unless it is there already."""
    path = folder / "sparse-10GB.tif"
    if not path.exists():
        size = {"resolution": (1e4 / 1.465,) * 2, "resolutionunit": "CENTIMETER"}
        with tifffile.TiffWriter(path, bigtiff=True) as file:
            for level, side in enumerate(_SIDES_PX):
                file.write(
                    shape=(side, side, 3), dtype="uint8", tile=(256, 256), photometric="rgb", metadata=None,
                    subfiletype=min(level, 1), **size,
                )  # fmt: skip
    return path


def measure(options: argparse.Namespace) -> list[Figure]:
    """Time opening and identity in turns."""
    from napari_pathsrgan.slides.fingerprint import file_identity
    from napari_pathsrgan.slides.open_slide import open_slide

    path = big_slide(options.slides)
    cases: dict[str, Callable[[], object]] = {
        "open": lambda: open_slide(path).close(),
        "its identity alone": lambda: file_identity(path),
    }
    for case in cases.values():
        case()
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(options.runs):
        for name, case in cases.items():
            began = time.perf_counter(), time.process_time()
            case()
            took[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    figures = [_figure(name, values, _MOST_MS if "identity" in name else None) for name, values in took.items()]
    return [*figures, *([] if options.against is None else _compared(path, options.against, options.turns))]


def _figure(name: str, took: list[tuple[float, float]], most_ms: float | None = None) -> Figure:
    clock, processor = (1e3 * statistics.median(values) for values in zip(*took, strict=True))
    detail = f"median of {len(took)}; {clock:.1f} ms on the clock"
    return Figure(f"{name}: processor time", processor, "ms", detail, at_most=most_ms)


def _compared(path: Path, other: Path, turns: int) -> list[Figure]:
    """Open the file by two versions, each turn in new processes."""
    sources = {"this version": Path(__file__).parents[1] / "src", "the other version": other}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
    for _ in range(turns):
        for name, source in sources.items():
            program = [sys.executable, "-c", _OPENING, str(path), str(_OPENS)]
            environment = {**os.environ, "PYTHONPATH": str(source)}
            answer = subprocess.run(program, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            took[name].append(tuple(map(statistics.median, zip(*json.loads(answer.stdout), strict=True))))
    more = statistics.median(1e3 * (one[1] - two[1]) for one, two in zip(*took.values(), strict=True))
    return [
        *(_figure(f"open, {name}", values) for name, values in took.items()),
        Figure("this version takes more: processor time", more, "ms", f"median of {turns} turns", at_most=_MOST_MS),
    ]


if __name__ == "__main__":
    command(
        measure,
        SLIDES_OPTION,
        ("--runs", {"type": int, "default": 15, "help": "timed turns (%(default)s)"}),
        ("--against", {"type": Path, "help": "folder src of another version of the package"}),
        ("--turns", {"type": int, "default": 3, "help": "turns of the two versions (%(default)s)"}),
    )
