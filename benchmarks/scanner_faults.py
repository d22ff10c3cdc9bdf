"""What each fault of a 4× scanner costs ``lite-psnr`` of its gain over bicubic enlargement at 20×.

Pictures that no training saw are scanned by simulated scanners, drawn as for training; then by the same scanners
without one kind of fault at a time, and by scanners with that kind alone. Each time, how much nearer than bicubic
enlargement the 20× picture comes to the sharp one, dB of PSNR over RGB, mean over fields. The colours are the scanner's
own in both, as in training. The pictures are yours: ``python benchmarks/scanner_faults.py FOLDER``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from measure import Figure, command, say

from napari_pathsrgan.evaluation.metrics import psnr
from napari_pathsrgan.inference.engine import Engine, default_threads, load_model
from napari_pathsrgan.phantom.optics import density_of
from napari_pathsrgan.phantom.settings import CLEAN, OBJECTIVES, ScannerSettings, draw_settings
from napari_pathsrgan.registration.fields import (
    MPP_HR,
    MPP_LR,
    is_held_out,
    list_fields,
    read_picture,
    recolour,
    scan_to_input_grid,
)
from napari_pathsrgan.slides.resample import enlarge, resample_array

_FAULTS = {
    "focus and aperture": ("na_scale", "defocus_um"),
    "colour fringes": ("channel_defocus_um", "channel_shift_px"),
    "tint, contrast and stray light": ("colour", "flare"),
    "mosaic and noise": ("mosaic", "full_well", "read_noise"),
    "sharpening": ("sharpen_amount", "sharpen_radius_px"),
    "JPEG": ("jpeg_quality", "jpeg_subsampling"),
}
"""Settings of a scanner by what they do to a picture."""
_SIDE_PX = 448
"""Side of what is compared of a field, pixels of 20×: from its middle."""
_MARGIN_LR_PX = 32
"""What the network sees around it."""


@dataclass(frozen=True)
class _Subject:
    """A field to be scanned: its optical density, the sharp picture at 20×, and a seed."""

    density: npt.NDArray[np.float32]
    mpp: float
    sharp: npt.NDArray[np.uint8]
    seed: int


def measure(options: argparse.Namespace) -> list[Figure]:
    """Scan, enlarge and compare."""
    torch.set_num_threads(default_threads())
    engine = load_model("lite-psnr", "cpu", "fp32")
    chosen = [path for path in list_fields(options.folder) if is_held_out(path.name)]
    subjects = [_cut(path, options.mpp, number) for number, path in enumerate(chosen)]
    kinds: dict[str, Callable[[ScannerSettings], ScannerSettings]] = {"drawn": lambda drawn: drawn}
    kinds["clean"] = lambda _: CLEAN
    for fault in _FAULTS:
        kinds[f"without {fault}"] = lambda drawn, fault=fault: replace(drawn, **_settings(CLEAN, fault))
        kinds[f"{fault} alone"] = lambda drawn, fault=fault: replace(CLEAN, **_settings(drawn, fault))
    gains: dict[str, float] = {}
    for kind, make in kinds.items():
        say(f"{kind} …")
        found = [
            _gain(engine, subject, make(_draw(subject, turn)), turn)
            for subject in subjects
            for turn in range(1 if kind == "clean" else options.scanners)
        ]
        gains[kind] = statistics.mean(found)
    detail = f"{len(subjects)} fields × {options.scanners} scanners, 20×"
    figures = [
        Figure("lite-psnr over bicubic, all faults", gains["drawn"], "dB", detail),
        Figure("… a perfect scanner", gains["clean"], "dB", f"{len(subjects)} fields"),
    ]
    for fault in _FAULTS:
        without, alone = gains[f"without {fault}"], gains[f"{fault} alone"]
        costs = f"{gains['clean'] - alone:.2f} dB less than a perfect scanner with it alone ({alone:.2f} dB)"
        figures.append(Figure(f"… all but {fault}", without, "dB", costs))
    return figures


def _draw(subject: _Subject, turn: int) -> ScannerSettings:
    return draw_settings(np.random.default_rng((subject.seed, turn)), OBJECTIVES[4])


def _settings(scanner: ScannerSettings, fault: str) -> dict[str, object]:
    return {name: getattr(scanner, name) for name in _FAULTS[fault]}


def _cut(path: Path, mpp: float, seed: int) -> _Subject:
    picture = read_picture(path)
    side_px = round((_SIDE_PX // 4 + 2 * _MARGIN_LR_PX + 8) * MPP_LR / mpp)
    top, left = ((size - side_px) // 2 for size in picture.shape[:2])
    part = picture[top : top + side_px, left : left + side_px]
    return _Subject(density_of(part), mpp, resample_array(part, mpp, MPP_HR), seed)


def _gain(engine: Engine, subject: _Subject, scanner: ScannerSettings, turn: int) -> float:
    rng = np.random.default_rng((subject.seed, turn, 1))
    lr = scan_to_input_grid(subject.density, subject.mpp, scanner, rng)
    border = 4 * _MARGIN_LR_PX
    inside = np.s_[border : border + _SIDE_PX, border : border + _SIDE_PX]
    sharp = recolour(subject.sharp, scanner.colour)[inside]
    lr = lr[: lr.shape[0] // 8 * 8, : lr.shape[1] // 8 * 8]
    _, computed = engine.apply(lr)
    return psnr(computed[inside], sharp) - psnr(enlarge(lr, 4)[inside], sharp)


if __name__ == "__main__":
    command(
        measure,
        ("folder", {"type": Path, "help": "sharp cytology pictures; one in six, chosen by its name, is measured on"}),
        ("--mpp", {"type": float, "default": 0.27, "help": "their pixel size, µm (%(default)s)"}),
        ("--scanners", {"type": int, "default": 4, "help": "drawn for each picture (%(default)s)"}),
    )
