"""Previews are drawn at once and ask for tiles; exact levels compute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_pathsrgan.errors import LayerTooLargeError
from napari_pathsrgan.inference.derived_source import DerivedSource
from napari_pathsrgan.inference.network_parts import Pictures
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.plugin.layers.computed_layer import SlideView
from napari_pathsrgan.plugin.layers.view_kinds import BICUBIC, CONSISTENCY, SR_10, SR_20
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.tiles.cache import TileCache
from napari_pathsrgan.tiles.grid import TileKey, TilePart
from napari_pathsrgan.tiles.product import SCAN, Product
from napari_pathsrgan.tiles.scheduler import TileState


class Darkener:
    """A model that needs no torch: pixels repeated, and darker by 40."""

    product = Product("computed", "darkener")
    halo = 16
    card = ModelCard(name="darkener", preset="lite", halo_lr_px=16)

    def __init__(self) -> None:
        self.runs = 0

    def run(self, window: np.ndarray, stage: int, background: Any = None, halo: int = 0) -> Pictures:
        self.runs += 1
        core = window[halo:-halo, halo:-halo] // 2
        mr, hr = (core.repeat(factor, 0).repeat(factor, 1) for factor in (2, 4))
        return Pictures(mr, hr if stage == 2 else None, [])


class Notebook:
    """A scheduler that only notes what is wanted."""

    def __init__(self, cache: TileCache) -> None:
        self.cache = cache
        self.running: set[TileKey] = set()
        self.lists: dict[Any, tuple[list[TileKey], list[TileKey]]] = {}

    def want(self, view: Any, keys: Any, prefetch: Any = ()) -> None:
        self.lists[view] = (list(keys), list(prefetch))

    def forget(self, view: Any) -> None:
        self.lists.pop(view, None)

    def state(self, key: TileKey) -> TileState:
        if key in self.cache:
            return TileState.READY
        return TileState.RUNNING if key in self.running else TileState.ABSENT


@pytest.fixture
def super_resolved(slide_path: Path) -> Iterator[SuperResolvedSlide]:
    with open_slide(slide_path) as slide:
        yield SuperResolvedSlide(slide, Darkener())


@pytest.fixture
def make_view(super_resolved: SuperResolvedSlide) -> Any:
    grid = super_resolved.grid
    overview = super_resolved.read(grid.n_levels - 1, 0, 0, *grid.level_shapes[-1])

    def make(kind: Any) -> tuple[SlideView, TileCache, Notebook]:
        cache = TileCache(2**28)
        notebook = Notebook(cache)
        return SlideView(kind, super_resolved, overview, cache, notebook), cache, notebook

    return make


def test_a_preview_asks_for_tiles_and_its_exact_level_computes_them(
    make_view: Any, super_resolved: SuperResolvedSlide
) -> None:
    view, cache, notebook = make_view(SR_20)
    level = view.levels()[0]
    region = np.s_[600:900, 700:1200]
    soft = level.preview[region]
    assert super_resolved.runner.runs == 0
    wanted, around = notebook.lists[view]
    assert {(key.row, key.col) for key in wanted} == {(1, 1), (1, 2)}
    assert len(around) == 10
    exact = level[region]
    assert super_resolved.runner.runs == 2
    assert exact.shape == soft.shape == (300, 500, 3)
    assert np.abs(exact.astype(int) - soft).mean() > 40

    for key in wanted:
        cache.put(key, super_resolved.compute_tile(key.level, key.row, key.col))
    np.testing.assert_array_equal(level.preview[region], exact)


def test_a_level_gives_the_same_pixels_whoever_asks(make_view: Any) -> None:
    view, _, notebook = make_view(SR_10)
    level = view.levels()[0]
    module = ModuleType("napari.layers.pretended")
    exec("def read(array, index):\n    return array[index]", module.__dict__)
    region = np.s_[300:420, 350:500]
    np.testing.assert_array_equal(module.read(level, region), level[region])
    assert not notebook.lists
    np.testing.assert_array_equal(module.read(level.preview, region), level.preview[region])


def test_more_than_can_be_waited_for_is_refused_in_words(
    make_view: Any, super_resolved: SuperResolvedSlide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_pathsrgan.plugin.layers.computed_layer.LARGEST_READ_PX", 256**2)
    levels = make_view(SR_20)[0].levels()
    assert levels[0][:1024, :1024].shape == (1024, 1024, 3)
    runs = super_resolved.runner.runs
    with pytest.raises(
        LayerTooLargeError, match=r"1024 × 1028 px of “SR-20×.*1024 × 1024 px are not.*pathsrgan upscale"
    ):
        levels[0][:1024, :1028]
    with pytest.raises(LayerTooLargeError):
        np.asarray(levels[1])
    assert super_resolved.runner.runs == runs
    assert np.asarray(levels[2]).shape == levels[2].shape  # the slide's own pixels cost little


def test_indexing_is_numpys(make_view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_pathsrgan.plugin.layers.computed_layer.LARGEST_READ_PX", 2**22)
    view, _, _ = make_view(SR_10)
    level = view.levels()[0]
    whole = np.asarray(level)
    assert whole.shape == level.shape
    assert level.size == whole.size
    for index in (np.s_[5, 7], np.s_[5:9, 7:20, 1], np.s_[..., 2], np.s_[-1], np.s_[10:10, 3:4]):
        np.testing.assert_array_equal(level[index], whole[index])
        assert level.preview[index].shape == whole[index].shape


def test_the_coarsest_level_asks_for_nothing(make_view: Any, super_resolved: SuperResolvedSlide) -> None:
    view, _, notebook = make_view(SR_20)
    coarsest = view.levels()[-1]
    np.testing.assert_array_equal(
        np.asarray(coarsest), super_resolved.levels[super_resolved.grid.n_levels - 1].compute()
    )
    coarsest.preview[0:100, 0:100]
    assert notebook.lists[view] == ([], [])
    assert not view.requested


def test_coarse_levels_never_run_the_network(make_view: Any, super_resolved: SuperResolvedSlide) -> None:
    view, _, _ = make_view(SR_20)
    view.levels()[2].preview[100:400, 100:400]
    assert {key.level for key in view.requested} == {2}
    assert {key.product for key in view.requested} == {SCAN}
    view.levels()[2][100:400, 100:400]
    assert super_resolved.runner.runs == 0


REGION = slice(400, 1100), slice(700, 1500)
"""In pixels of 20×, over 3 × 2 tiles: (0, 1) to (2, 2), none of them whole but (1, 2)."""


def at_rest(view: SlideView, rows: slice = REGION[0], cols: slice = REGION[1]) -> None:
    view.request_visible(0, rows, cols, at_rest=True)


def test_a_moving_view_asks_for_whole_tiles_and_one_at_rest_for_what_is_in_sight(make_view: Any) -> None:
    view, _, notebook = make_view(SR_20)
    view.levels()[0].preview[REGION]
    wanted, _ = notebook.lists[view]
    assert {key.part for key in wanted} == {None}
    at_rest(view)
    parts, around = notebook.lists[view]
    assert [key.whole for key in parts] == wanted
    assert {(key.row, key.col): key.part for key in parts} == {
        (0, 1): TilePart(3, 1, 4, 4),
        (0, 2): TilePart(3, 0, 4, 4),
        (1, 1): TilePart(0, 1, 4, 4),
        (1, 2): None,
        (2, 1): TilePart(0, 1, 1, 4),
        (2, 2): TilePart(0, 0, 1, 4),
    }
    assert {key for key in wanted if key not in parts} <= set(around)  # what is beyond the edge comes later
    assert len(around) == 5 + 10


def test_parts_are_drawn_where_they_are(make_view: Any, super_resolved: SuperResolvedSlide) -> None:
    view, cache, notebook = make_view(SR_20)
    exact = view.levels()[0][np.s_[REGION]]
    soft = view.levels()[0].preview[REGION]
    at_rest(view)
    for key in notebook.lists[view][0]:
        tile = super_resolved.compute_tile(*key.place)
        cache.put(key, tile if key.part is None else tile[key.part.pixels(0)])
    drawn = view.levels()[0].preview[REGION]
    np.testing.assert_array_equal(drawn, exact)
    assert np.abs(drawn.astype(int) - soft).mean() > 40
    beyond = view.levels()[0].preview[REGION[0], 600:1500][:, :40]
    assert np.abs(beyond.astype(int) - super_resolved.read(0, 400, 600, 700, 40)).mean() > 40  # soft still


def test_napari_slicing_anew_for_tiles_that_came_changes_no_requests(make_view: Any) -> None:
    view, _, notebook = make_view(SR_20)
    view.levels()[0].preview[REGION]
    at_rest(view)
    before = dict(notebook.lists)
    view.levels()[0].preview[REGION]
    assert notebook.lists == before
    view.levels()[0].preview[400:1100, 828:1628]
    assert {key.part for key in notebook.lists[view][0]} == {None}
    view.cancel_requests()
    view.levels()[0].preview[400:1100, 828:1628]
    assert view in notebook.lists


def test_no_part_of_a_tile_is_computed_twice(make_view: Any) -> None:
    view, cache, notebook = make_view(SR_20)
    at_rest(view)
    (part,) = (key for key in notebook.lists[view][0] if (key.row, key.col) == (1, 1))

    def wanted_of_it() -> TileKey:
        (found,) = (key for key in notebook.lists[view][0] if (key.row, key.col) == (1, 1))
        return found

    notebook.running.add(part)
    at_rest(view, slice(600, 1000), slice(800, 1500))
    assert wanted_of_it() == part  # which holds all of what is in sight now
    cache.put(part, np.zeros((512, 384, 3), np.uint8))
    at_rest(view, slice(600, 1000), slice(800, 1500))
    assert wanted_of_it() == part
    at_rest(view, slice(600, 1000), slice(530, 1500))
    assert wanted_of_it() == part.whole  # not the rest, with a halo of its own, and again a rest of that
    notebook.running.add(part.whole)
    at_rest(view)
    assert wanted_of_it() == part.whole


def test_what_lies_beyond_the_edge_is_drawn_when_it_comes(make_view: Any) -> None:
    view, _, notebook = make_view(SR_20)
    at_rest(view)
    (part,) = (key for key in notebook.lists[view][0] if (key.row, key.col) == (0, 1))
    assert view.shows({part})
    assert view.shows({part.whole})
    assert not view.shows({key for key in notebook.lists[view][1] if (key.row, key.col) == (3, 3)})


@pytest.mark.parametrize("kind", [BICUBIC, CONSISTENCY], ids=lambda kind: kind.name)
def test_other_pictures_come_in_whole_tiles(make_view: Any, kind: Any) -> None:
    view, _, notebook = make_view(kind)
    at_rest(view)
    assert {key.part for key in notebook.lists[view][0]} == {None}


def test_forgetting_empties_the_requests(make_view: Any) -> None:
    view, _, notebook = make_view(SR_20)
    view.levels()[0].preview[0:400, 0:400]
    assert len(notebook.lists) == 2
    view.cancel_requests()
    assert not notebook.lists
    assert not view.requested


def test_exchange_keeps_the_arrays_and_refuses_another_grid(make_view: Any, slide_path: Path) -> None:
    view, _, old = make_view(SR_20)
    level = view.levels()[0]
    level.preview[0:400, 0:400]
    with open_slide(slide_path) as slide:
        runner = Darkener()
        runner.product = Product("computed", "another")
        new = Notebook(TileCache(2**28))
        view.set_model(SuperResolvedSlide(slide, runner), new)
        assert not old.lists
        level.preview[0:400, 0:400]
        assert {key.product.model for key in new.lists[view][0]} == {"another"}
        coarser = Darkener()
        coarser.card = ModelCard(name="x", preset="lite", mpp_in=1.2, mpp_mr=0.6, mpp_hr=0.3, halo_lr_px=16)
        with pytest.raises(ValueError, match="grid"):
            view.set_model(SuperResolvedSlide(slide, coarser), new)


class NowPool:
    """Runs what is submitted at once."""

    def submit(self, work: Any, *arguments: Any) -> None:
        work(*arguments)


def test_bicubic_tiles_are_of_no_model_and_exact(make_view: Any, super_resolved: SuperResolvedSlide) -> None:
    view, cache, notebook = make_view(BICUBIC)
    level = view.levels()[0]
    region = np.s_[100:300, 100:300]
    level.preview[region]
    (key,) = notebook.lists[view][0]
    assert key.product == Product("bicubic")
    source = DerivedSource(lambda _: super_resolved, NowPool(), BICUBIC, cache.get)
    assert source.accepts(key)
    assert not source.accepts(super_resolved.key(0, 0, 0))
    assert not source.accepts(super_resolved.key(2, 0, 0))
    told: list[Any] = []
    source.start((key,), lambda tiles, error: told.append((tiles, error)))
    ((tiles, error),) = told
    assert error is None
    cache.put(key, tiles[key])
    np.testing.assert_array_equal(level.preview[region], level[region])
    assert super_resolved.runner.runs == 0


def test_the_consistency_view_is_under_a_veil(make_view: Any, super_resolved: SuperResolvedSlide) -> None:
    view, cache, notebook = make_view(CONSISTENCY)
    level = view.levels()[0]
    level.preview[600:900, 700:800]
    (key,) = notebook.lists[view][0]
    assert key.product == Product("consistency", "darkener")
    source = DerivedSource(lambda _: super_resolved, NowPool(), CONSISTENCY, cache.get)
    assert source.accepts(key)
    assert not any(map(source.accepts, (super_resolved.key(0, 0, 0), TileKey("s", Product("bicubic"), 0, 0, 0))))
    told: list[Any] = []
    for wanted in (key, key._replace(level=1)):
        source.start((wanted,), lambda tiles, error: told.append((dict(tiles), error)))
    assert [error for _, error in told] == [None, None]
    for tiles, _ in told:
        cache.put(*next(iter(tiles.items())))
    fine, coarse = (next(iter(tiles.values())) for tiles, _ in told)
    assert (fine.shape, coarse.shape) == ((512, 512, 3), (256, 256, 3))
    np.testing.assert_array_equal(level.preview[600:900, 700:800], level[600:900, 700:800])
    source = DerivedSource(lambda _: None, NowPool(), CONSISTENCY, cache.get)
    source.start((key,), lambda tiles, error: told.append((dict(tiles), error)))
    assert told[-1] == ({}, None)


def test_a_bicubic_tile_that_fails_is_told(super_resolved: SuperResolvedSlide, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    key = TileKey(super_resolved.slide.cache_id, Product("bicubic"), 0, 0, 0)

    def fail(*_: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(super_resolved, "read_bicubic", fail)
    for found in (super_resolved, None):
        source = DerivedSource(lambda _, found=found: found, NowPool(), BICUBIC, lambda _: None)
        source.start((key,), lambda tiles, error: told.append((dict(tiles), str(error))))
    assert told == [({}, "gone"), ({}, "None")]
