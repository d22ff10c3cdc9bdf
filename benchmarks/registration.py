"""Registration against skimage's template matching over the same windows, and what a slide's size costs.

Phantoms are made in a temporary folder first, which takes some minutes: two triplets, of 10,000 and 100,000 px at 20×,
with the same cells in the same windows.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from measure import Figure, command, in_turns, paired_ratio, say
from scipy import ndimage
from skimage.feature import match_template

from napari_pathsrgan.phantom.sparse import write_sparse_phantom
from napari_pathsrgan.registration.coarse import find_offset, read_overview
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.correlation import match, sample_plane
from napari_pathsrgan.registration.fine import register_slides
from napari_pathsrgan.slides.open_slide import open_slide


def _scene(seed: int, side: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    soft = sum(ndimage.gaussian_filter(rng.standard_normal((side, side)), sigma) * sigma for sigma in (3.0, 9.0))
    return np.asarray(soft, np.float32)


def _shrunk(plane: np.ndarray, factor: int) -> np.ndarray:
    rows, cols = plane.shape
    return cv2.resize(plane, (cols // factor, rows // factor), interpolation=cv2.INTER_AREA)


def fine_step(runs: int) -> list[Figure]:
    """Time one patch of 256 px within ±12 px, and compare the errors of both ways over ten patches."""
    scene = _scene(0, 420)
    rng = np.random.default_rng(1)
    ours, theirs, cases = [], [], []
    for _ in range(10):
        at = rng.uniform(60, 80, 2)
        patch, window = sample_plane(scene, 1.0, (at[0], at[1]), (256, 256)), scene[58:338, 58:338]
        cases.append((patch, window))
        peak = match(patch, window)
        ours.append(np.abs(np.array([peak.row, peak.col]) + 58 - at))
        surface = match_template(window, patch)
        theirs.append(np.abs(np.array(np.unravel_index(surface.argmax(), surface.shape)) + 58 - at))

    def two_looks() -> None:
        for patch, window in cases:
            small, few = _shrunk(patch, 2), _shrunk(window, 2)
            wide = match(small, few)
            start = (2 * wide.row - 2, 2 * wide.col - 2)
            match(patch, sample_plane(window, 1.0, start, (260, 260)))

    def peer() -> None:
        for patch, window in cases:
            match_template(window, patch)

    seconds = in_turns({"ours": two_looks, "skimage": peer}, runs)
    detail = f"mean error {np.mean(ours):.3f} px, skimage {np.mean(theirs):.3f} px"
    return [Figure("Fine step, skimage over ours", paired_ratio(seconds["skimage"], seconds["ours"]), "×", detail,
                   at_least=4)]  # fmt: skip


def coarse_step(runs: int) -> list[Figure]:
    """Time one patch of 300 µm within ±150 µm: at 4.688 and then 1.465 µm/px, against skimage at 1.172 µm/px."""
    scene = _scene(2, 560)  # 656 µm at 1.172
    patch, window = scene[150:406, 140:396], scene[:512, :512]

    def ours() -> None:
        small, few = _shrunk(patch, 4), _shrunk(window, 4)
        wide = match(small, few)
        row, col = round(4 * wide.row), round(4 * wide.col)
        match(patch[64:192, 64:192], window[row + 48 : row + 208, col + 48 : col + 208])

    seconds = in_turns({"ours": ours, "skimage": lambda: match_template(window, patch)}, runs)
    return [Figure("Coarse step, skimage over ours", paired_ratio(seconds["skimage"], seconds["ours"]), "×",
                   "one patch of 300 µm within ±150 µm", at_least=10)]  # fmt: skip


def slide_size(folder: Path, patches: int) -> list[Figure]:
    """Register equally many patches of a small and a huge slide with the same cells."""
    cases = {}
    for side in (10_000, 100_000):
        scans = []
        for power, share in ((4, 0.2), (10, 0.5), (20, 1.0)):
            # 512 px at 4× are whole tiles at all three magnifications.
            windows = [tuple(int(part * power / 4) for part in (512, 512, 512, 512))]
            path = folder / f"{side}-{power}x.tiff"
            say(f"Making {path.name}")
            write_sparse_phantom(path, int(side * share), 1, windows, power)  # type: ignore[arg-type]
            scans.append(open_slide(path))
        cases[side] = scans
    config = RegistrationConfig(max_patches=patches, stride_px=100)
    counts = {}

    def run(side: int) -> None:
        counts[side] = register_slides(*cases[side], config).tried

    seconds = in_turns({"huge": lambda: run(100_000), "small": lambda: run(10_000)}, 3)
    coarse = in_turns({"huge": lambda: find_offset(*cases[100_000][:2], read_overview(cases[100_000][0]), config)}, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    detail = f"{counts[100_000]} and {counts[10_000]} patches; {coarse['huge'][0]:.1f} s of it coarse"
    return [
        Figure("100,000 px over 10,000 px, equal patches", paired_ratio(seconds["huge"], seconds["small"]), "×", detail,
               at_most=1.3),
        Figure("Peak memory, making the slides included", peak, "MiB", "", at_most=2048),
    ]  # fmt: skip


def measure(options: argparse.Namespace) -> list[Figure]:
    """Time the steps alone, then whole registrations."""
    figures = coarse_step(options.runs) + fine_step(options.runs)
    if options.quick:
        return figures
    with tempfile.TemporaryDirectory() as folder:
        return figures + slide_size(Path(folder), options.patches)


if __name__ == "__main__":
    command(
        measure,
        ("--runs", {"type": int, "default": 15, "help": "timed runs of each step"}),
        ("--patches", {"type": int, "default": 200, "help": "patches registered on each slide"}),
        ("--quick", {"action": "store_true", "help": "leave out the two slides, which take minutes to make"}),
    )
