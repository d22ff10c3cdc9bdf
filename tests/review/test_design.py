"""What is drawn, and in which order raters see it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.review.design import Design, draw_order, draw_stratified, foreground_strata


def test_strata_get_equal_shares_as_far_as_they_reach() -> None:
    strata = ["a"] * 50 + ["b"] * 50 + ["c"] * 2
    drawn = draw_stratified(strata, 12, seed=3)
    assert len(set(drawn)) == 12
    assert Counter(strata[index] for index in drawn) == {"a": 5, "b": 5, "c": 2}
    assert drawn == draw_stratified(strata, 12, seed=3)
    assert drawn != draw_stratified(strata, 12, seed=4)
    with pytest.raises(OptionError, match=r"needs 103 fields.*there are 102"):
        draw_stratified(strata, 103, seed=0)


def test_strata_are_class_and_thirds_of_foreground() -> None:
    strata = foreground_strata(["x", "x", "y", "y", "x", "y"], np.array([0.1, 0.9, 0.2, 0.5, 0.6, 0.95]))
    assert strata == [("x", 0), ("x", 2), ("y", 0), ("y", 1), ("x", 1), ("y", 2)]
    assert foreground_strata([], np.empty(0)) == []


def test_an_order_has_everything_once_and_its_repeats_far_away() -> None:
    fields = {f"{field}-{method}": f"{field}" for field in range(15) for method in range(4)}
    order = draw_order(fields, 6, 1, "A")
    counts = Counter(order)
    assert set(counts) == set(fields)
    assert sorted(counts.values()) == [1] * 54 + [2] * 6
    for key in [key for key, count in counts.items() if count == 2]:
        first = order.index(key)
        assert order.index(key, first + 1) - first >= 20
    neighbours = sum(fields[a] == fields[b] for a, b in pairwise(order))
    assert neighbours <= 3
    assert order == draw_order(dict(reversed(fields.items())), 6, 1, "a")  # neither the dict's order nor case matter
    assert order != draw_order(fields, 6, 1, "B")
    assert order != draw_order(fields, 6, 2, "A")


@pytest.mark.parametrize(("patches", "repeats"), [(0, 0), (1, 0), (1, 5), (2, 1)])
def test_small_reviews_have_an_order_too(patches: int, repeats: int) -> None:
    fields = {f"{field}-{method}": f"{field}" for field in range(patches) for method in range(2)}
    order = draw_order(fields, repeats, 0, "A")
    assert set(order) == set(fields)
    assert len(order) == 2 * patches + min(repeats, patches)


def test_repeats_never_follow_at_once_where_there_is_room() -> None:
    fields = {str(number): str(number) for number in range(24)}
    for seed in range(50):
        order = draw_order(fields, 12, seed, "A")
        assert all(a != b for a, b in pairwise(order))


@pytest.mark.parametrize(("name", "value"), [("patches", 0), ("repeats", -1), ("zoom", 0)])
def test_senseless_designs_are_refused(name: str, value: int) -> None:
    with pytest.raises(OptionError, match=name):
        Design(**{name: value})
