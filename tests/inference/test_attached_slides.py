"""Tiles find their slide and model by what their keys carry."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from napari_pathsrgan.inference.attached_slides import AttachedSlides
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.tiles.grid import TileKey
from napari_pathsrgan.tiles.product import SCAN, Product

FIRST, SECOND = Product("computed", "a"), Product("computed", "b")


def seen(slide: str, product: Product) -> Any:
    """A slide through a model, without either's files."""
    view: Any = SuperResolvedSlide.__new__(SuperResolvedSlide)
    view.slide, view.runner = SimpleNamespace(cache_id=slide), SimpleNamespace(product=product)
    return view


def key(slide: str, product: Product) -> TileKey:
    return TileKey(slide, product, 0, 1, 2)


def test_a_tile_is_made_through_the_slide_and_model_of_its_key() -> None:
    sources = AttachedSlides()
    views = [seen("one", FIRST), seen("one", SECOND), seen("two", SECOND)]
    for view in views:
        sources.attach(view)
    assert sources.find(key("one", FIRST)) is views[0]
    assert sources.find(key("one", SECOND)) is views[1]
    assert sources.find(key("two", SECOND._replace(content="consistency"))) is views[2]
    assert sources.find(key("two", Product("bicubic"))) is views[2]
    assert sources.find(key("one", SCAN)) in views[:2]
    for nobodys in (
        key("two", FIRST),
        key("three", SCAN),
        key("one", FIRST._replace(precision="int8")),
        key("one", FIRST._replace(merge="blended")),
        key("one", FIRST._replace(conditioning="9f")),
    ):
        assert sources.find(nobodys) is None


def test_a_slide_shown_twice_is_served_until_both_are_gone() -> None:
    sources = AttachedSlides()
    twice = [seen("one", FIRST), seen("one", FIRST)]
    for view in twice:
        sources.attach(view)
    assert not sources.detach(twice[0])
    assert sources.find(key("one", FIRST)) is twice[1]
    assert sources.detach(twice[1])
    assert sources.find(key("one", SCAN)) is None
    assert sources.detach(twice[1])  # once more changes nothing
