"""The network ``lite`` as the window runs it, against the same network in plain eager fp32, tile by tile.

In the backend and precision that the trial at a model's start chooses here: channels last, 2 × 2 blocks in one run with
the halo of its card. Plain: fp32, NCHW, each block alone with the same halo. Both begin and end with uint8 pictures and
are compared per pixel kept; so is each other way that this processor has. Then what that costs in grey levels, and how
the seams depend on the halo.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from exactness import HALF_WIDTH, cells_picture, fast_precisions, picture_side_px, random_generator, seam_figure
from measure import Figure, command, in_turns, paired_ratio
from sample_slides import SLIDES_OPTION

from napari_pathsrgan.inference.engine import Engine, default_threads, load_model
from napari_pathsrgan.inference.int8 import Deviation
from napari_pathsrgan.inference.openvino_network import precisions
from napari_pathsrgan.models.checkpoint import load_generator
from napari_pathsrgan.models.zoo import find_model
from napari_pathsrgan.tiles.grid import CORE

if TYPE_CHECKING:
    from napari_pathsrgan.models.generator import Generator
    from napari_pathsrgan.types import Pixels

_BLOCKS = 2


def run_plainly(network: Generator, window: Pixels, halo: int) -> Pixels:
    """Super-resolve a window as a script would: eager, float32, NCHW."""
    with torch.no_grad():
        lr = torch.from_numpy(window).permute(2, 0, 1)[None].contiguous().float() / 255
        _, hr = network(lr)
        pixels = (hr[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    border = 4 * halo
    kept: Pixels = pixels[border : pixels.shape[0] - border, border : pixels.shape[1] - border]
    return kept


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure speed, precision and halos."""
    torch.set_num_threads(default_threads())
    path = find_model("lite")
    plain, card = load_generator(path)
    halo = card.halo_lr_px
    picture = cells_picture(options.slides, picture_side_px())
    engine = load_model("lite", "cpu")
    ways = [("torch", precision) for precision in fast_precisions()]
    ways += [("winograd", "fp32"), *(("openvino", precision) for precision in precisions())]
    exact, *others = (Engine(*load_generator(path), "cpu", precision, backend) for backend, precision in ways)
    preview = Engine(*load_generator(path), "cpu", "int8")
    window = np.ascontiguousarray(picture[: _BLOCKS * CORE + 2 * halo, : _BLOCKS * CORE + 2 * halo])
    tiles = [
        np.ascontiguousarray(window[row : row + CORE + 2 * halo, col : col + CORE + 2 * halo])
        for row in range(0, _BLOCKS * CORE, CORE)
        for col in range(0, _BLOCKS * CORE, CORE)
    ]
    return [
        *_speed(engine, exact, plain, window, tiles, halo, options.runs),
        *(_other_way(other, exact, window, options.runs) for other in (*others, preview)),
        *(_precision(other, exact, picture) for other in others),
        _deviation(preview, exact, picture),
        *_halos(engine, picture, halo),
    ]


def _speed(
    engine: Engine,
    exact: Engine,
    plain: Generator,
    window: Pixels,
    tiles: list[Pixels],
    halo: int,
    runs: int,
) -> list[Figure]:
    cases = {
        "ours": lambda: engine.run(window, 2, halo=halo),
        "ours, fp32": lambda: exact.run(window, 2, halo=halo),
        "plain": lambda: [run_plainly(plain, tile, halo) for tile in tiles],
        "first tile": lambda: engine.run(tiles[0], 2, halo=halo),
    }
    seconds = in_turns(cases, runs)
    mpx = len(tiles) * (4 * CORE) ** 2 / 1e6
    speed = {name: mpx / statistics.median(times) for name, times in seconds.items()}
    alone = statistics.median(seconds["first tile"])
    detail = f"{speed['ours']:.2f} against {speed['plain']:.2f} Mpx/s of 20×, medians of {runs} turns"
    return [
        Figure(
            f"lite by {engine.execution}, 2 × 2 blocks, against plain fp32, tile by tile: pixels per second",
            paired_ratio(seconds["plain"], seconds["ours"]),
            "×",
            detail,
            at_least=2,
        ),
        Figure(
            "… of which channels last and shared halos, by torch in fp32",
            paired_ratio(seconds["plain"], seconds["ours, fp32"]),
            "×",
            f"{speed['ours, fp32']:.2f} Mpx/s",
        ),
        Figure(
            f"… of which {engine.execution}",
            paired_ratio(seconds["ours, fp32"], seconds["ours"]),
            "×",
        ),
        Figure(
            "One block alone against a quarter of 2 × 2 blocks: time",
            4 * paired_ratio(seconds["first tile"], seconds["ours"]),
            "×",
            f"{1e3 * alone:.0f} ms for the first tile",
        ),
    ]


def _other_way(other: Engine, exact: Engine, window: Pixels, runs: int) -> Figure:
    """How much faster another backend or precision is than torch's fp32."""
    cases = {str(one.execution): partial(one.run, window, 2, halo=one.halo) for one in (other, exact)}
    seconds = in_turns(cases, runs)
    return Figure(
        f"lite by {other.execution} against {exact.execution}, 2 × 2 blocks: pixels per second",
        paired_ratio(seconds[str(exact.execution)], seconds[str(other.execution)]),
        "×",
        f"medians of {runs} turns",
    )


def _precision(engine: Engine, exact: Engine, picture: Pixels) -> Figure:
    rough, true = (one.apply(picture)[1].astype(np.int16) for one in (engine, exact))
    differences = np.abs(rough - true)
    return Figure(
        f"lite by {engine.execution} within 1 grey level of {exact.execution}",
        100 * float((differences <= 1).mean()),
        "%",
        f"largest difference {differences.max()} grey levels, {100 * (differences > 0).mean():.1f} % not equal",
        at_least=99.9,
    )


def _deviation(preview: Engine, exact: Engine, picture: Pixels) -> Figure:
    deviation = Deviation()
    deviation.note(preview.apply(picture)[1], exact.apply(picture)[1])
    return Figure(
        f"lite by {preview.execution}, a preview, against {exact.execution}: root mean square",
        deviation.rms,
        "grey levels",
        f"largest difference {deviation.largest} grey levels",
    )


def _halos(engine: Engine, picture: Pixels, card_halo: int) -> list[Figure]:
    network, card = random_generator("paper", picture, **HALF_WIDTH)
    paper = Engine(network, card, "cpu", "fp32")
    return [
        *(
            seam_figure(
                f"lite, a tile alone within 1 grey level, halo {halo}", engine, picture, halo, halo == card_halo
            )
            for halo in (8, 16, card_halo, 32)
        ),
        seam_figure("paper, half width (random), a tile alone within 1 grey level, halo 32", paper, picture, 32),
    ]


if __name__ == "__main__":
    command(measure, SLIDES_OPTION, ("--runs", {"type": int, "default": 15, "help": "timed turns (%(default)s)"}))
