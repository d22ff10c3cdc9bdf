"""A slide through a model: every way to the same pixel gives the same pixel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import pytest

from napari_pathsrgan.errors import CardMismatchError, SlideTooCoarseError
from napari_pathsrgan.inference.engine import Engine
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide, super_resolve
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.slide import Slide
from napari_pathsrgan.tiles.grid import TileKey

from .networks import TINY, lively, tiny_engine
from .specimens import specimen, write_slide


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    """A slide of 213 × 307 px at 4×: 267 × 384 input pixels, 3 × 3 blocks; its right third is background."""
    path = write_slide(tmp_path_factory.mktemp("slide") / "case.svs", specimen(213, 307, cells_end=0.66))
    with open_slide(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def view(slide: Slide) -> SuperResolvedSlide:
    return super_resolve(slide, tiny_engine())


@pytest.fixture(scope="module")
def whole(view: SuperResolvedSlide) -> list[np.ndarray]:
    with dask.config.set(scheduler="synchronous"):
        return [level.compute() for level in view.levels]


def test_shapes_and_pixel_sizes_of_the_levels(slide: Slide, view: SuperResolvedSlide) -> None:
    rows, cols = slide.grid_shape(1.172)
    assert (rows, cols) == (267, 384)
    assert [level.shape for level in view.levels][:3] == [(1068, 1536, 3), (534, 768, 3), (267, 384, 3)]
    assert view.grid.level_mpps[:3] == (0.293, 0.586, 1.172)
    assert {level.dtype for level in view.levels} == {np.dtype(np.uint8)}
    assert all(max(level.chunksize) <= 512 for level in view.levels)


def test_asking_for_levels_computes_nothing(slide: Slide, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_engine()
    monkeypatch.setattr(Engine, "run", lambda *_, **__: pytest.fail("a network ran"))
    view = super_resolve(slide, model)
    assert view.levels[0][100:200, 50:90].shape == (100, 40, 3)


REGIONS = [(0, 0, 1, 1), (513, 1, 7, 1500), (500, 500, 37, 53), (1001, 1301, 67, 235), (255, 767, 514, 3)]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("level", [0, 1])
def test_a_region_is_exact_whichever_way(
    view: SuperResolvedSlide, whole: list[np.ndarray], level: int, region: tuple[int, int, int, int]
) -> None:
    row, col, height, width = (part >> level for part in region)
    height, width = max(height, 1), max(width, 1)
    wanted = whole[level][row : row + height, col : col + width]
    assert np.array_equal(view.read(level, row, col, height, width), wanted)
    assert np.array_equal(view.levels[level][row : row + height, col : col + width].compute(), wanted)
    assert np.array_equal(np.asarray(view.levels[level][row, col]), wanted[0, 0])


@pytest.mark.parametrize("level", range(3))
def test_tiles_are_exact_and_cropped_to_the_slide(
    view: SuperResolvedSlide, whole: list[np.ndarray], level: int
) -> None:
    seen = np.zeros(whole[level].shape[:2], int)
    for row, col in np.ndindex(view.grid.n_tiles(level)):
        inside = view.grid.tile_slices(level, row, col)
        assert np.array_equal(view.compute_tile(level, row, col), whole[level][inside])
        seen[inside] += 1
    assert np.all(seen == 1)


def test_levels_from_2_on_are_the_slides_own_pixels(
    slide: Slide, view: SuperResolvedSlide, whole: list[np.ndarray]
) -> None:
    for level in range(2, view.grid.n_levels):
        rows, cols = view.grid.level_shapes[level]
        assert np.array_equal(whole[level], slide.read_grid(view.grid.level_mpps[level], 0, 0, rows, cols))


def test_blocks_together_give_the_pixels_of_blocks_alone(view: SuperResolvedSlide) -> None:
    """What the window computes in one go, 2 × 2 blocks, to the bit as tiles computed one by one."""
    window = view.read_window(0, 1, 2, 2)
    pictures = view.runner.run(window, 2, view.background, view.runner.halo)
    tiles = dict(view.cut_tiles(0, 1, 2, 2, pictures))
    assert set(tiles) == {view.key(level, row, col) for level in (0, 1) for row in (0, 1) for col in (1, 2)}
    for key, tile in tiles.items():
        alone = view.compute_tile(key.level, key.row, key.col)
        assert tile.shape == alone.shape
        assert np.array_equal(tile, alone)
        assert tile.base is None  # no part of a bigger picture, which would stay in memory with it


def test_a_block_at_the_edge_is_its_own_mirror_image_beyond(slide: Slide, view: SuperResolvedSlide) -> None:
    window = view.read_window(0, 0, 1, 1)
    halo = view.runner.halo
    assert window.shape == (128 + 2 * halo, 128 + 2 * halo, 3)
    assert np.array_equal(window[halo:, halo:], slide.read_grid(1.172, 0, 0, 128 + halo, 128 + halo))
    apart = np.abs(window[:halo].astype(int) - window[halo : 2 * halo][::-1].astype(int)).mean()
    unrelated = np.abs(window[:halo].astype(int) - window[2 * halo : 3 * halo].astype(int)).mean()
    assert apart < unrelated / 2


def test_bicubic_pixels_are_exact_for_any_region(view: SuperResolvedSlide) -> None:
    big = view.read_bicubic(0, 0, 0, 400, 400)
    assert np.array_equal(view.read_bicubic(0, 37, 101, 55, 200), big[37:92, 101:301])


def test_background_is_skipped_unless_told(slide: Slide) -> None:
    model = tiny_engine()
    assert super_resolve(slide, model).background is not None
    assert super_resolve(slide, model, skip_background=False).background is None


def test_keys_tell_models_apart_but_share_slide_pixels(slide: Slide, view: SuperResolvedSlide) -> None:
    other = super_resolve(slide, Engine(lively("lite", seed=1, **TINY), ModelCard(name="o", preset="lite"), "cpu"))
    assert view.key(0, 1, 2) == TileKey(slide.cache_id, view.runner.product, 0, 1, 2)
    assert view.key(0, 1, 2) != other.key(0, 1, 2)
    assert view.key(2, 0, 0) == other.key(2, 0, 0)
    assert view.levels[0].name != other.levels[0].name


def test_a_40x_slide_works_and_says_that_it_is_resampled(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "forty.svs", specimen(700, 900), mpp=0.25, power=40)
    with open_slide(path) as slide:
        view = super_resolve(slide, tiny_engine())
        assert "0.25 µm/px" in view.resampling_note
        assert "1.172" in view.resampling_note
        assert view.levels[0].shape == (4 * 150, 4 * 192, 3)
        assert view.read(0, 10, 10, 50, 60).shape == (50, 60, 3)


def test_a_4x_slide_needs_no_note(view: SuperResolvedSlide) -> None:
    assert view.resampling_note == ""


@pytest.mark.parametrize(("mpp", "fits"), [(1.465 * 1.14, True), (1.465 * 1.16, False), (2.93, False)])
def test_a_slide_too_coarse_is_refused_in_words(tmp_path: Path, mpp: float, fits: bool) -> None:
    path = write_slide(tmp_path / "coarse.svs", specimen(300, 300), mpp=mpp, power=2)
    with open_slide(path) as slide:
        if fits:
            super_resolve(slide, tiny_engine())
            return
        with pytest.raises(SlideTooCoarseError, match=r"coarse\.svs has .* µm/px") as caught:
            super_resolve(slide, tiny_engine())
        assert "--mpp" in caught.value.remedy


def test_a_card_that_does_not_fit_is_refused(slide: Slide) -> None:
    network = lively("lite", **TINY)
    shallow = Engine(network, ModelCard(name="shallow", preset="lite", halo_lr_px=8), "cpu", "fp32")
    with pytest.raises(CardMismatchError, match="8 px of context"):
        super_resolve(slide, shallow)
    wrong = tiny_engine()
    wrong.card = ModelCard(name="wrong", preset="lite", mpp_hr=0.5)
    with pytest.raises(CardMismatchError, match="20×"):
        super_resolve(slide, wrong)
