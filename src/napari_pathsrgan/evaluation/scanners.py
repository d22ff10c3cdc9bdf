"""Models against bicubic enlargement through many simulated scanners, one fault at a time and all together.

A sharp field is scanned at 4×, at 10× by the nominal objective and taken as it is at 20×, all by one camera. Each model
computes from the 4× scan; its gain is the PSNR of what it computed minus that of the bicubic enlargement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.evaluation.metrics import PatchModel, psnr
from napari_pathsrgan.imaging.forward import scan_field
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import CLEAN, ScannerSettings, random_settings, without_faults
from napari_pathsrgan.imaging.tone import CameraResponse
from napari_pathsrgan.registration.fields import MPP_HR, MPP_LR, scan_to_input_grid
from napari_pathsrgan.slides.resample import enlarge, resample_array

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pathsrgan.types import Pixels

RANDOMISED = "randomised"
SIDE_PX = 448
"""Side of what is compared of a field, pixels of 20×: from its middle."""
_MARGIN_LR_PX = 32
_WEAK_NOISE = replace(CLEAN, full_well=20_000.0, read_noise=0.3)


def _toned(gamma: float, white: tuple[float, float, float] = (0.96, 0.96, 0.96)) -> ScannerSettings:
    return replace(CLEAN, camera=CameraResponse(gamma=gamma, white=white))


def _compressed(settings: ScannerSettings, quality: int) -> ScannerSettings:
    return replace(settings, jpeg_quality=quality, jpeg_subsampling="420", jpeg_phase_px=(3, 5))


FAULTS: dict[str, ScannerSettings] = {
    "clean, γ 2.2": CLEAN,
    "weak noise, γ 2.2": _WEAK_NOISE,
    "γ 1.0": _toned(1.0),
    "γ 1.8": _toned(1.8),
    "optical density": _toned(0.0),
    "aperture 0.07": replace(_WEAK_NOISE, na_scale=0.7),
    "aperture 0.055": replace(_WEAK_NOISE, na_scale=0.55),
    "half a depth of field out of focus": replace(CLEAN, defocus_um=OBJECTIVES[4].depth_of_field_um / 2),
    **{f"JPEG {quality}": _compressed(CLEAN, quality) for quality in (90, 70, 60, 50, 30)},
    "strong noise": replace(CLEAN, mosaic=True, full_well=3_000.0, read_noise=0.8),
    "sharpened, JPEG 85": _compressed(replace(_WEAK_NOISE, sharpen_amount=1.0), 85),
    "tint": _toned(2.2, (0.96, 0.88, 0.84)),
    "colour fringes": replace(CLEAN, channel_shift_px=((0.6, -0.5), (0.0, 0.0), (-0.7, 0.4))),
}
"""Scanners with one fault each, by name."""


@dataclass(frozen=True)
class ScannerScore:
    """One field through one scanner, as one model computed it.

    Attributes
    ----------
    field, scanner, model : str
    gain_10x, gain_20x : float
        dB of PSNR over bicubic enlargement.
    psnr_20x : float
        dB.
    perceptual : float, optional
        Perceptual distance at 20× over that of the bicubic enlargement; None where none is measured.
    """

    field: str
    scanner: str
    model: str
    gain_10x: float
    gain_20x: float
    psnr_20x: float
    perceptual: float | None = None


@dataclass(frozen=True)
class ScannerSummary:
    """Means over fields.

    Attributes
    ----------
    scanner, model : str
    fields : int
        Fields × scanners.
    gain_10x, gain_20x : float
        Mean dB over bicubic enlargement.
    worst_20x : float
        The least gain of a single field.
    perceptual : float, optional
        Mean ratio.
    """

    scanner: str
    model: str
    fields: int
    gain_10x: float
    gain_20x: float
    worst_20x: float
    perceptual: float | None


def randomised_scanners(count: int, seed: int = 0) -> dict[str, ScannerSettings]:
    """Draw scanners as for training, by names that say they were."""
    rng = np.random.default_rng((seed, 20))
    return {f"{RANDOMISED} {number}": random_settings(rng, OBJECTIVES[4]) for number in range(count)}


def score_fields(
    models: Mapping[str, PatchModel],
    fields: Sequence[Path],
    mpp: float,
    scanners: Mapping[str, ScannerSettings],
    read: Callable[[Path], Pixels],
    distance: Callable[[Pixels, Pixels], float] | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> list[ScannerScore]:
    """Scan fields by scanners and measure models on them.

    Parameters
    ----------
    models : mapping of str to PatchModel
    fields : sequence of Path
        Sharp images.
    mpp : float
        Their pixel size, µm.
    scanners : mapping of str to ScannerSettings
    read : callable
        Reads an image as (H, W, 3) uint8.
    distance : callable, optional
        Perceptual distance of two images.
    progress : callable (done, total), optional

    Returns
    -------
    list of ScannerScore
    """
    scores: list[ScannerScore] = []
    for done, path in enumerate(fields, 1):
        image = _middle(read(path), mpp)
        for number, (name, settings) in enumerate(scanners.items()):
            triplet = _triplet(image, mpp, settings, np.random.default_rng((done, number)))
            scores += _scored(models, path.stem, name, triplet, distance)
        if progress:
            progress(done, len(fields))
    return scores


def summarise(scores: Sequence[ScannerScore]) -> list[ScannerSummary]:
    """Take means by scanner and model; randomised scanners count as one kind."""
    groups: dict[tuple[str, str], list[ScannerScore]] = {}
    for score in scores:
        kind = RANDOMISED if score.scanner.startswith(RANDOMISED) else score.scanner
        groups.setdefault((kind, score.model), []).append(score)
    return [_summary(kind, model, own) for (kind, model), own in groups.items()]


def _summary(kind: str, model: str, scores: Sequence[ScannerScore]) -> ScannerSummary:
    ratios = [score.perceptual for score in scores if score.perceptual is not None]
    gains = [score.gain_20x for score in scores]
    return ScannerSummary(
        kind, model, len(scores), float(np.mean([score.gain_10x for score in scores])), float(np.mean(gains)),
        min(gains), float(np.mean(ratios)) if ratios else None,
    )  # fmt: skip


def _middle(image: Pixels, mpp: float) -> Pixels:
    """Cut what is compared and its margin out of a field's middle; a small field is taken whole."""
    side = round((SIDE_PX // 4 + 2 * _MARGIN_LR_PX + 8) * MPP_LR / mpp)
    top, left = (max(size - side, 0) // 2 for size in image.shape[:2])
    return image[top : top + side, left : left + side]


def _triplet(
    image: Pixels, mpp: float, settings: ScannerSettings, rng: np.random.Generator
) -> tuple[Pixels, Pixels, Pixels]:
    """Give 4× on the input grid, 10× by the nominal objective, and 20×: whole pixels of 8 × 8 input pixels."""
    lr = scan_to_input_grid(image, mpp, settings, rng)
    mr = scan_field(image, mpp, OBJECTIVES[10], without_faults(settings), rng)
    hr = settings.camera.recolour(resample_array(image, mpp, MPP_HR))
    rows, cols = (
        min(low, middle // 2, high // 4) // 8 * 8
        for low, middle, high in zip(lr.shape[:2], mr.shape[:2], hr.shape[:2], strict=True)
    )
    return lr[:rows, :cols], mr[: 2 * rows, : 2 * cols], hr[: 4 * rows, : 4 * cols]


def _scored(
    models: Mapping[str, PatchModel],
    field: str,
    scanner: str,
    triplet: tuple[Pixels, Pixels, Pixels],
    distance: Callable[[Pixels, Pixels], float] | None,
) -> Iterator[ScannerScore]:
    lr, mr, hr = triplet
    core = slice(_MARGIN_LR_PX, -_MARGIN_LR_PX)
    mr_core, hr_core = (slice(core.start * ratio, core.stop * ratio) for ratio in (2, 4))
    middle, sharp = mr[mr_core, mr_core], hr[hr_core, hr_core]
    soft_10x, soft_20x = enlarge(lr, 2)[mr_core, mr_core], enlarge(lr, 4)[hr_core, hr_core]
    least = (psnr(soft_10x, middle), psnr(soft_20x, sharp))
    unlike = distance(soft_20x, sharp) if distance else 0.0
    for name, model in models.items():
        computed_10x, computed_20x = model.apply(lr)
        computed = computed_20x[hr_core, hr_core]
        reached = psnr(computed, sharp)
        ratio = distance(computed, sharp) / unlike if distance and unlike > 0 else None
        gain_10x = psnr(computed_10x[mr_core, mr_core], middle) - least[0]
        yield ScannerScore(field, scanner, name, gain_10x, reached - least[1], reached, ratio)
