"""Statistics against published worked examples and other libraries."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests

from napari_pathsrgan.errors import MissingPartError
from napari_pathsrgan.review.agreement import consistencies, intraclass_correlation, krippendorff_alpha, require
from napari_pathsrgan.review.preference import LEFT, RIGHT, SAME, bradley_terry, count_choices, preferences
from napari_pathsrgan.review.statistics import build_matrix, compare_methods, opinion_scores

from .ratings import SHROUT_FLEISS, rating

METHODS = ["bicubic", "lite", "paper", "real"]

_ = math.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)
"""Krippendorff 2011, *Computing Krippendorff's alpha-reliability*, example C: four observers, twelve units."""

UNITS = "abcdefghijkl"

BASEBALL = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ],
    np.float64,
)
"""Agresti 2002, *Categorical Data Analysis*, 2nd ed., § 10.6: the American League's eastern division of 1987, row beat
column: Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore. Home and away games added up from
``data/baseball.csv`` of the R package BradleyTerry2 (github.com/hturner/BradleyTerry2)."""

BASEBALL_ABILITIES = (1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0)
"""Against Baltimore, as that package prints them: ``tests/baseball.Rout.save``, baseballModel1."""


def test_icc_is_that_of_shrout_and_fleiss() -> None:
    """Their Table 4: ICC(2,1) = .29, ICC(2,4) = .62."""
    found = intraclass_correlation(SHROUT_FLEISS)
    assert round(found.single.value, 2) == 0.29
    assert round(found.average.value, 2) == 0.62
    assert (found.targets, found.raters) == (6, 4)
    for one in found[:2]:
        assert one.low < one.value < one.high <= 1


def test_icc_leaves_out_who_rated_little_and_is_nan_without_enough() -> None:
    gaps = np.hstack([SHROUT_FLEISS, [[1.0], [math.nan], [3.0], [5.0]]])
    assert intraclass_correlation(gaps) == intraclass_correlation(SHROUT_FLEISS)
    straggler = np.full((1, 6), math.nan)
    straggler[0, 2] = 4
    assert intraclass_correlation(np.vstack([SHROUT_FLEISS, straggler])) == intraclass_correlation(SHROUT_FLEISS)
    for values in (SHROUT_FLEISS[:1], SHROUT_FLEISS[:, :1], np.full((3, 9), 4.0), np.full((3, 9), math.nan)):
        assert math.isnan(intraclass_correlation(values).average.value)


def test_a_study_of_few_whole_steps_has_an_icc_without_a_warning() -> None:
    """Mean squares of 0 make denominators of 0 in some draws."""
    for values in ([[3.0, 3, 4], [3, 3, 4]], [[3.0, 3, 3], [4, 4, 4]], [[1.0, 2], [2, 1]]):
        found = intraclass_correlation(np.array(values))
        assert not found.single.low > found.single.high


def test_raters_who_agree_to_the_last_have_an_icc_of_one() -> None:
    found = intraclass_correlation(np.tile(np.arange(6.0), (3, 1)))
    assert found.single.value == found.average.value == pytest.approx(1.0)


def test_intervals_of_the_icc_hold_the_truth_about_as_often_as_they_say() -> None:
    """Five raters, 30 images, ICC(2,1) = 0.36 / (0.16 + 0.36 + 0.25): of 200 intervals 184 to 199."""
    rng, truth, held = np.random.default_rng(3), 0.36 / (0.16 + 0.36 + 0.25), 0
    for _number in range(200):
        values = rng.normal(0, 0.4, (5, 1)) + rng.normal(0, 0.6, (1, 30)) + rng.normal(0, 0.5, (5, 30))
        one = intraclass_correlation(values).single
        held += one.low <= truth <= one.high
    assert 184 <= held <= 199


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_krippendorffs_own(level: str, published: float) -> None:
    found = krippendorff_alpha(KRIPPENDORFF, level, UNITS)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.low < found.value < found.high <= 1


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_is_one_minus_observed_over_expected_disagreement(level: str) -> None:
    """By the definition, over all pairs of values; the ordinal distance is counted in values between the two."""
    units = [column[~np.isnan(column)] for column in KRIPPENDORFF.T]
    units = [unit for unit in units if len(unit) > 1]
    values = np.concatenate(units)

    def between(a: float, b: float) -> float:
        low, high = min(a, b), max(a, b)
        return np.sum((values >= low) & (values <= high)) - np.sum((values == low) | (values == high)) / 2

    distance = {
        "nominal": lambda a, b: float(a != b),
        "ordinal": lambda a, b: between(a, b) ** 2 if a != b else 0.0,
        "interval": lambda a, b: (a - b) ** 2,
    }[level]
    observed = sum(
        sum(distance(a, b) for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units
    ) / len(values)
    expected = sum(distance(a, b) for a, b in itertools.permutations(values, 2)) / (len(values) * (len(values) - 1))
    assert krippendorff_alpha(KRIPPENDORFF, level, UNITS).value == pytest.approx(1 - observed / expected, abs=1e-6)


def test_alpha_is_nan_where_there_is_nothing_to_compare() -> None:
    apart = np.array([[1.0, 2.0, math.nan], [math.nan, math.nan, 3.0]])
    assert math.isnan(krippendorff_alpha(apart, "ordinal", "abc").value)
    assert math.isnan(krippendorff_alpha(np.full((2, 4), 3.0), "ordinal", "abcd").value)
    one_group = krippendorff_alpha(SHROUT_FLEISS, "interval", "aaaaaa")
    assert math.isfinite(one_group.value)
    assert math.isnan(one_group.low)


def test_abilities_are_agrestis_and_those_of_a_logistic_regression() -> None:
    abilities, bounded = bradley_terry(BASEBALL)
    assert not bounded
    assert abilities.sum() == pytest.approx(0)
    against_baltimore = abilities - abilities[-1]
    np.testing.assert_allclose(against_baltimore, BASEBALL_ABILITIES, atol=5e-5)
    games, won = [], []
    for a, b in itertools.permutations(range(7), 2):
        row = np.zeros(7)
        row[a], row[b] = 1, -1
        games += [row] * int(BASEBALL[a, b])
        won += [1] * int(BASEBALL[a, b])
    # Each game seen from the other side as well: a regression needs losses too.
    design = np.array(games + [-game for game in games])[:, :6]
    fit = sm.GLM(np.array(won + [0] * len(won)), design, sm.families.Binomial()).fit(tol=1e-14)
    np.testing.assert_allclose(against_baltimore[:6], fit.params, atol=1e-6)


def test_a_method_that_never_loses_has_a_bounded_ability() -> None:
    abilities, bounded = bradley_terry(np.array([[0.0, 5, 5], [0, 0, 3], [0, 2, 0]]))
    assert bounded
    assert np.all(np.isfinite(abilities))
    assert np.argsort(-abilities).tolist() == [0, 1, 2]
    assert abilities.sum() == pytest.approx(0)


def test_choices_are_counted_from_their_sides() -> None:
    ratings = [
        rating("A", "f1", ("lite", "real"), RIGHT),
        rating("A", "f2", ("real", "lite"), LEFT),
        rating("A", "f2", ("real", "lite"), RIGHT, repeat=True),
        rating("B", "f1", ("lite", "real"), SAME),
        rating("B", "f2", ("real", "lite"), None),
    ]
    choices = count_choices(ratings, ["lite", "real", "new"])
    np.testing.assert_array_equal(choices.sum(axis=(0, 1)), [[0, 0.5, 0], [2.5, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(choices[:, :, 1, 0], [[1, 1], [0.5, 0]])
    (lite, real, new), _ = preferences(choices, ["lite", "real", "new"], 100)
    assert real.ability == pytest.approx(math.log(5) / 2, abs=1e-6)
    assert lite.ability == -real.ability
    assert (real.won, real.compared) == (2.5, 3)
    assert lite.low <= lite.ability <= lite.high
    assert all(math.isnan(figure) for figure in (new.ability, new.low, new.high))


def choose_all(raters: int, fields: int, seed: int, alike: bool = False) -> np.ndarray:
    """Choices between four methods; of raters who are alike each says what the first does."""
    rng = np.random.default_rng(seed)
    levels = np.array([0.0, 0.4, 0.8, 1.4])
    ratings = []
    for field in range(fields):
        for a, b in itertools.combinations(range(4), 2):
            said = rng.random(raters) < 1 / (1 + np.exp(levels[b] - levels[a]))
            for rater in range(raters):
                first = said[0] if alike else said[rater]
                ratings.append(rating(f"r{rater}", f"f{field}", (METHODS[a], METHODS[b]), LEFT if first else RIGHT))
    return count_choices(ratings, METHODS)


def widths(choices: np.ndarray) -> np.ndarray:
    return np.array([one.high - one.low for one in preferences(choices, METHODS, 200)[0]])


def test_intervals_of_preferences_are_those_of_drawing_raters_and_fields_one_by_one() -> None:
    choices = choose_all(5, 12, seed=2)
    rng = np.random.default_rng(9)
    fits = [
        bradley_terry(choices[np.ix_(rng.integers(0, 5, 5), rng.integers(0, 12, 12))].sum(axis=(0, 1)))[0]
        for _number in range(400)
    ]
    found, _ = preferences(choices, METHODS, 400)
    expected = np.percentile(fits, (2.5, 97.5), axis=0)
    np.testing.assert_allclose([[one.low for one in found], [one.high for one in found]], expected, atol=0.15)


def test_raters_who_all_say_the_same_are_no_more_evidence_than_one() -> None:
    """Counted as independent choices they would have intervals narrower by √8; the draws' noise is some 10 %."""
    many = widths(choose_all(8, 30, seed=4, alike=True))
    np.testing.assert_allclose(many, widths(choose_all(8, 30, seed=4, alike=True)[:1]), rtol=0.3)
    assert np.all(widths(choose_all(8, 30, seed=4)) < 0.75 * many)


def test_one_choice_has_no_interval() -> None:
    (lite, _), bounded = preferences(
        count_choices([rating("A", "f", ("lite", "real"), LEFT)], ["lite", "real"]), METHODS[1:4:2]
    )
    assert bounded
    assert math.isfinite(lite.ability)
    assert math.isnan(lite.low)


def rate_all(raters: int, fields: int, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    return [
        rating(f"r{rater}", f"f{field:02}", method, int(np.clip(rng.normal(level, 0.8), 1, 5).round()))
        for rater in range(raters)
        for field in range(fields)
        for method, level in (("bicubic", 1.4), ("lite", 3.2), ("paper", 3.3), ("real", 4.4))
    ]


def test_every_pair_is_tested_with_holms_correction() -> None:
    found = compare_methods(build_matrix(rate_all(3, 15), METHODS))
    assert [(one.first, one.second) for one in found] == list(itertools.combinations(METHODS, 2))
    corrected = multipletests([one.p for one in found], method="holm")[1]
    np.testing.assert_allclose([one.p_holm for one in found], corrected, atol=1e-9)


def test_methods_rated_alike_differ_with_p_one() -> None:
    ratings = [rating("A", f"f{n}", method, 3) for n in range(4) for method in ("a", "b")]
    (one,) = compare_methods(build_matrix(ratings, ["a", "b"]))
    assert (one.difference, one.p, one.p_holm) == (0.0, 1.0, 1.0)
    assert math.isnan(one.low)


def test_a_method_that_was_never_rated_is_compared_with_none_and_does_not_count() -> None:
    ratings = [one for one in rate_all(3, 15) if one.methods[0] != "paper"]
    found = compare_methods(build_matrix(ratings, METHODS))
    (without,) = [compare_methods(build_matrix(ratings, [m for m in METHODS if m != "paper"]))]
    assert [one for one in found if "paper" not in (one.first, one.second)] == without
    never = [one for one in found if "paper" in (one.first, one.second)]
    assert len(never) == 3
    assert all(math.isnan(figure) for one in never for figure in (one.difference, one.low, one.p, one.p_holm))


def test_differences_are_those_of_the_mean_scores_whatever_is_missing() -> None:
    rng = np.random.default_rng(4)
    ratings = [one for one in rate_all(4, 10, seed=2) if rng.random() < 0.8 or one.patch == "f00"]
    matrix = build_matrix(ratings, METHODS)
    means = {one.method: one.mean for one in opinion_scores(matrix, ratings)}
    for one in compare_methods(matrix):
        assert one.difference == pytest.approx(means[one.first] - means[one.second], abs=1e-9)


def test_opinion_scores_are_means_of_first_ratings() -> None:
    ratings = [
        rating("A", "f1", "lite", 4, seconds=1.0),
        rating("A", "f1", "lite", 1, repeat=True),
        rating("A", "f2", "lite", 5, seconds=3.0),
        rating("B", "f1", "lite", 2, seconds=4.0),
        rating("B", "f2", "lite", 3, seconds=9.0),
        rating("B", "f3", "lite", None, seconds=3.0),
    ]
    (lite, never) = opinion_scores(build_matrix(ratings[:5], ["lite", "real"]), ratings)
    assert lite.mean == pytest.approx(3.5)
    assert lite.counts == (0, 1, 1, 1, 1)
    assert (lite.unjudged, lite.ratings, lite.median_s) == (1, 4, 3.0)
    assert lite.low < lite.mean < lite.high
    assert math.isnan(never.mean)
    assert math.isnan(never.low)
    assert (never.ratings, never.unjudged) == (0, 0)
    a, b = np.std([4, 5], ddof=1), np.std([2, 3], ddof=1)
    assert lite.mean_z == pytest.approx(((4 - 4.5) / a + (5 - 4.5) / a + (2 - 2.5) / b + (3 - 2.5) / b) / 4, abs=1e-6)


def test_repeats_tell_how_consistent_a_rater_is() -> None:
    firsts = [rating("A", f"f{n}", "lite", score) for n, score in enumerate((3, 4, 5, 2))]
    again = [rating("A", f"f{n}", "lite", score, repeat=True) for n, score in enumerate((3, 5, 2, None))]
    (one,) = consistencies([*firsts, *again, rating("B", "f0", "lite", 2)])
    assert (one.rater, one.repeats) == ("A", 3)
    assert (one.same, one.within_one, one.mean_apart) == pytest.approx((1 / 3, 2 / 3, 4 / 3))


def test_repeats_beyond_chance_are_cohens_weighted_kappa() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(1, 6, 60)
    second = np.clip(first + rng.integers(-1, 2, 60), 1, 5)
    ratings = [rating("A", f"f{n}", "lite", int(score)) for n, score in enumerate(first)]
    ratings += [rating("A", f"f{n}", "lite", int(score), repeat=True) for n, score in enumerate(second)]
    table = np.zeros((5, 5))
    np.add.at(table, (first - 1, second - 1), 1)
    (one,) = consistencies(ratings)
    assert one.kappa == pytest.approx(cohens_kappa(table, wt="quadratic", return_results=False))
    same = [rating("A", f"f{n}", "lite", 3, repeat=again) for n in range(4) for again in (False, True)]
    assert math.isnan(consistencies(same)[0].kappa)


def test_a_library_that_is_not_installed_is_named() -> None:
    with pytest.raises(MissingPartError, match=r"need no_such_library.*napari-pathsrgan\[review\]"):
        require("no_such_library")
