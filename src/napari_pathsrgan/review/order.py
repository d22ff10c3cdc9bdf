"""The order and the sides in which each rater sees what there is to rate, and the balance that makes them fair.

The organiser's side knows the methods and prepares two things in the file: to each trial a *turn*, so that among the
trials of one turn every method is equally often; and to the fields *couples*, so that a pair of methods that lies one
way round in one field lies the other way round in its couple's other field. Neither tells which method is which. The
rater's side knows turns and couples alone: orders go through the trials turn by turn, sides are swapped couple by
couple. Lots are drawn with Python's own generator, whose stream is the same in all versions and on all machines.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

_APART = 4
"""Trials between two of the same field, where there are enough fields."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Slot:
    """What the order of a trial hangs on.

    Attributes
    ----------
    field : str
    turn : int
        Every method is equally often in the trials of one turn.
    couple : int
        Of its field.
    """

    field: str
    turn: int
    couple: int


def draw_order(slots: Mapping[str, Slot], repeats: int, seed: int, rater: str) -> list[tuple[str, bool]]:
    """Draw the order in which a rater sees what there is to rate, and which trials have their sides swapped.

    Trials come turn by turn. Those of one field are never neighbours, where there is more than one field, and neither
    are a trial and its repeat, which is at least a third of the order away where that's possible.

    Parameters
    ----------
    slots : mapping of str to Slot
        What is to be rated.
    repeats : int
        How many trials are shown a second time.
    seed : int
        The review's.
    rater : str
        With the seed, decides the order and the sides.

    Returns
    -------
    list of (str, bool)
        Each trial once, and `repeats` of them twice; and whether left and right are swapped.
    """
    lots = random.Random(f"{seed} {rater.casefold()}")
    order = _turn_by_turn(slots, lots)
    fields = [slots[trial].field for trial in order]
    for trial in _shuffled(order[: (len(order) + 1) // 2], lots)[:repeats]:
        place = _place_for_repeat(fields, slots[trial].field, order.index(trial), lots)
        order.insert(place, trial)
        fields.insert(place, slots[trial].field)
    couples = sorted({slot.couple for slot in slots.values()})
    swapped = {couple: lots.random() < 0.5 for couple in couples}
    return [(trial, swapped[slots[trial].couple]) for trial in order]


def _turn_by_turn(slots: Mapping[str, Slot], lots: random.Random) -> list[str]:
    order: list[str] = []
    recent: deque[str] = deque(maxlen=max(0, min(_APART, len({slot.field for slot in slots.values()}) - 1)))
    for turn in _shuffled(sorted({slot.turn for slot in slots.values()}), lots):
        waiting = _shuffled(sorted(trial for trial, slot in slots.items() if slot.turn == turn), lots)
        while waiting:
            place = next((i for i, trial in enumerate(waiting) if slots[trial].field not in recent), 0)
            order.append(waiting.pop(place))
            recent.append(slots[order[-1]].field)
    return order


def _place_for_repeat(fields: Sequence[str], field: str, first: int, lots: random.Random) -> int:
    """Choose where a repeat goes: far behind the first, and next to no trial of the same field."""
    free = [
        place
        for place in range(first + 2, len(fields) + 1)
        if fields[place - 1] != field and field not in fields[place : place + 1]
    ]
    far = [place for place in free if place > first + max(_APART, len(fields) // 3)]
    if far:
        return far[int(lots.random() * len(far))]
    return free[-1] if free else len(fields)


def _shuffled(values: Sequence[_T], lots: random.Random) -> list[_T]:
    """Shuffle by `random.random` alone, the one function whose stream is the same in all versions of Python."""
    drawn = [(lots.random(), place) for place in range(len(values))]
    return [values[place] for _, place in sorted(drawn)]


@dataclass(frozen=True)
class FieldBalance:
    """How a field's trials are laid out.

    Attributes
    ----------
    couple : int
    turns : list of int
        Of each kind of trial.
    mirrored : list of bool
        Whether each kind has its sides the other way round.
    """

    couple: int
    turns: list[int]
    mirrored: list[bool]


def balanced_fields(kinds: int, lots: random.Random) -> Iterator[FieldBalance]:
    """Lay out one field after the other, so that kinds are balanced over turns, and their sides over fields.

    Parameters
    ----------
    kinds : int
        Methods, or pairs of methods: as many trials of each field.
    lots : random.Random

    Yields
    ------
    FieldBalance
        Without end. After any number of them, how often a kind is in a turn differs by at most one from any other; of
        the two fields of a couple, one has each kind mirrored.
    """
    square: list[list[int]] = []
    for couple in itertools.count():
        sides = [lots.random() < 0.5 for _ in range(kinds)]
        for other in (False, True):
            square = square or _latin_square(kinds, lots)
            yield FieldBalance(couple, square.pop(), [side != other for side in sides])


def _latin_square(size: int, lots: random.Random) -> list[list[int]]:
    rows, cols, turns = ([*range(size)] for _ in range(3))
    for numbers in (rows, cols, turns):
        lots.shuffle(numbers)
    return [[turns[(row + col) % size] for col in cols] for row in rows]
