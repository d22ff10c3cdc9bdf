"""How fast `lite` trains on this machine, and whether its steps wait for patches.

``python benchmarks/training.py PAIRS [--json]``: with pixel loss alone, and with the published losses; batches of 8
patches of 64 px from a pairs file, two loader processes. The first 50 steps, in which the loaders start, don't count.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import tempfile
from pathlib import Path
from typing import Any

from measure import Figure, command

from napari_pathsrgan.registration.pairs import PairsFile
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.recipes import PUBLISHED
from napari_pathsrgan.training.session import train

_WARM_STEPS, _MOST_WAITING_PERCENT = 50, 5
_CASES: dict[str, dict[str, Any]] = {
    "Pixel loss": {},
    "Published losses": {name: getattr(PUBLISHED, name) for name in ("pixel_loss", "alpha", "beta", "perceptual_cuts")},
}


class _EnoughError(Exception):
    """As many steps as are to be counted."""


def told_by(pairs: Path, folder: Path, steps: int, losses: dict[str, Any]) -> list[dict[str, Any]]:
    """Train, and return what was told after the first steps; what a training measures at its end is left out."""
    config = TrainingConfig(
        pairs=(pairs,),
        recipe="laptop",
        init_from="lite",
        epochs=(0, 0, 1),
        epoch_steps=2 * (_WARM_STEPS + steps),
        **losses,
    )
    told: list[dict[str, Any]] = []

    def tell(row: dict[str, Any]) -> None:
        told.append(row)
        if row["step"] >= _WARM_STEPS + steps:
            raise _EnoughError

    with contextlib.suppress(_EnoughError):
        train(config, folder, RunOptions(accelerator="cpu"), tell)
    return [row for row in told if row["step"] > _WARM_STEPS]


def measure(options: argparse.Namespace) -> list[Figure]:
    """Train with and without the costly losses."""
    figures: list[Figure] = []
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, losses in _CASES.items():
            rows = told_by(options.pairs, Path(folder) / name, options.steps, losses)
            seconds[name] = sum(row["s_per_step"] for row in rows) / len(rows)
            waiting = 100 * sum(row["waiting"] for row in rows) / len(rows)
            per_second = f"{8 / seconds[name]:.1f} patches a second"
            figures += [
                Figure(f"{name}: a step", seconds[name], "s", per_second),
                Figure(f"{name}: waiting", waiting, "%", f"of {options.steps} steps", at_most=_MOST_WAITING_PERCENT),
            ]
    loader_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [
        *figures,
        Figure("Published losses against pixel loss", seconds["Published losses"] / seconds["Pixel loss"], "×"),
        Figure("Peak memory of a loader", loader_mib, "MiB", f"{len(PairsFile(options.pairs))} pairs in the file"),
    ]


if __name__ == "__main__":
    command(
        measure,
        ("pairs", {"type": Path, "help": "a pairs file"}),
        ("--steps", {"type": int, "default": 200, "help": "steps counted (%(default)s)"}),
    )
