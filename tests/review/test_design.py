"""What is drawn, and in which order raters see it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.review.design import Design, draw_stratified, foreground_strata


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


@pytest.mark.parametrize(("name", "value"), [("patches", 0), ("repeats", -1), ("zoom", 0)])
def test_senseless_designs_are_refused(name: str, value: int) -> None:
    with pytest.raises(OptionError, match=name):
        Design(**{name: value})
