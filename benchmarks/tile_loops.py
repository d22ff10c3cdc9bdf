"""One way to super-resolve a whole slide, in a process of its own: ``python tile_loops.py WAY SLIDE OUT [--region …]``.

Ours, and what one would take instead with the same network. The others are written here from what their documentation
says they do, with their defaults; MONAI is called itself where it is installed (``pip install monai``). Each reads the
slide through our reader and writes the 20× picture as Zarr in chunks of 512 px. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import torch
import zarr

from napari_pathsrgan.inference.allocator import keep_memory
from napari_pathsrgan.inference.engine import Engine, default_threads, load_model
from napari_pathsrgan.inference.network_parts import Pictures
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.models.blocks import BicubicEnlargement
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.resample import enlarge

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide

TILE_PX = 256
"""Side of the others' tiles, input pixels: what their examples use for networks of this kind."""
_SCALE = 4
_ENLARGE = BicubicEnlargement(_SCALE)


@dataclass
class Counted:
    """A network that counts what it computes.

    Attributes
    ----------
    engine : Engine
    computed_px : int
        20× pixels so far.
    """

    engine: Engine
    computed_px: int = 0

    def __call__(self, lr: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) 0 to 1 → (N, 3, 4H, 4W), as the network of the engine gives it."""
        self.computed_px += lr.shape[0] * lr.shape[2] * lr.shape[3] * _SCALE**2
        with torch.no_grad():  # MONAI changes the result in place, which inference mode forbids
            network = self.engine._network.whole
            _, hr = network.stages(lr, 2)
            assert hr is not None
            assert network.bicubic_skip
            return _ENLARGE(lr).add_(hr)


def whole_input(slide: Slide, engine: Engine) -> torch.Tensor:
    """Read the whole slide as these loops want it: (1, 3, H, W) float32 in memory."""
    mpp = engine.card.mpp_in
    pixels = slide.read_grid(mpp, 0, 0, *slide.grid_shape(mpp))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def write(out: Path, hr: torch.Tensor) -> None:
    """Write a whole picture, (1, 3, H, W) 0 to 1, as Zarr."""
    pixels = (hr[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    array = zarr.create_array(out, shape=pixels.shape, chunks=(3, 512, 512), dtype=np.uint8)
    array[:] = pixels


def monai(slide: Slide, network: Counted, out: Path) -> None:
    """MONAI's sliding_window_inference with its defaults: overlap a quarter, uniform weights."""
    from monai.inferers import sliding_window_inference

    lr = whole_input(slide, network.engine)
    write(out, sliding_window_inference(lr, (TILE_PX, TILE_PX), 4, network))


def real_esrgan_style(slide: Slide, network: Counted, out: Path) -> None:
    """Tile by tile with a pad of 10 px that is cut off, into one picture in memory."""
    lr, pad = whole_input(slide, network.engine), 10
    height, width = lr.shape[2:]
    whole = torch.zeros(1, 3, height * _SCALE, width * _SCALE)
    for row in range(0, height, TILE_PX):
        for col in range(0, width, TILE_PX):
            bottom, right = min(row + TILE_PX, height), min(col + TILE_PX, width)
            top, left = max(row - pad, 0), max(col - pad, 0)
            part = network(lr[:, :, top : min(bottom + pad, height), left : min(right + pad, width)])
            inside = part[:, :, (row - top) * _SCALE :, (col - left) * _SCALE :]
            inside = inside[:, :, : (bottom - row) * _SCALE, : (right - col) * _SCALE]
            whole[:, :, row * _SCALE : bottom * _SCALE, col * _SCALE : right * _SCALE] = inside
    write(out, whole)


def tiatoolbox_style(slide: Slide, network: Counted, out: Path) -> None:
    """Overlapping patches added up and divided by how many there were, canvas and counts in memory."""
    lr, stride = whole_input(slide, network.engine), TILE_PX * 3 // 4
    height, width = lr.shape[2:]
    canvas, count = (torch.zeros(1, n, height * _SCALE, width * _SCALE) for n in (3, 1))
    for row in range(0, max(height - TILE_PX, 0) + stride, stride):
        for col in range(0, max(width - TILE_PX, 0) + stride, stride):
            top, left = max(0, min(row, height - TILE_PX)), max(0, min(col, width - TILE_PX))
            part = network(lr[:, :, top : top + TILE_PX, left : left + TILE_PX])
            rows = slice(top * _SCALE, top * _SCALE + part.shape[2])
            cols = slice(left * _SCALE, left * _SCALE + part.shape[3])
            canvas[:, :, rows, cols] += part
            count[:, :, rows, cols] += 1
    write(out, canvas.div_(count))


def dask_overlap(slide: Slide, network: Counted, out: Path) -> None:
    """Dask chunks with overlap, the network mapped over them, stored as they come."""
    mpp, depth = network.engine.card.mpp_in, 16

    def compute(block: np.ndarray) -> np.ndarray:
        lr = torch.from_numpy(np.ascontiguousarray(block)).permute(2, 0, 1)[None].float() / 255
        hr = (network(lr)[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        border = depth * _SCALE
        return hr[:, border:-border, border:-border].transpose(1, 2, 0)

    class Grid:
        shape, dtype, ndim = (*slide.grid_shape(mpp), 3), np.dtype(np.uint8), 3

        def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
            (top, bottom, _), (left, right, _) = (
                part.indices(size) for part, size in zip(index[:2], self.shape, strict=False)
            )
            return slide.read_grid(mpp, top, left, bottom - top, right - left)

    lr = da.from_array(Grid(), chunks=(TILE_PX, TILE_PX, 3), asarray=False)
    padded = da.overlap.overlap(lr, {0: depth, 1: depth, 2: 0}, {0: "reflect", 1: "reflect", 2: "none"})
    chunks = (*(tuple(_SCALE * (size - 2 * depth) for size in sizes) for sizes in padded.chunks[:2]), (3,))
    hr = da.map_blocks(compute, padded, chunks=chunks, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    hr = hr.transpose(2, 0, 1)
    array = zarr.create_array(out, shape=hr.shape, chunks=(3, 512, 512), dtype=np.uint8)
    with dask.config.set(scheduler="threads", num_workers=2):
        da.store(hr.rechunk((3, 1024, 1024)), array, lock=False)


class Enlarging:
    """A runner without a network: what reading and writing alone cost."""

    def __init__(self, engine: Engine) -> None:
        self.card, self.product, self.halo = engine.card, engine.product, engine.halo
        self.execution, self.at_once = engine.execution, engine.at_once

    def run(self, window: np.ndarray, stage: int, background: object = None, halo: int = 0) -> Pictures:
        """Enlarge by the bicubic kernel, whatever is asked."""
        mr, hr = enlarge(window, 2), enlarge(window, 4)
        mr, hr = mr[2 * halo : -2 * halo, 2 * halo : -2 * halo], hr[4 * halo : -4 * halo, 4 * halo : -4 * halo]
        return Pictures(mr, hr, [])


def ours(slide: Slide, runner: Any, out: Path) -> dict[str, Any]:
    """Ours, background left to the bicubic kernel."""
    done = write_whole_slide(super_resolve(slide, runner), out)
    return {"computed_px": done.computed_px, "kept_px": done.kept_px}


WAYS: dict[str, tuple[str, Callable[..., Any]]] = {
    "ours": ("auto", ours),
    "ours, torch fp32": ("fp32", ours),
    "ours, int8 preview": ("int8", ours),
    "no network": ("fp32", ours),
    "MONAI": ("fp32", monai),
    "Real-ESRGAN style": ("fp32", real_esrgan_style),
    "tiatoolbox style": ("fp32", tiatoolbox_style),
    "dask map_overlap": ("fp32", dask_overlap),
}


def peak_mib() -> float:
    """Most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, getrusage begins with what the process that started this one held
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Do it one way and tell what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("slide", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(default_threads())
    keep_memory()  # for all of them: it is no merit of a loop's
    precision, way = WAYS[options.way]
    engine = load_model("lite", "cpu", precision)
    engine.apply(np.zeros((64, 64, 3), np.uint8))
    with open_slide(options.slide) as slide:
        rows, cols = (_SCALE * size for size in slide.grid_shape(engine.card.mpp_in))
        began = time.perf_counter()
        if way is ours:
            told = ours(slide, Enlarging(engine) if options.way == "no network" else engine, options.out)
        else:
            network = Counted(engine)
            way(slide, network, options.out)
            told = {"computed_px": network.computed_px, "kept_px": rows * cols}
        seconds = time.perf_counter() - began
    execution = asdict(engine.execution)
    record = {"seconds": seconds, "peak_mib": peak_mib(), "pixels": rows * cols, **execution, **told}
    print(json.dumps(record))


if __name__ == "__main__":
    main()
