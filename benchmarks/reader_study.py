"""Simulated reader studies: how often differences are found where there are none, and how often intervals hold.

Raters and fields differ at random, and raters like some methods more than others (``rater × method``), but no method is
better than another. Ratings are rounded to 1 to 5. Prints the share of studies in which at least one of all pairs of
methods differs after Holm's correction (it should be 5 %), the coverage of intervals of mean opinion scores and of
`evaluate`'s intervals of means over slides (95 %), and how often a difference of 0.3 is found.

    python benchmarks/reader_study.py --studies 1000
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import numpy.typing as npt
from statsmodels.stats.multitest import multipletests

from napari_pathsrgan.evaluation.on_pairs import t_interval
from napari_pathsrgan.review.multi_rater import build_table, compare_means, estimate_mean

RATER, FIELD, REST, SLIDE_METHOD = 0.4, 0.5, 0.7, 0.3
"""Standard deviations in steps of the scale."""


def rate(
    rng: np.random.Generator, raters: int, slides: int, per_slide: int, methods: int, rater_method: float, better: float
) -> npt.NDArray[np.float64]:
    """Rate all methods: (raters, fields, methods); the last method is better by `better`."""
    fields = slides * per_slide
    own = np.repeat(rng.normal(0, SLIDE_METHOD, (1, slides, methods)), per_slide, axis=1) if per_slide > 1 else 0.0
    values = 3 + rng.normal(0, RATER, (raters, 1, 1)) + rng.normal(0, FIELD, (1, fields, 1)) + own
    values = values + rng.normal(0, rater_method, (raters, 1, methods)) + rng.normal(0, REST, (raters, fields, methods))
    values[..., -1] += better
    return np.clip(np.rint(values), 1, 5)


def table_of(values: npt.NDArray[np.float64], per_slide: int) -> npt.NDArray[np.float64]:
    """Average by rater, case and method, as a report does."""
    names = [str(field // per_slide) if per_slide > 1 else "" for field in range(values.shape[1])]
    return build_table(values, names).values


def share_found(studies: int, raters: int, slides: int, per_slide: int, rater_method: float, better: float) -> float:
    """Share of studies in which any pair differs; with a better method, in which that differs from the first."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(studies):
        table = table_of(rate(rng, raters, slides, per_slide, 5, rater_method, better), per_slide)
        pairs = list(itertools.combinations(range(5), 2))
        p = multipletests([compare_means(table, a, b).p for a, b in pairs], method="holm")[1]
        found += p[pairs.index((0, 4))] < 0.05 if better else p.min() < 0.05
    return found / studies


def coverage(studies: int, raters: int, slides: int, per_slide: int) -> float:
    """Share of intervals of one method's mean that hold the mean of all raters and slides."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(studies):
        estimate = estimate_mean(table_of(rate(rng, raters, slides, per_slide, 2, 0.3, 0.0), per_slide)[..., 0])
        held += estimate.low <= 3 <= estimate.high
    return held / studies


def evaluation_coverage(studies: int, slides: int) -> float:
    """Share of `evaluate`'s intervals that hold the mean of all slides, of gains that differ from slide to slide."""
    rng, held = np.random.default_rng(2), 0
    for _ in range(studies):
        low, high = t_interval(rng.normal(2, 0.5, slides) + rng.normal(0, 0.8, (20, slides)).mean(axis=0))
        held += low <= 2 <= high
    return held / studies


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    studies = parser.parse_args().studies
    print("family-wise error, 5 methods, %: should be 5")
    for raters in (3, 5, 10):
        shares = [share_found(studies, raters, 40, 1, spread, 0.0) for spread in (0.0, 0.15, 0.3, 0.5)]
        row = " / ".join(f"{100 * share:.1f}" for share in shares)
        print(f"  {raters} raters, 40 fields, rater x method 0 / 0.15 / 0.3 / 0.5: {row}")
    for slides, per_slide in ((4, 10), (8, 5)):
        share = share_found(studies, 5, slides, per_slide, 0.15, 0.0)
        print(f"  5 raters, 40 fields of {slides} slides, slide x method {SLIDE_METHOD}: {100 * share:.1f}")
    print("coverage of intervals, %: should be 95")
    for raters in (2, 3, 5, 10):
        print(f"  mean opinion score, {raters} raters, 40 fields: {100 * coverage(studies, raters, 40, 1):.1f}")
    print(f"  mean opinion score, 5 raters, 4 slides of 10 fields: {100 * coverage(studies, 5, 4, 10):.1f}")
    for slides in (3, 5, 10):
        print(f"  evaluate, {slides} slides: {100 * evaluation_coverage(studies, slides):.1f}")
    print("a method better by 0.3, rater x method 0.15, found in % of studies")
    for raters in (5, 10):
        print(f"  {raters} raters: {100 * share_found(studies, raters, 40, 1, 0.15, 0.3):.0f}")


if __name__ == "__main__":
    main()
