"""What is in sight comes first, from the centre outward; views take turns."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.tiles.priority import centre_outward, interleave


def test_the_tile_under_the_centre_is_first_and_corners_are_last() -> None:
    tiles = [(row, col) for row in range(3) for col in range(5)]
    order = centre_outward(tiles, 1.5 * 256, 2.5 * 256, 256)
    assert order[0] == (1, 2)
    assert order[1:5] == [(0, 2), (1, 1), (1, 3), (2, 2)]
    assert set(order[-4:]) == {(0, 0), (0, 4), (2, 0), (2, 4)}


def test_a_view_off_the_middle_of_its_tiles_begins_where_it_looks() -> None:
    assert centre_outward([(0, 0), (0, 1)], 10, 300, 256)[0] == (0, 1)


def test_lists_take_turns() -> None:
    assert list(interleave(["abc", "", "xby", "q"])) == ["a", "x", "q", "b", "c", "y"]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), unique=True), max_size=4))
def test_interleaving_loses_nothing_and_keeps_each_order_of_what_only_it_names(lists: list[list[int]]) -> None:
    merged = list(interleave(lists))
    assert len(merged) == len(set(merged))
    assert set(merged) == {item for requests in lists for item in requests}
    for number, requests in enumerate(lists):
        others = {item for other in lists[:number] + lists[number + 1 :] for item in other}
        own = [item for item in requests if item not in others]
        assert [item for item in merged if item in own] == own
