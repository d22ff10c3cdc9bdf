"""A whole slide on dask workers of this machine: what the scheduler costs, and what a second worker gains.

One process without dask, one worker, and two, in turns on the same slide; every worker has the same number of threads.
On few cores two workers can't be faster, so there the scheduler's own cost is what counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from measure import Figure, command, paired_ratio, say
from sample_slides import SLIDES_OPTION, mostly_empty_slide

from napari_pathsrgan.inference.cluster import Cluster, connected
from napari_pathsrgan.inference.engine import load_model
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.slides.open_slide import open_slide

_4X_PER_20X = 5
_CORES_FOR_TWO = 4


def measure(options: argparse.Namespace) -> list[Figure]:
    """Time the three in turns."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    threads = max(1, cores // 2)
    torch.set_num_threads(threads)
    path, _ = mostly_empty_slide(options.slides, options.size // _4X_PER_20X)
    seconds: dict[int, list[float]] = {0: [], 1: [], 2: []}
    with open_slide(path) as slide, tempfile.TemporaryDirectory() as scratch:
        view = super_resolve(slide, load_model("lite", "cpu", "fp32"))
        for turn in range(options.runs):
            say(f"alone, turn {turn + 1} …")
            began = time.perf_counter()
            write_whole_slide(view, Path(scratch) / f"alone-{turn}.ome.zarr")
            seconds[0].append(time.perf_counter() - began)
            for workers in (1, 2):
                say(f"{workers} workers, turn {turn + 1} …")
                with connected(None, workers) as (client, _):
                    executor = Cluster(client, "lite", "cpu", "fp32", threads=threads)
                    out = Path(scratch) / f"{workers}-{turn}.ome.zarr"
                    # Untimed: every worker loads the model, as on a cluster where it runs for hours.
                    height, width = slide.extent_um
                    write_whole_slide(view, out, (height / 2, 0, 700, width), executor=executor)
                    out = out.with_name(f"timed-{out.name}")
                    executor = Cluster(client, "lite", "cpu", "fp32", threads=threads)
                    began = time.perf_counter()
                    write_whole_slide(view, out, executor=executor)
                    seconds[workers].append(time.perf_counter() - began)
    median = {number: statistics.median(times) for number, times in seconds.items()}
    enough = cores >= _CORES_FOR_TWO
    return [
        Figure(
            "One worker against no dask: time",
            paired_ratio(seconds[1], seconds[0]),
            "×",
            f"{median[1]:.1f} against {median[0]:.1f} s, {options.runs} turns, {threads} threads",
            at_most=1.05,
        ),
        Figure(
            "Two workers against one: pixels per second",
            paired_ratio(seconds[1], seconds[2]),
            "×",
            f"{median[1]:.1f} against {median[2]:.1f} s, {cores} cores",
            at_least=1.7 if enough else None,
        ),
    ]


if __name__ == "__main__":
    command(
        measure,
        SLIDES_OPTION,
        ("--size", {"type": int, "default": 12_000, "help": "side of the slide, 20× px (%(default)s)"}),
        ("--runs", {"type": int, "default": 3, "help": "turns (%(default)s)"}),
    )
