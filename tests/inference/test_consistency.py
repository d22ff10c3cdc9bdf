"""Where a computed picture disagrees with the scan: invented and lost matter stand out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image

from napari_pathsrgan.errors import ComputedSlideError, StoreMismatchError
from napari_pathsrgan.inference.consistency import Calibration, as_levels, disagreement, model_difference, scan_back
from napari_pathsrgan.inference.consistency_map import ABSENT, ConsistencyMap, computed, stored, write_consistency_map
from napari_pathsrgan.inference.consistency_view import ORANGE, ConsistencyView
from napari_pathsrgan.inference.engine import load_model
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide, super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.slides.computed import Computed, find_computed
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.tiles.grid import TileKey

from .networks import tiny_engine
from .specimens import specimen, write_slide

SIZE_UM = 700.0
NUCLEUS_HR = 17
"""Radius of the nuclei that are erased and invented, 20× pixels: 5 µm."""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuperResolvedSlide]:
    """A phantom seen through the network that ships."""
    written = write_phantom(tmp_path_factory.mktemp("consistency") / "phantom", SIZE_UM, 5, (4,), 0.2)
    with open_slide(written.scans[4]) as slide:
        yield super_resolve(slide, load_model("lite", "cpu", "fp32"))


@pytest.fixture(scope="module")
def whole(phantom: SuperResolvedSlide) -> np.ndarray:
    """The computed 20× picture of all of it."""
    return phantom.read(0, 0, 0, *phantom.grid.level_shapes[0])


def consistency_of(picture: np.ndarray, super_resolved: SuperResolvedSlide) -> np.ndarray:
    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        return picture[row : row + height, col : col + width]

    return ConsistencyMap(super_resolved, read)[:][0]


def disc(shape: tuple[int, ...], centre: tuple[int, int], radius: int) -> np.ndarray:
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return (rows - centre[0]) ** 2 + (cols - centre[1]) ** 2 <= radius**2


def darkest_and_blankest(picture: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """A nucleus, and a place in a cell without one, 20× pixels: by luminance averaged over a nucleus's size."""
    grey = cv2.blur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (2 * NUCLEUS_HR,) * 2)
    border = 200
    inner = grey[border:-border, border:-border]
    dark = np.unravel_index(np.argmin(inner), inner.shape)
    ranked = np.abs(inner - np.quantile(inner, 0.4))  # cytoplasm, or near it
    rows, cols = np.ogrid[: inner.shape[0], : inner.shape[1]]
    ranked[(rows - dark[0]) ** 2 + (cols - dark[1]) ** 2 < 150**2] = np.inf
    blank = np.unravel_index(np.argmin(ranked), inner.shape)
    return tuple(int(at) + border for at in dark), tuple(int(at) + border for at in blank)


def test_an_erased_and_an_invented_nucleus_are_among_the_top_1_percent(
    phantom: SuperResolvedSlide, whole: np.ndarray
) -> None:
    erased, invented = darkest_and_blankest(whole)
    altered = whole.copy()
    hole = disc(whole.shape, erased, NUCLEUS_HR)
    rim = disc(whole.shape, erased, NUCLEUS_HR + 12) & ~disc(whole.shape, erased, NUCLEUS_HR + 6)
    altered[hole] = np.median(whole[rim], axis=0)
    row, col = erased
    span = np.s_[row - NUCLEUS_HR : row + NUCLEUS_HR + 1, col - NUCLEUS_HR : col + NUCLEUS_HR + 1]
    nucleus, inside = whole[span], hole[span]
    row, col = invented
    span = np.s_[row - NUCLEUS_HR : row + NUCLEUS_HR + 1, col - NUCLEUS_HR : col + NUCLEUS_HR + 1]
    altered[span][inside] = nucleus[inside]
    consistency = consistency_of(altered, phantom).astype(float)
    threshold = np.quantile(consistency, 0.99)
    for name, (row, col) in {"erased": erased, "invented": invented}.items():
        place = consistency[row // 4 - 2 : row // 4 + 3, col // 4 - 2 : col // 4 + 3]
        assert np.median(place) > threshold, name
    untouched = consistency_of(whole, phantom)
    assert np.quantile(untouched, 0.99) <= threshold
    for row, col in (erased, invented):
        place = untouched[row // 4 - 2 : row // 4 + 3, col // 4 - 2 : col // 4 + 3]
        assert np.median(place) < threshold, "it stands out for what it is, not for what was changed"


def test_where_nothing_is_wrong_the_deviation_is_the_expected_one(
    phantom: SuperResolvedSlide, whole: np.ndarray
) -> None:
    consistency = consistency_of(whole, phantom)
    cells = consistency[consistency > 0]
    assert 0.3 < np.median(cells) / 10 < 1.5


def test_a_picture_scanned_back_keeps_its_brightness_and_loses_what_is_fine() -> None:
    flat = np.full((256, 256, 3), (180, 120, 200), np.uint8)
    np.testing.assert_allclose(scan_back(flat)[20:-20, 20:-20], np.broadcast_to((180, 120, 200), (24, 24, 3)), atol=0.5)
    stripes = flat.copy()
    stripes[:, ::2] //= 2
    assert np.ptp(scan_back(stripes)[20:-20, 20:-20, 0]) < 2
    assert scan_back(stripes)[32, 32, 0] < 150


def test_tiles_agree_with_one_big_pass(phantom: SuperResolvedSlide, whole: np.ndarray) -> None:
    consistency = ConsistencyMap(phantom, lambda row, col, height, width: whole[row : row + height, col : col + width])
    part = np.s_[:, 230:300, 240:270]  # across the corner of four tiles
    np.testing.assert_array_equal(consistency[:][part], consistency[part])
    rows, cols = phantom.grid.level_shapes[2]
    scan = phantom.slide.read_grid(1.172, 0, 0, rows, cols)
    once = as_levels(disagreement(scan, whole, consistency.calibration))
    apart = np.abs(once.astype(int) - consistency[:][0, 32:-32, 32:-32])
    assert np.mean(apart > 3) < 0.001  # tenths of a deviation: the optics reach a little further than the margin
    assert consistency.level[part].compute().shape == (1, 70, 30)


def test_the_view_puts_orange_on_what_was_invented_and_on_nothing_else(
    phantom: SuperResolvedSlide, whole: np.ndarray
) -> None:
    _, (row, col) = darkest_and_blankest(whole)
    altered = whole.copy()
    altered[disc(whole.shape, (row, col), NUCLEUS_HR)] = (60, 30, 90)
    changed = {}

    def at_hand(key: TileKey) -> np.ndarray:
        rows, cols = phantom.grid.tile_slices(key.level, key.row, key.col)
        changed[key.level] = True
        return (altered if key.level == 0 else altered[::2, ::2])[rows, cols]

    view = ConsistencyView(phantom, at_hand)
    seen = view.read(0, 0, 0, *phantom.grid.level_shapes[0]).astype(int)
    veil = np.abs(seen - altered).max(axis=2)
    nucleus = disc(whole.shape, (row, col), NUCLEUS_HR // 2)
    assert np.median(veil[nucleus]) > 60
    assert np.all(np.median(seen[nucleus], axis=0)[[0, 2]] == pytest.approx(ORANGE[::2], abs=60))
    away = ~disc(whole.shape, (row, col), NUCLEUS_HR + 60)
    assert np.mean(veil[away] > 20) < 0.02
    coarse = view.read(1, 0, 0, *phantom.grid.level_shapes[1]).astype(int)
    assert set(changed) == {0, 1}
    shapes = tuple(2 * (size // 2) for size in whole.shape[:2])
    finer = seen[: shapes[0], : shapes[1]].reshape(shapes[0] // 2, 2, shapes[1] // 2, 2, 3)[:, 0, :, 0]
    assert np.abs(coarse[: finer.shape[0], : finer.shape[1]] - finer).mean() < 1


def test_two_models_differ_where_one_of_them_draws_something() -> None:
    one = np.full((64, 64, 3), 200, np.uint8)
    other = one.copy()
    other[8:12, 20:24] = 140
    apart = model_difference(one, other)
    assert apart.shape == (16, 16)
    assert apart[2, 5] == 60
    assert np.count_nonzero(apart) == 1


def test_the_usual_calibration_serves_where_there_are_no_cells(tmp_path: Path) -> None:
    background = np.random.default_rng(0).integers(236, 240, (200, 200, 3), dtype=np.uint8)
    with open_slide(write_slide(tmp_path / "background.tiff", background)) as slide:
        consistency = ConsistencyMap(super_resolve(slide, tiny_engine()))
        assert consistency.calibration == Calibration()
        assert (consistency[:] == 1).all()


def test_the_map_of_a_part_has_the_values_of_the_whole_map_there_and_none_elsewhere(
    phantom: SuperResolvedSlide, tmp_path: Path
) -> None:
    maps = {}
    for name, region in (("part", (160, 160, 130, 280)), ("whole", None)):
        store_path, map_path = tmp_path / f"{name}.ome.zarr", tmp_path / f"{name}.consistency.ome.zarr"
        write_whole_slide(phantom, store_path, region)
        store = PyramidStore.open(store_path)
        write_consistency_map(phantom, store, map_path)
        maps[name] = np.asarray(zarr.open_group(map_path, mode="r")["0"])[0].astype(float)
        assert find_computed(map_path) == Computed("map", "lite", store.areas)
    computed = np.zeros(maps["part"].shape, bool)
    computed[128:256, 128:384] = True  # the two blocks that the region touches
    assert (maps["part"][~computed] == ABSENT).all()
    part, whole = maps["part"][computed], maps["whole"][computed]
    assert part.min() >= 1
    assert part.mean() == pytest.approx(whole.mean(), rel=0.3)
    assert np.corrcoef(part, whole)[0, 1] > 0.95
    with open_slide(tmp_path / "part.consistency.ome.zarr") as slide, pytest.raises(ComputedSlideError, match="a map"):
        super_resolve(slide, phantom.runner)


def test_the_edge_of_a_part_has_the_values_of_the_middle_of_the_whole(phantom: SuperResolvedSlide) -> None:
    whole = ConsistencyMap(phantom)
    part = ConsistencyMap(phantom, has_block=lambda row, col: (row, col) == (1, 1))
    part._calibration = whole.calibration
    np.testing.assert_array_equal(part[:, 128:256, 128:256], whole[:, 128:256, 128:256])


def test_a_damaged_place_is_absent_from_the_map(phantom: SuperResolvedSlide, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> np.ndarray:
        raise phantom.slide._unreadable("there")

    monkeypatch.setattr(phantom.slide, "read_grid", damaged)
    assert (ConsistencyMap(phantom).tile(0, 0) == ABSENT).all()


def test_a_map_beside_an_export_is_an_ome_zarr(tmp_path: Path) -> None:
    with open_slide(write_slide(tmp_path / "slide.tiff", specimen(200, 460))) as slide:
        view, other = (super_resolve(slide, load) for load in (tiny_engine(), load_model("lite", "cpu", "fp32")))
        write_whole_slide(view, tmp_path / "out.ome.zarr", region=(0, 0, 200, 200))
        store = PyramidStore.open(tmp_path / "out.ome.zarr")
        path, told = tmp_path / "out.consistency.ome.zarr", []
        write_consistency_map(view, store, path, other, lambda done, total: told.append((done, total)))
        write_consistency_map(view, store, path, other)
        assert told[-1][0] == told[-1][1]
        group = zarr.open_group(path, mode="r")
        image = Image.from_zarr(group)
        assert image.ome_attributes.multiscales[0].datasets[0].coordinateTransformations[0].scale == [1, 1.172, 1.172]
        finest, coarser = (np.asarray(group[level]) for level in ("0", "1"))
        assert finest.shape == (2, *view.grid.level_shapes[2])
        np.testing.assert_array_equal(
            finest, ConsistencyMap(view, stored(view, store), other, partial(store.has, 0))[:]
        )
        assert (finest[:, :, 256:] == ABSENT).all(), "blocks from the third column on are not computed"
        assert (finest[:, :, :256] >= 1).all()
        assert coarser[0].max() == finest[0].max()
        lazily = ConsistencyMap(view, computed(view))
        np.testing.assert_array_equal(lazily.tile(0, 0)[0].shape, finest[0, :256, :256].shape)
        (tmp_path / "mine.zarr").mkdir()
        with pytest.raises(StoreMismatchError, match="no consistency map"):
            write_consistency_map(view, store, tmp_path / "mine.zarr")
