"""Wish lists take turns, and what was fetched ahead once isn't fetched for ever."""

from __future__ import annotations

from napari_pathsrgan.tiles.grid import TileKey
from napari_pathsrgan.tiles.wishes import WishLists


def keys(*numbers: int) -> list[TileKey]:
    return [TileKey("s", "m", 0, 0, number) for number in numbers]


def test_all_that_is_in_sight_comes_before_anything_fetched_ahead() -> None:
    wishes = WishLists()
    wishes.replace("a", keys(1, 2), keys(8, 2))
    wishes.replace("b", keys(3), keys(9, 1))
    assert wishes.in_order() == keys(1, 3, 2, 8, 9)
    assert wishes.visible() == set(keys(1, 2, 3))
    assert wishes.all() == set(keys(1, 2, 3, 8, 9))


def test_the_list_to_which_a_tile_matters_most_has_had_its_turn() -> None:
    wishes = WishLists()
    wishes.replace("a", keys(1, 2), [])
    wishes.replace("b", keys(2, 3), [])
    (two,) = keys(2)
    assert wishes.take_turn(two).visible[two] == 0
    assert wishes.in_order() == keys(1, 2, 3)
    wishes.replace("a", keys(5, 6), [])
    assert wishes.in_order() == keys(5, 2, 6, 3)
    wishes.take_turn(*keys(5))
    wishes.replace("a", keys(8), [])
    assert wishes.in_order() == keys(2, 8, 3)  # a new list is no new turn


def test_what_was_served_ahead_is_not_lacked_until_it_left_the_list() -> None:
    wishes = WishLists()
    (one,) = keys(1)
    wishes.replace("a", [], [one])
    wishes.serve([one])
    assert not wishes.lack(one)
    wishes.replace("a", keys(4), [one])
    assert not wishes.lack(one)
    wishes.replace("a", [one], [])
    assert wishes.lack(one)  # in sight is another matter
    wishes.replace("a", [], [one])
    assert wishes.lack(one)


def test_removing() -> None:
    wishes = WishLists()
    wishes.replace("a", keys(1), [])
    assert wishes.views() == ["a"]
    assert wishes.remove("a")
    assert not wishes.remove("a")
    assert wishes.in_order() == []
