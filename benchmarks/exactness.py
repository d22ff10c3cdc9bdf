"""A tile computed alone against the same pixels of one big pass, for every preset.

``lite`` has the weights that ship. The others have random ones, their pictures brought to the contrast of the slide,
since a seam is measured in grey levels: a flat picture would have none.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
import torch
from measure import Figure, command
from sample_slides import SLIDES_OPTION, SMALL_PX, cells_origin_um, sample_slide

from napari_pathsrgan.inference.backends.torch import cpu_has_bf16
from napari_pathsrgan.inference.engine import Engine, default_threads
from napari_pathsrgan.inference.execution import Execution
from napari_pathsrgan.inference.winograd import can_compute
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import load_generator
from napari_pathsrgan.models.dense_stages import AuthorsStage
from napari_pathsrgan.models.initialisation import initialise
from napari_pathsrgan.models.zoo import find_model
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.tiles.grid import CORE, LR_MPP

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pathsrgan.inference.backend import Precision
    from napari_pathsrgan.models.generator import Generator
    from napari_pathsrgan.types import Pixels

HALF_WIDTH = {"width": 32}
_PICTURE_BLOCKS = 3
_LOCAL_SCALE = 0.4  # of Kaiming's initialisation; from 0.6 on every pixel of a random U-Net depends on every other
_SURROUND_PX = 64


def cells_picture(folder: Path, side_px: int) -> Pixels:
    """Read a square full of cells on the network's input grid, (side_px, side_px, 3) uint8."""
    slide = open_slide(sample_slide(folder, SMALL_PX))
    first = round(cells_origin_um(SMALL_PX) / LR_MPP) + 128
    picture: Pixels = slide.read_grid(LR_MPP, first, first, side_px, side_px)
    slide.close()
    return picture


def random_generator(preset: str, picture: Pixels, **options: int) -> tuple[Generator, ModelCard]:
    """Build a network with random weights, about as local as trained ones, whose pictures have a real one's contrast.

    Parameters
    ----------
    preset : str
        See `build_generator`.
    picture : (H, W, 3) uint8
        Real pixels of the input grid; a corner of 128 × 128 px is used.
    **options : int
        The preset's own.
    """
    torch.manual_seed(0)
    network = build_generator(preset, **options).eval()
    initialise(network, _LOCAL_SCALE)
    lr = torch.from_numpy(picture[:128, :128].copy()).permute(2, 0, 1)[None] / 255
    for stage in (network.stage1, network.stage2):
        seen: list[torch.Tensor] = []
        hook = stage.picture.register_forward_hook(lambda _module, _inputs, output, seen=seen: seen.append(output))
        with torch.no_grad():
            network(lr)
            hook.remove()
            wanted = torch.logit(lr.clamp(0.02, 0.98)) if isinstance(stage, AuthorsStage) else lr
            channels = (0, 2, 3)
            gain = wanted.std(dim=channels) / seen[0].std(dim=channels)
            stage.picture.weight.mul_(gain[:, None, None, None])
            stage.picture.bias.copy_(wanted.mean(dim=channels) - gain * seen[0].mean(dim=channels))
    return network, ModelCard(name=preset, preset=preset, preset_options=dict(options))


def apart(engine: Engine, picture: Pixels, halo: int) -> tuple[float, float, int]:
    """Compare tiles computed one by one with one big pass over the same pixels.

    Parameters
    ----------
    engine : Engine
    picture : (H, W, 3) uint8
        The big pass; tiles are those that keep `_SURROUND_PX` to its border.
    halo : int
        Of the tiles alone, input pixels, at most `_SURROUND_PX`.

    Returns
    -------
    differing, apart : float
        Of the 20× values, how many differ, and how many by more than one grey level, 0 to 1.
    largest : int
        Largest difference, grey levels.
    """
    _, whole = engine.apply(picture)
    differences = []
    for row in range(_SURROUND_PX, picture.shape[0] - _SURROUND_PX - CORE + 1, CORE):
        for col in range(_SURROUND_PX, picture.shape[1] - _SURROUND_PX - CORE + 1, CORE):
            window = picture[row - halo : row + CORE + halo, col - halo : col + CORE + halo]
            _, tile, _ = engine.run(np.ascontiguousarray(window), 2, halo=halo)
            assert tile is not None
            same = whole[4 * row : 4 * (row + CORE), 4 * col : 4 * (col + CORE)]
            differences.append(np.abs(tile.astype(np.int16) - same))
    stacked = np.stack(differences)
    return float((stacked > 0).mean()), float((stacked > 1).mean()), int(stacked.max())


def fast_precisions() -> tuple[Precision, ...]:
    """Those that this processor computes in; bf16 elsewhere takes minutes and tens of GB for a large network."""
    return ("fp32", "bf16") if cpu_has_bf16() else ("fp32",)


def picture_side_px() -> int:
    """Side of the big pass: three blocks and their surroundings."""
    return _PICTURE_BLOCKS * CORE + 2 * _SURROUND_PX


def seam_figure(name: str, engine: Engine, picture: Pixels, halo: int, goal: bool = True) -> Figure:
    """Measure one line of the table: share of values within one grey level."""
    differing, far, largest = apart(engine, picture, halo)
    detail = (
        f"{100 * differing:.3g} % differ at all, by {largest} at most; "
        f"halo {halo}, {engine.precision}, {_PICTURE_BLOCKS}² tiles"
    )
    return Figure(name, 100 * (1 - far), "%", detail, at_least=99.9 if goal else None)


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure every preset at the halo on its card."""
    torch.set_num_threads(default_threads())
    picture = cells_picture(options.slides, picture_side_px())
    networks = {
        "lite (shipped weights)": load_generator(find_model("lite")),
        "paper, half width (random)": random_generator("paper", picture, **HALF_WIDTH),
    }
    if not options.quick:
        networks |= {
            "paper (random)": random_generator("paper", picture),
            "authors (random)": random_generator("authors", picture),
        }
    executions = [Execution("torch", precision) for precision in fast_precisions()]
    return [
        seam_figure(
            f"Within 1 grey level of one big pass: {name}, {execution}",
            Engine(network, card, "cpu", execution.precision, execution.backend),
            picture,
            card.halo_lr_px,
        )
        for name, (network, card) in networks.items()
        for execution in [*executions, *([Execution("winograd", "fp32")] if can_compute(network) else [])]
    ]


if __name__ == "__main__":
    command(
        measure, SLIDES_OPTION, ("--quick", {"action": "store_true", "help": "leave out the two full-size networks"})
    )
