"""What a slide shows of its scanner against the truth: fields seen through randomised scanners.

``python benchmarks/scanner_estimates.py FOLDER`` takes sharp fields (JPEG, PNG or TIFF of 40×), scans six of them by
each of 40 scanners, and estimates the scanners from the scans.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from measure import Figure, command

from napari_pathsrgan.imaging.estimate import Background, estimate_background
from napari_pathsrgan.imaging.forward import scan_field
from napari_pathsrgan.imaging.jpeg import JpegFacts, read_jpeg
from napari_pathsrgan.imaging.jpeg_grid import find_jpeg_grid
from napari_pathsrgan.imaging.measured import Measured
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import ScannerSettings, random_settings
from napari_pathsrgan.imaging.sensor import develop
from napari_pathsrgan.imaging.sharpness import Optics, estimate_optics
from napari_pathsrgan.imaging.spectrum import cut_windows
from napari_pathsrgan.registration.fields import list_fields, read_image

_LOW = OBJECTIVES[4]
_FIELDS = 6
_EMPTY_UM = 620.0
_VISIBLE_QUALITY = 93
_CLEAR_AMOUNT = 0.5


@dataclass(frozen=True)
class Case:
    """A scanner and what was estimated of it."""

    settings: ScannerSettings
    optics: Optics | None
    background: Background | None
    noise: float
    grid_is_right: bool | None

    @property
    def plain(self) -> bool:
        """Whether neither defocus nor a colour mosaic lowers the aperture, both of which the estimate includes."""
        return not self.settings.mosaic and abs(self.settings.defocus_um) < 0.2 * _LOW.depth_of_field_um


def facts_of(settings: ScannerSettings) -> JpegFacts | None:
    """Read what a file of these settings says."""
    if not settings.jpeg_quality:
        return None
    _, data = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality])
    return read_jpeg(data.tobytes())


def halved(image: np.ndarray) -> np.ndarray:
    """Halve a field's resolution: far more than a 4× objective shows is left."""
    rows, cols = (size // 8 * 4 for size in image.shape[:2])
    return cv2.resize(image[: 2 * rows, : 2 * cols], (cols, rows), interpolation=cv2.INTER_AREA)


def estimate(settings: ScannerSettings, fields: list[np.ndarray], mpp: float, rng: np.random.Generator) -> Case:
    """Scan fields and an empty one, and estimate the scanner."""
    scans = [scan_field(field, mpp, _LOW, settings, rng) for field in fields]
    side = int(_EMPTY_UM / mpp)
    empty = scan_field(np.full((side, side, 3), 255, np.uint8), mpp, _LOW, settings, rng)[8:-8, 8:-8]
    jpeg = facts_of(settings)
    windows = [cut_windows([image[..., 1] / 255 for image in images]) for images in (scans, [empty])]
    optics = estimate_optics(windows[0], windows[1], _LOW.mpp, None if jpeg is None else jpeg.luminance)
    background = estimate_background([empty], [np.ones(empty.shape[:2], bool)], jpeg, settings.jpeg_phase_px)
    developed = develop(np.ones((200, 200, 3), np.float32), settings, rng)
    grid = find_jpeg_grid(scans)
    expected = (settings.jpeg_quality, settings.jpeg_phase_px) if settings.jpeg_quality else None
    right = (None if grid is None else (grid.quality, grid.phase_px)) == expected
    return Case(
        settings,
        optics if isinstance(optics, Optics) else None,
        background if isinstance(background, Background) else None,
        float(developed[..., 1].std()),
        right if settings.jpeg_quality <= _VISIBLE_QUALITY else None,
    )


def measure(options: argparse.Namespace) -> list[Figure]:
    """Estimate every scanner and compare."""
    rng = np.random.default_rng(options.seed)
    paths = list_fields(options.fields)
    cases = []
    for _ in range(options.scanners):
        settings = random_settings(rng, _LOW)
        chosen = rng.choice(len(paths), min(_FIELDS, len(paths)), replace=False)
        cases.append(estimate(settings, [halved(read_image(paths[at])) for at in chosen], 2 * options.mpp, rng))
    return [*_aperture(cases), *_sharpening(cases), *_noise(cases), *_white(cases), *_grid(cases)]


def _aperture(cases: list[Case]) -> list[Figure]:
    figures = []
    for name, chosen in (("all scanners", cases), ("in focus, no mosaic", [case for case in cases if case.plain])):
        pairs = [(case.optics.aperture, case.settings.na_scale * _LOW.na) for case in chosen if case.optics]
        errors = np.array([100 * abs(found.value / true - 1) for found, true in pairs])
        within = np.mean([abs(found.value - true) <= 2 * found.error for found, true in pairs])
        detail = (
            f"{np.percentile(errors, 90):.0f} % at most for 90 %; {100 * within:.0f} % within twice the stated error"
        )
        measured = f"{len(pairs)} of {len(chosen)} measured; {detail}"
        figures.append(Figure(f"Aperture, {name}, median error", float(np.median(errors)), "%", measured))
    return figures


def _sharpening(cases: list[Case]) -> list[Figure]:
    seen = [case for case in cases if case.optics]
    strong = [case for case in seen if case.settings.sharpen_amount >= _CLEAR_AMOUNT]
    none = [case for case in seen if case.settings.sharpen_amount == 0]
    found = [(case.optics.sharpening, case.settings) for case in strong if case.optics and case.optics.sharpening]
    false = sum(case.optics is not None and case.optics.sharpening is not None for case in none)
    amounts = np.array([one.amount.value - settings.sharpen_amount for one, settings in found])
    radii = np.array([one.radius_px.value - settings.sharpen_radius_px for one, settings in found])
    return [
        Figure("Unsharp masks of 0.5 and more, detected", 100 * len(found) / len(strong), "%", f"of {len(strong)}"),
        Figure("Scanners without one, detected all the same", 100 * false / len(none), "%", f"of {len(none)}"),
        Figure("Amount, r.m.s. error", float(np.sqrt((amounts**2).mean())), "", "of those detected"),
        Figure("Radius, r.m.s. error", float(np.sqrt((radii**2).mean())), "px", "of those detected"),
    ]


def _noise(cases: list[Case]) -> list[Figure]:
    figures = []
    for name, mosaic in (("no mosaic", False), ("colour mosaic", True)):
        noisy = [case for case in cases if case.noise > 0.3 and case.settings.mosaic == mosaic]
        found = [(case.background.noise, case.noise) for case in noisy if case.background]
        errors = [100 * abs(one.value / true - 1) for one, true in found if isinstance(one, Measured)]
        detail = f"{len(errors)} of {len(noisy)} measured, the others hidden by compression"
        figures.append(Figure(f"Noise, {name}, median error", float(np.median(errors)), "%", detail))
    return figures


def _white(cases: list[Case]) -> list[Figure]:
    pairs = [
        (level, 255 * true)
        for case in cases if case.background
        for level, true in zip(case.background.white, case.settings.camera.white, strict=True)
    ]  # fmt: skip
    errors = np.array([abs(level.value - true) for level, true in pairs])
    within = np.mean([abs(level.value - true) <= 2 * level.error for level, true in pairs])
    detail = f"{100 * np.mean(errors <= 1):.0f} % within 1 level; {100 * within:.0f} % within twice the stated error"
    return [Figure("White, median error", float(np.median(errors)), "levels", detail)]


def _grid(cases: list[Case]) -> list[Figure]:
    judged = [case.grid_is_right for case in cases if case.grid_is_right is not None]
    detail = f"of {len(judged)} up to quality {_VISIBLE_QUALITY} or lossless, without the file's header"
    return [Figure("JPEG quality and blocks exact", 100 * float(np.mean(judged)), "%", detail)]


if __name__ == "__main__":
    command(
        measure,
        ("fields", {"type": Path, "help": "folder of sharp fields"}),
        ("--mpp", {"type": float, "default": 0.27, "help": "pixel size of the fields, µm"}),
        ("--scanners", {"type": int, "default": 40, "help": "how many are drawn"}),
        ("--seed", {"type": int, "default": 0, "help": "of the scanners"}),
    )
