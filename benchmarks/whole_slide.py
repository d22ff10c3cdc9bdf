"""A whole slide, ours against what one would take instead, in one run: speed, memory, seams, pixels computed twice.

The slides are synthetic, some 70 % of their area background. Every way gets the same network (``lite``), the same slide
and a process of its own. Then ours alone on a larger slide and on one of half its side: time should grow with the
cells, memory not at all. Last, how near the network comes to the processor's matrix peak, and what a slide of 15 × 15
mm would take. The size that is meant to be published is ``--size 40000``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from measure import Figure, command, say
from sample_slides import SLIDES_OPTION, mostly_empty_slide
from tile_loops import WAYS
from torch.utils.flop_counter import FlopCounterMode

from napari_pathsrgan.inference.engine import default_threads, load_model
from napari_pathsrgan.slides.foreground import estimate_slide_background
from napari_pathsrgan.slides.open_slide import open_slide

_4X_PER_20X = 5
_SIDE_UM, _MPP = 15_000.0, 0.293
_CELLS_15_MM = 0.3
_SEAM_LR_PX, _SURROUND_LR_PX = 640, 64
_MATRIX, _MATRIX_RUNS = 3072, 5
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
PEERS = ("MONAI", "Real-ESRGAN style", "tiatoolbox style", "dask map_overlap")


def run(way: str, slide: Path, out: Path) -> dict[str, Any]:
    """Do a slide one way in a process of its own; see `tile_loops.main`."""
    say(f"{way}, {slide.name} …")
    script = Path(__file__).with_name("tile_loops.py")
    answer = subprocess.run(
        [sys.executable, str(script), way, str(slide), str(out)], check=True, stdout=subprocess.PIPE, text=True
    )
    record: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return record


def seam_error(slide_path: Path, outs: dict[str, tuple[Path, dict[str, Any]]]) -> dict[str, tuple[float, int]]:
    """Compare 20× pictures with one big pass in the same backend and precision over cells in the middle of the slide.

    Returns
    -------
    dict of way to (share, largest)
        Share of the values more than one grey level apart, and the largest difference.
    """
    found = {}
    with open_slide(slide_path) as slide:
        middle = [size // 2 // 8 * 8 - _SEAM_LR_PX // 2 for size in slide.grid_shape(1.172)]
        side = _SEAM_LR_PX + 2 * _SURROUND_LR_PX
        window = slide.read_grid(1.172, *(at - _SURROUND_LR_PX for at in middle), side, side)
        background = estimate_slide_background(slide, 1.172)
        for way, (out, record) in outs.items():
            engine = load_model("lite", "cpu", record["precision"], record["backend"])
            _, whole, _ = engine.run(window, 2, background if way.startswith("ours") else None, _SURROUND_LR_PX)
            place = tuple(slice(4 * at, 4 * (at + _SEAM_LR_PX)) for at in middle)
            array = zarr.open(out / "0" if way.startswith("ours") else out, mode="r")
            apart = np.abs(np.moveaxis(np.asarray(array[:, place[0], place[1]]), 0, -1).astype(int) - whole)
            found[way] = (float((apart > 1).mean()), int(apart.max()))
    return found


def against_peers(folder: Path, side_px: int, runs: int) -> list[Figure]:
    """All ways on one slide, in turns."""
    slide, share = mostly_empty_slide(folder, side_px // _4X_PER_20X)
    ways = ["ours", "ours, torch fp32", "ours, int8 preview", *PEERS]
    if importlib.util.find_spec("monai") is None:
        say("MONAI is left out: it is not installed (pip install monai).")
        ways.remove("MONAI")
    records: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as scratch:
        outs: dict[str, tuple[Path, dict[str, Any]]] = {}
        for turn in range(runs):
            for way in ways:
                out = Path(scratch) / f"{way}-{turn}.zarr"
                records[way].append(run(way, slide, out))
                outs[way] = (out, records[way][-1])
        seams = seam_error(slide, outs)
    speed = {
        way: statistics.median(record["pixels"] / 1e6 / record["seconds"] for record in records[way]) for way in ways
    }
    best = max((way for way in ways if way in PEERS), key=speed.__getitem__)
    figures = [
        Figure(
            f"Ours against the fastest of the others ({best}): pixels per second",
            speed["ours"] / speed[best],
            "×",
            f"{speed['ours']:.2f} against {speed[best]:.2f} Mpx/s of 20×, {100 * share:.0f} % cells, {runs} turns",
            at_least=3.0,
        ),
        Figure(
            "… both in fp32 by torch",
            speed["ours, torch fp32"] / speed[best],
            "×",
            f"{speed['ours, torch fp32']:.2f} Mpx/s",
        ),
        Figure(
            "… ours as an int8 preview, which is other pixels",
            speed["ours, int8 preview"] / speed[best],
            "×",
            f"{speed['ours, int8 preview']:.2f} Mpx/s",
        ),
    ]
    for way in ways:
        first = records[way][0]
        redundancy = first["computed_px"] / first["kept_px"]
        beyond, largest = seams[way]
        goal = 1.35 if way == "ours" else None
        peak = max(record["peak_mib"] for record in records[way])
        detail = f"{speed[way]:.2f} Mpx/s, peak memory {peak:.0f} MiB, {first['backend']} {first['precision']}"
        figures.append(Figure(f"{way}: pixels computed per pixel kept", redundancy, "×", detail, at_most=goal))
        figures.append(
            Figure(
                f"{way}: values more than 1 grey level from one big pass",
                100 * beyond,
                "%",
                f"largest difference {largest} grey levels",
                at_most=100 * max(seams[best][0], 1e-3) if way == "ours" else None,
            )
        )
    return figures


def growth(folder: Path, side_px: int) -> tuple[list[Figure], dict[str, Any]]:
    """Ours on a slide and on one of half its side."""
    records, cells = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for size in (side_px // 2, side_px):
            slide, _ = mostly_empty_slide(folder, size // _4X_PER_20X)
            records.append(run("ours", slide, Path(scratch) / f"{size}.ome.zarr"))
            cells.append(records[-1]["kept_px"] / 1e6)
    half, full = records
    per_cell = [record["seconds"] / area for record, area in zip(records, cells, strict=True)]
    name = f"{side_px:,} × {side_px:,} px"
    background = 1 - full["kept_px"] / full["pixels"]
    return [
        Figure(
            f"{name}: time", full["seconds"] / 60, "min", f"{background:.0%} background, {cells[1]:.0f} Mpx of cells"
        ),
        Figure(f"{name}: peak memory", full["peak_mib"], "MiB", "", at_most=3 * 1024),
        Figure(
            "Time per pixel with cells, against a slide of half the side",
            per_cell[1] / per_cell[0],
            "×",
            f"{per_cell[1]:.3f} against {per_cell[0]:.3f} s/Mpx",
            at_most=1.2,
        ),
        Figure(
            "Peak memory, against a slide of half the side",
            full["peak_mib"] / half["peak_mib"],
            "×",
            f"{full['peak_mib']:.0f} against {half['peak_mib']:.0f} MiB",
            at_most=1.1,
        ),
    ], full


def matrix_peak(dtype: torch.dtype) -> float:
    """FLOP/s of the largest thing a processor does well: multiplying two square matrices; the best of some runs."""
    one, other = (torch.rand(_MATRIX, _MATRIX).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(_MATRIX_RUNS + 1):
        began = time.perf_counter()
        torch.mm(one, other)
        best = min(best, time.perf_counter() - began)
    return 2 * _MATRIX**3 / best


def flop_per_px() -> float:
    """Operations of the network per 20× pixel."""
    side = 64
    network = load_model("lite", "cpu", "fp32", "torch")._network.whole
    # Not in inference mode, where convolutions are oneDNN's, which the counter does not know.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.stages(torch.zeros(1, 3, side, side), 2)
    return counter.get_total_flops() / (4 * side) ** 2


def roofline(record: dict[str, Any]) -> tuple[list[Figure], float]:
    """How near a window, and a whole run, come to the matrix peak; also the network's operations per second."""
    engine = load_model("lite", "cpu", record["precision"], record["backend"])
    peak, cost = matrix_peak(_DTYPES[record["precision"]]), flop_per_px()
    window = np.random.default_rng(0).integers(0, 255, (288, 288, 3), dtype=np.uint8)
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        engine.run(window, 2, halo=engine.halo)
        best = min(best, time.perf_counter() - began)
    network = cost * (4 * 288) ** 2 / best
    whole = cost * record["computed_px"] / record["seconds"]
    detail = f"{cost / 1e3:.1f} kFLOP per 20× pixel, {engine.execution}; peak {peak / 1e9:.0f} GFLOP/s"
    if record["backend"] == "winograd":
        detail += "; counted as plain convolutions, of which Winograd's take 16 multiplications in 36"
    return [
        Figure("A window against the matrix peak", 100 * network / peak, "%", f"{network / 1e9:.0f} GFLOP/s; {detail}"),
        Figure("A whole slide against the matrix peak", 100 * whole / peak, "%", f"{whole / 1e9:.0f} GFLOP/s"),
    ], cost


def extrapolation(record: dict[str, Any], idle: dict[str, Any], cost: float, gpu_tflops: float) -> list[Figure]:
    """What 15 × 15 mm would take, and how that is reckoned."""
    pixels = (_SIDE_UM / _MPP) ** 2
    cells = _CELLS_15_MM * pixels
    per_cell, per_px = record["seconds"] / record["kept_px"], idle["seconds"] / idle["pixels"]
    cpu = cells * per_cell
    computed = cells * record["computed_px"] / record["kept_px"]
    gpu = cost * computed / (gpu_tflops * 1e12)
    files = pixels * per_px
    size = f"{pixels / 1e6:.0f} Mpx, {100 * _CELLS_15_MM:.0f} % of it cells"
    return [
        Figure(
            "15 × 15 mm on this processor",
            cpu / 60,
            "min",
            f"{size} × {per_cell * 1e6:.3f} s per Mpx of cells, measured, background included",
        ),
        Figure(
            "15 × 15 mm on one GPU",
            max(gpu, files) / 60,
            "min",
            f"reckoned: the larger of {computed / 1e6:.0f} Mpx × {cost / 1e3:.1f} kFLOP at {gpu_tflops:g} TFLOP/s, "
            f"which is assumed, = {gpu:.0f} s, and reading and writing as measured here = {files:.0f} s",
        ),
        Figure(
            "15 × 15 mm on eight GPUs with a machine like this each",
            max(gpu, files) / 8 / 60,
            "min",
            "reckoned: an eighth, as jobs share nothing but the disk",
        ),
    ]


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure all of it."""
    torch.set_num_threads(default_threads())
    peers = against_peers(options.slides, options.peers_size, options.runs) if options.peers_size else []
    grown, record = growth(options.slides, options.size)
    with tempfile.TemporaryDirectory() as scratch:
        slide, _ = mostly_empty_slide(options.slides, options.size // 2 // _4X_PER_20X)
        idle = run("no network", slide, Path(scratch) / "idle.ome.zarr")
    roof, cost = roofline(record)
    return [*peers, *grown, *roof, *extrapolation(record, idle, cost, options.gpu_tflops)]


if __name__ == "__main__":
    assert set(PEERS) <= set(WAYS)
    command(
        measure,
        SLIDES_OPTION,
        ("--size", {"type": int, "default": 12_000, "help": "side of the slide done alone, 20× px (%(default)s)"}),
        (
            "--peers-size",
            {"type": int, "default": 8_000, "help": "side of the slide done all ways, 0 for none (%(default)s)"},
        ),
        ("--runs", {"type": int, "default": 2, "help": "turns over all ways (%(default)s)"}),
        (
            "--gpu-tflops",
            {"type": float, "default": 30.0, "help": "what a GPU is taken to reach, not its peak (%(default)s)"},
        ),
    )
