"""What an image of a slide is known by."""

from __future__ import annotations

import json
import pickle

import pytest

from napari_pathsrgan.tiles.product import SCAN, Product

COMPUTED = Product("computed", "abc")
OTHERS = (
    SCAN,
    Product("bicubic"),
    Product("computed", "abd"),
    COMPUTED._replace(content="consistency"),
    COMPUTED._replace(precision="int8"),
    COMPUTED._replace(merge="blended"),
    COMPUTED._replace(conditioning="9f"),
)


def test_a_product_is_a_value_that_is_hashed_ordered_and_sent_to_other_processes() -> None:
    again = pickle.loads(pickle.dumps(COMPUTED))
    assert (again, hash(again), again.text) == (COMPUTED, hash(COMPUTED), COMPUTED.text)
    assert len({COMPUTED, again, *OTHERS}) == 1 + len(OTHERS)
    assert sorted([*OTHERS, COMPUTED])[0] == Product("bicubic")


@pytest.mark.parametrize("other", OTHERS)
def test_products_that_differ_in_anything_have_different_texts(other: Product) -> None:
    assert other.text != COMPUTED.text


def test_the_text_is_json_whatever_a_model_is_called() -> None:
    odd = Product("computed", 'a+int8"trust of +blend')
    assert json.loads(odd.text) == odd._asdict()
    assert not odd.is_preview
    assert COMPUTED._replace(precision="int8").is_preview
