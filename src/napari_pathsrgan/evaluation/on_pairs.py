"""A model on the pairs of a pairs file, beside bicubic enlargement and the real pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import stats

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.evaluation.metrics import (
    PatchModel,
    consistency,
    psnr,
    psnr_shifted,
    spectrum_error,
    ssim,
    ssim_paper,
)
from napari_pathsrgan.slides.resample import enlarge

if TYPE_CHECKING:
    from napari_pathsrgan.registration.pairs import PairsFile
    from napari_pathsrgan.types import Pixels

MODEL, BICUBIC, REAL = "model", "bicubic", "real"
METRICS = ("psnr", "ssim", "ssim_paper", "psnr_shifted", "perceptual", "spectrum_error", "consistency")
"""In dB but for the two SSIM and `perceptual`; the smaller the better for `perceptual` and `spectrum_error`."""

CARD_METRICS = ("psnr", "ssim", "perceptual")
SCANNERS = {-1: "scanned", 0: "clean"}
"""What the 4× pixels are, by the table's column ``scanner``: really scanned, through a perfect simulated scanner, or
else "randomised", through a randomised one."""

_COMPARED: dict[str, Callable[[Pixels, Pixels], float] | None] = {
    "psnr": psnr,
    "ssim": ssim,
    "ssim_paper": ssim_paper,
    "psnr_shifted": psnr_shifted,
    "spectrum_error": spectrum_error,
}
_FEWEST_SLIDES = 2
"""A spread between fewer slides says nothing."""


@dataclass(frozen=True)
class PatchScore:
    """One patch, seen in one way at one magnification.

    Attributes
    ----------
    row : int
        Of the pairs file.
    slide : str
    scanner : str
        "scanned", "clean" or "randomised".
    view : str
        "10x" or "20x".
    method : str
        `MODEL`, `BICUBIC`, or `REAL`, which has a consistency alone.
    values : dict of str to float
        By name of `METRICS`; ``consistency`` at 20× only.
    """

    row: int
    slide: str
    scanner: str
    view: str
    method: str
    values: dict[str, float]


@dataclass(frozen=True)
class Summary:
    """Mean scores: over the patches of a slide, or over slides that count equally.

    Attributes
    ----------
    slide : str
        Empty for all slides.
    scanner : str
        Empty for all scanners.
    view, method : str
    patches : int
    means : dict of str to float
    intervals : dict of str to (float, float)
        95 % intervals of the means for other slides (t over slide means); empty for one slide.
    """

    slide: str
    scanner: str
    view: str
    method: str
    patches: int
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def choose_rows(pairs: PairsFile, split: str, most: int | None, seed: int = 0) -> npt.NDArray[np.intp]:
    """Choose what to evaluate on.

    Parameters
    ----------
    pairs : PairsFile
    split : str
        "test", "train" or "all".
    most : int, optional
        At most so many, drawn at random.
    seed : int

    Returns
    -------
    (N,) intp
        Rows in ascending order, N ≥ 1.

    Raises
    ------
    OptionError
        If there is none.
    """
    rows = np.arange(len(pairs)) if split == "all" else pairs.rows(split)
    if len(rows) == 0:
        raise OptionError(
            f"{pairs.path.name} holds no pairs for “{split}”.",
            "Choose another --split, or register slides with --split test.",
        )
    if most is not None and len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    return rows


def evaluate_pairs(
    model: PatchModel,
    pairs: PairsFile,
    rows: Sequence[int] | npt.NDArray[np.intp],
    progress: Callable[[float, float], None] | None = None,
    distance: Callable[[Pixels, Pixels], float] | None = None,
    wanted: Collection[str] = METRICS,
) -> list[PatchScore]:
    """Compare a model's and bicubic pictures with the real ones (Ma et al. 2020, § IV; METHOD § 11).

    Parameters
    ----------
    model : PatchModel
    pairs : PairsFile
    rows : (N,) of int
    progress : callable (done, total), optional
    distance : callable, optional
        Gives the perceptual distance of two (H, W, 3) uint8 pictures; left out without one.
    wanted : collection of str
        Which of `METRICS`.

    Returns
    -------
    list of PatchScore
        For each row model and bicubic at 10× and at 20×, and the real 20× picture's consistency if that is wanted.
    """
    table = pairs.table
    compared = {**_COMPARED, "perceptual": distance}
    measures = {name: compared[name] for name in METRICS if name in wanted and compared.get(name) is not None}
    scores: list[PatchScore] = []
    for done, row in enumerate(map(int, rows), 1):
        slide = str(table["slide"][row])
        scanner = SCANNERS.get(int(table["scanner"][row]), "randomised")
        lr, mr, hr = pairs[row]
        computed_mr, computed_hr = model.apply(lr)
        for view, method, picture, real in (
            ("10x", MODEL, computed_mr, mr),
            ("10x", BICUBIC, enlarge(lr, 2), mr),
            ("20x", MODEL, computed_hr, hr),
            ("20x", BICUBIC, enlarge(lr, 4), hr),
        ):
            values = {name: measure(picture, real) for name, measure in measures.items() if measure is not None}
            if view == "20x" and "consistency" in wanted:
                values["consistency"] = consistency(picture, lr)
            scores.append(PatchScore(row, slide, scanner, view, method, values))
        if "consistency" in wanted:
            scores.append(PatchScore(row, slide, scanner, "20x", REAL, {"consistency": consistency(hr, lr)}))
        if progress:
            progress(done, len(rows))
    return scores


def summarise(scores: Sequence[PatchScore]) -> list[Summary]:
    """Take means by magnification and method: over all slides, by kind of scanner if there are several, by slide."""
    slides = list(dict.fromkeys(score.slide for score in scores))
    scanners = list(dict.fromkeys(score.scanner for score in scores))
    parts = [("", ""), *((slide, "") for slide in slides)]
    if len(scanners) > 1:
        parts[1:1] = [("", scanner) for scanner in scanners]
    groups: dict[tuple[str, str, str, str], list[PatchScore]] = {}
    for slide, scanner in parts:
        for score in scores:
            if slide in ("", score.slide) and scanner in ("", score.scanner):
                groups.setdefault((slide, scanner, score.view, score.method), []).append(score)
    found = []
    for (slide, scanner, view, method), own in groups.items():
        names = [name for name in METRICS if name in own[0].values]
        means = {name: float(np.mean(_slide_means(own, name))) for name in names}
        wanted = names if not slide and len(slides) >= _FEWEST_SLIDES else []
        intervals = {name: t_interval(_slide_means(own, name)) for name in wanted}
        found.append(Summary(slide, scanner, view, method, len(own), means, intervals))
    return found


def card_metrics(scores: Sequence[PatchScore]) -> dict[str, float]:
    """Put means into the words of a model card.

    Returns
    -------
    dict of str to float
        To four decimals, such as ``psnr_20x_clean`` (dB) for the model and ``psnr_20x_clean_bicubic`` beside it.
    """
    groups: dict[str, list[float]] = {}
    for score in scores:
        if score.method == REAL:
            continue
        method = "_bicubic" if score.method == BICUBIC else ""
        for name in CARD_METRICS:
            if name in score.values:
                groups.setdefault(f"{name}_{score.view}_{score.scanner}{method}", []).append(score.values[name])
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(groups.items())}


def _slide_means(scores: Sequence[PatchScore], name: str) -> npt.NDArray[np.float64]:
    """Mean score of each slide: patches of one slide are alike."""
    by_slide: dict[str, list[float]] = {}
    for score in scores:
        by_slide.setdefault(score.slide, []).append(score.values[name])
    return np.array([np.mean(values) for values in by_slide.values()])


def t_interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean of (N,) independent values, by Student's t with N − 1 degrees of freedom; N ≥ 2."""
    mean, half = values.mean(), stats.t.isf(0.025, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return float(mean - half), float(mean + half)


def representative_rows(scores: Sequence[PatchScore], count: int) -> list[int]:
    """Choose patches to look at by how much the model gains at 20×: from the least to the most, evenly."""
    gains: dict[int, float] = {}
    for score in scores:
        if score.view == "20x" and score.method in (MODEL, BICUBIC):
            sign = 1 if score.method == MODEL else -1
            gains[score.row] = gains.get(score.row, 0.0) + sign * score.values["psnr"]
    ordered = sorted(gains, key=gains.__getitem__)
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[place] for place in places]
