"""Power: against the noncentral t, and variances that are found again."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from napari_pathsrgan.review.power import RatingSpread, estimate_spread, power_table, simulate_power


def test_power_is_that_of_a_paired_t_test_where_only_raters_differ() -> None:
    """Few fields' noise and no field × method: a t test over raters; 400 studies know it to ± 0.07."""
    spread = RatingSpread(rater=0.0, case=0.0, rater_method=0.6, case_method=0.0, rest=0.5)
    raters, fields, difference = 6, 40, 0.8
    sd = np.sqrt(2 * (0.6**2 + (0.5**2 + 1 / 12) / fields))
    shift = difference / (sd / np.sqrt(raters))
    expected = scipy.stats.nct.sf(scipy.stats.t.isf(0.025, raters - 1), raters - 1, shift)
    assert simulate_power(raters, fields, difference, spread).share == pytest.approx(expected, abs=0.08)


def test_more_raters_and_a_larger_difference_find_more_and_more_comparisons_less() -> None:
    shares = {
        (raters, difference): simulate_power(raters, 20, difference, simulations=200).share
        for raters in (3, 10)
        for difference in (0.0, 0.3)
    }
    assert shares[10, 0.3] > shares[3, 0.3] + 0.2
    assert max(shares[3, 0.0], shares[10, 0.0]) < 0.06  # one side of 5 %
    assert simulate_power(5, 20, 0.3, comparisons=10, simulations=200) < simulate_power(5, 20, 0.3, simulations=200)


def test_variances_of_an_earlier_study_are_found_again() -> None:
    rng = np.random.default_rng(1)
    true = {"rater": 0.5, "case": 0.6, "rater_method": 0.4, "case_method": 0.3, "rest": 0.7}
    shapes = {"rater": (30, 1, 1), "case": (1, 60, 1), "rater_method": (30, 1, 6), "case_method": (1, 60, 6)}
    values = rng.normal(0, true["rest"], (30, 60, 6)) + np.arange(6)
    values = values + sum(rng.normal(0, true[name], shape) for name, shape in shapes.items())
    found = estimate_spread(values).model_dump()
    for name, sd in true.items():
        assert found[name] == pytest.approx(sd, rel=0.25), name


def test_a_table_has_every_combination_in_order() -> None:
    table = power_table((2, 4), (5, 10), 0.5, simulations=10)
    assert [(one.raters, one.fields) for one in table] == [(2, 5), (2, 10), (4, 5), (4, 10)]
    assert table == power_table((2, 4), (5, 10), 0.5, simulations=10)
