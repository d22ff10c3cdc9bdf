"""An output of a part of a slide: what is not computed looks the same on every level, and the output says where."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import ComputedSlideError
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide, super_resolve
from napari_pathsrgan.inference.whole_slide import in_threads, write_whole_slide
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.tiles.grid import PyramidGrid

from .networks import tiny_engine
from .specimens import texture, write_slide

BLOCK_UM = 128 * 1.172
FIRST = (BLOCK_UM * 1.2, BLOCK_UM * 1.2, BLOCK_UM * 0.5, BLOCK_UM * 0.5)
"""Inside block (1, 1)."""
SECOND = (BLOCK_UM * 0.1, BLOCK_UM * 0.1, BLOCK_UM * 0.5, BLOCK_UM * 1.5)
"""Inside blocks (0, 0) and (0, 1)."""


@pytest.fixture(scope="module")
def super_resolved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuperResolvedSlide]:
    """3 × 3 blocks in five levels, all of it cells."""
    path = write_slide(tmp_path_factory.mktemp("slide") / "slide.tiff", texture(300, 250))
    with open_slide(path) as slide:
        view = super_resolve(slide, tiny_engine(), skip_background=False)
        view.grid = PyramidGrid.over_slide(slide.grid_shape(1.172), 1.172, coarsest_px=100)
        yield view


def level_pixels(store: PyramidStore, level: int) -> np.ndarray:
    return np.moveaxis(np.asarray(store.array(level)[:]), 0, -1)


def test_coarse_levels_show_what_the_finest_level_shows(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path = tmp_path / "part.ome.zarr"
    for region, blocks in ((FIRST, {(1, 1)}), (SECOND, {(0, 0), (0, 1), (1, 1)})):
        write_whole_slide(super_resolved, path, region)
        store = PyramidStore.open(path)
        assert set(store.tiles(0)) == blocks
        for level in range(super_resolved.grid.n_levels):
            pixels, side = level_pixels(store, level), 512 >> level
            computed = np.zeros(pixels.shape[:2], bool)
            for row, col in blocks:
                computed[row * side : (row + 1) * side, col * side : (col + 1) * side] = True
            exact = super_resolved.levels[level].compute()
            np.testing.assert_array_equal(pixels[computed], exact[computed])
            assert (pixels[~computed] == 255).all()


def test_parts_one_after_the_other_end_as_one_run_does(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    for region in (FIRST, SECOND, None):
        write_whole_slide(super_resolved, tmp_path / "parts.ome.zarr", region)
    write_whole_slide(super_resolved, tmp_path / "whole.ome.zarr")
    parts, whole = (PyramidStore.open(tmp_path / f"{name}.ome.zarr") for name in ("parts", "whole"))
    for level in range(super_resolved.grid.n_levels):
        np.testing.assert_array_equal(level_pixels(parts, level), level_pixels(whole, level))
    assert parts.areas == whole.areas
    assert whole.areas.complete
    assert whole.areas.rectangles_um == (pytest.approx((0, 0, *whole_extent(super_resolved))),)


def whole_extent(super_resolved: SuperResolvedSlide) -> tuple[float, float]:
    rows, cols = super_resolved.grid.level_shapes[0]
    return rows * 0.293, cols * 0.293


def test_an_output_names_the_areas_that_are_computed(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    write_whole_slide(super_resolved, tmp_path / "part.ome.zarr", SECOND)
    areas = PyramidStore.open(tmp_path / "part.ome.zarr").areas
    assert not areas.complete
    assert areas.rectangles_um == (pytest.approx((0, 0, BLOCK_UM, 2 * BLOCK_UM)),)


def test_a_run_that_is_interrupted_names_what_it_computed(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    def stopping(view, store, jobs):
        yield from in_threads(view, store, [dataclasses.replace(jobs[0], tiles=jobs[0].tiles[:1])])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole_slide(super_resolved, tmp_path / "part.ome.zarr", SECOND, executor=stopping)
    store = PyramidStore.open(tmp_path / "part.ome.zarr")
    assert store.areas.rectangles_um == (pytest.approx((0, 0, BLOCK_UM, BLOCK_UM)),)
    assert (level_pixels(store, 2) == 255).all()


def test_a_computed_image_is_not_upscaled_again(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    write_whole_slide(super_resolved, tmp_path / "part.ome.zarr", FIRST)
    with (
        open_slide(tmp_path / "part.ome.zarr") as slide,
        pytest.raises(ComputedSlideError, match="is no scan, but a computed image"),
    ):
        super_resolve(slide, tiny_engine())
