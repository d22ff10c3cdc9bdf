"""A model on the pairs of a pairs file, beside bicubic enlargement and the real pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

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

MODEL, BICUBIC, REAL = "model", "bicubic", "real"
METRICS = ("psnr", "ssim", "ssim_paper", "psnr_shifted", "spectrum_error", "consistency")
"""In dB but for the two SSIM; the smaller the better for `spectrum_error` alone."""

_RESAMPLINGS = 2000
_FEWEST_SLIDES = 3
"""A spread between fewer slides says nothing."""


@dataclass(frozen=True)
class PatchScore:
    """One patch, seen in one way at one magnification.

    Attributes
    ----------
    row : int
        Of the pairs file.
    slide : str
    view : str
        "10x" or "20x".
    method : str
        `MODEL`, `BICUBIC`, or `REAL`, which has a consistency alone.
    values : dict of str to float
        By name of `METRICS`; ``consistency`` at 20× only.
    """

    row: int
    slide: str
    view: str
    method: str
    values: dict[str, float]


@dataclass(frozen=True)
class Summary:
    """Mean scores over patches.

    Attributes
    ----------
    slide : str
        Empty for all slides.
    view, method : str
    patches : int
    means : dict of str to float
    intervals : dict of str to (float, float)
        95 % bootstrap intervals of the means over slides; empty for one slide and where there are fewer than three.
    """

    slide: str
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
) -> list[PatchScore]:
    """Compare a model's and bicubic pictures with the real ones (Ma et al. 2020, § IV; METHOD § 11).

    Parameters
    ----------
    model : PatchModel
    pairs : PairsFile
    rows : (N,) of int
    progress : callable (done, total), optional

    Returns
    -------
    list of PatchScore
        Five for each row: model and bicubic at 10× and at 20×, and the real 20× picture's consistency.
    """
    slides = pairs.table["slide"]
    scores: list[PatchScore] = []
    for done, row in enumerate(map(int, rows), 1):
        slide = str(slides[row])
        lr, mr, hr = pairs[row]
        computed_mr, computed_hr = model.apply(lr)
        for view, method, picture, real in (
            ("10x", MODEL, computed_mr, mr),
            ("10x", BICUBIC, enlarge(lr, 2), mr),
            ("20x", MODEL, computed_hr, hr),
            ("20x", BICUBIC, enlarge(lr, 4), hr),
        ):
            values = {
                "psnr": psnr(picture, real),
                "ssim": ssim(picture, real),
                "ssim_paper": ssim_paper(picture, real),
                "psnr_shifted": psnr_shifted(picture, real),
                "spectrum_error": spectrum_error(picture, real),
            }
            if view == "20x":
                values["consistency"] = consistency(picture, lr)
            scores.append(PatchScore(row, slide, view, method, values))
        scores.append(PatchScore(row, slide, "20x", REAL, {"consistency": consistency(hr, lr)}))
        if progress:
            progress(done, len(rows))
    return scores


def summarise(scores: Sequence[PatchScore]) -> list[Summary]:
    """Take means over all patches and by slide, by magnification and method; all slides first."""
    slides = list(dict.fromkeys(score.slide for score in scores))
    groups: dict[tuple[str, str, str], list[PatchScore]] = {}
    for slide in ("", *slides):
        for score in scores:
            if slide in ("", score.slide):
                groups.setdefault((slide, score.view, score.method), []).append(score)
    found = []
    for (slide, view, method), own in groups.items():
        names = [name for name in METRICS if name in own[0].values]
        means = {name: float(np.mean([score.values[name] for score in own])) for name in names}
        wanted = names if not slide and len(slides) >= _FEWEST_SLIDES else []
        found.append(Summary(slide, view, method, len(own), means, {name: _interval(own, name) for name in wanted}))
    return found


def _interval(scores: Sequence[PatchScore], name: str) -> tuple[float, float]:
    """Bootstrap over slides, not patches: those of one slide are alike."""
    by_slide: dict[str, list[float]] = {}
    for score in scores:
        by_slide.setdefault(score.slide, []).append(score.values[name])
    sums = np.array([sum(values) for values in by_slide.values()])
    counts = np.array([len(values) for values in by_slide.values()])
    drawn = np.random.default_rng(0).integers(0, len(sums), (_RESAMPLINGS, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (2.5, 97.5))
    return float(low), float(high)


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
