"""Draw how a training's losses fell: ``python docs/training_curve.py RUN`` writes docs/images/training-curve.jpg."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

OUT = Path(__file__).parent / "images" / "training-curve.jpg"
_MEAN_OF = 5
"""Rows of metrics.jsonl, of 50 steps each, that make one point."""


def main() -> None:
    """Read, average, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a training")
    lines = (parser.parse_args().run / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if "pixel_20x" in row]
    groups = [rows[first : first + _MEAN_OF] for first in range(0, len(rows) - _MEAN_OF + 1, _MEAN_OF)]
    steps = [group[-1]["step"] for group in groups]
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for term, name in (("pixel_20x", "20×"), ("pixel_10x", "10×")):
        if term in rows[0]:
            axes.plot(steps, [sum(row[term] for row in group) / len(group) for group in groups], marker=".", label=name)
    axes.set(xlabel="steps", ylabel=f"pixel loss, mean of {50 * _MEAN_OF} steps", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(OUT, dpi=130)


if __name__ == "__main__":
    main()
