"""The order and the sides in which raters see what there is to rate."""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.order import Slot, balanced_fields, draw_order
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]


def slots_of(fields: int, kinds: int, seed: int = 0) -> dict[str, Slot]:
    layout = itertools.islice(balanced_fields(kinds, random.Random(seed)), fields)
    return {
        f"{field}-{kind}": Slot(str(field), balance.turns[kind], balance.couple)
        for field, balance in enumerate(layout)
        for kind in range(kinds)
    }


def names(order: list[tuple[str, bool]]) -> list[str]:
    return [trial for trial, _ in order]


def test_a_field_is_never_seen_twice_in_a_row_in_ten_thousand_orders() -> None:
    shapes = [(3, 2, 1), (4, 4, 2), (8, 5, 6), (12, 1, 6), (10, 10, 5)]
    for fields, kinds, repeats in shapes:
        slots = slots_of(fields, kinds)
        for seed in range(2000):
            order = names(draw_order(slots, repeats, seed, "A"))
            assert len(order) == fields * kinds + repeats
            assert all(slots[a].field != slots[b].field for a, b in pairwise(order)), (fields, kinds, seed)


def test_an_order_has_everything_once_and_its_repeats_far_away() -> None:
    slots = slots_of(15, 4)
    order = draw_order(slots, 6, 1, "A")
    counts = Counter(names(order))
    assert set(counts) == set(slots)
    assert sorted(counts.values()) == [1] * 54 + [2] * 6
    for key in [key for key, count in counts.items() if count == 2]:
        first = names(order).index(key)
        assert names(order).index(key, first + 1) - first >= 20
    assert order == draw_order(dict(reversed(slots.items())), 6, 1, "a")  # neither the dict's order nor case matter
    assert order != draw_order(slots, 6, 1, "B")
    assert order != draw_order(slots, 6, 2, "A")


def test_an_order_is_the_same_on_every_machine() -> None:
    """Import checks it against the rater's: it may not change without a new version of the file."""
    slots = {f"{field}-{turn}": Slot(str(field), turn, field // 2) for field in range(3) for turn in range(2)}
    order = draw_order(slots, 1, 7, "A")
    assert (
        " ".join(f"{trial}{'*' if swapped else ''}" for trial, swapped in order) == "2-0 0-0* 1-0* 2-1 1-0* 0-1* 1-1*"
    )


@pytest.mark.parametrize(("fields", "repeats"), [(0, 0), (1, 0), (1, 5), (2, 1)])
def test_small_reviews_have_an_order_too(fields: int, repeats: int) -> None:
    slots = slots_of(fields, 2)
    order = names(draw_order(slots, repeats, 0, "A"))
    assert set(order) == set(slots)
    assert len(order) == 2 * fields + min(repeats, fields)


@pytest.mark.parametrize(("fields", "methods"), [(20, 4), (21, 4), (7, 5)])
def test_every_method_is_as_often_in_each_part_of_the_session(fields: int, methods: int) -> None:
    slots = slots_of(fields, methods)
    for rater in "ABC":
        order = names(draw_order(slots, 0, 3, rater))
        for part in range(methods):
            seen = Counter(trial.split("-")[1] for trial in order[part * fields : (part + 1) * fields])
            assert max(seen.values()) - min(seen.values()) <= 1


def left_of_pairs(path: Path, key: Key, rater: str) -> dict[tuple[str, str], list[bool]]:
    """For each pair of methods, whether the first in the alphabet was on the left, in the order of fields."""
    seen: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)
    with Session(path, rater) as session:
        while session.place is not None:
            left, right = (key.images[name] for name in session.trial.images)
            pair = (min(left.method, right.method), max(left.method, right.method))
            seen[pair][left.patch] = left.method == pair[0]
            session.rate(2, 1.0)
    return {pair: [own[field] for field in sorted(own)] for pair, own in seen.items()}


def test_sides_are_balanced_for_each_pair_of_methods_and_bootstrap_weights_for_each_rater(make_review: Make) -> None:
    path, key = make_review(patches=10, mode="pair", repeats=0, warm_up=0, side=4)
    seen = {rater: left_of_pairs(path, key, rater) for rater in "AB"}
    for own in seen.values():
        assert len(own) == 6
        assert all(sum(left) == 5 for left in own.values())
    assert seen["A"] != seen["B"]
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(DISTINCT couple), max(turn) FROM trials").fetchone() == (5, 5)
