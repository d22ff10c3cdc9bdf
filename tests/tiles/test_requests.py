"""Requests take turns, and what was fetched ahead once isn't fetched for ever."""

from __future__ import annotations

from napari_pathsrgan.tiles.grid import TileKey
from napari_pathsrgan.tiles.requests import RequestQueue


def keys(*numbers: int) -> list[TileKey]:
    return [TileKey("s", "m", 0, 0, number) for number in numbers]


def test_all_that_is_in_sight_comes_before_anything_fetched_ahead() -> None:
    requests = RequestQueue()
    requests.replace("a", keys(1, 2), keys(8, 2))
    requests.replace("b", keys(3), keys(9, 1))
    assert requests.in_order() == keys(1, 3, 2, 8, 9)
    assert requests.visible() == set(keys(1, 2, 3))
    assert requests.all() == set(keys(1, 2, 3, 8, 9))


def test_the_list_to_which_a_tile_matters_most_has_had_its_turn() -> None:
    requests = RequestQueue()
    requests.replace("a", keys(1, 2), [])
    requests.replace("b", keys(2, 3), [])
    (two,) = keys(2)
    assert requests.take_turn(two).visible[two] == 0
    assert requests.in_order() == keys(1, 2, 3)
    requests.replace("a", keys(5, 6), [])
    assert requests.in_order() == keys(5, 2, 6, 3)
    requests.take_turn(*keys(5))
    requests.replace("a", keys(8), [])
    assert requests.in_order() == keys(2, 8, 3)  # a new list is no new turn


def test_what_was_served_ahead_is_not_lacked_until_it_left_the_list() -> None:
    requests = RequestQueue()
    (one,) = keys(1)
    requests.replace("a", [], [one])
    requests.serve([one])
    assert not requests.lack(one)
    requests.replace("a", keys(4), [one])
    assert not requests.lack(one)
    requests.replace("a", [one], [])
    assert requests.lack(one)  # in sight is another matter
    requests.replace("a", [], [one])
    assert requests.lack(one)


def test_removing() -> None:
    requests = RequestQueue()
    requests.replace("a", keys(1), [])
    assert requests.views() == ["a"]
    assert requests.remove("a")
    assert not requests.remove("a")
    assert requests.in_order() == []
