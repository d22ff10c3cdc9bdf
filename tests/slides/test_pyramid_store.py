from __future__ import annotations

import errno
import itertools
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from napari_ome_zarr import napari_get_reader
from ome_zarr_models.v05 import Image

from napari_pathsrgan.errors import OutputError, StoreMismatchError
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .synthetic import noise

SHAPES = [(700, 1100), (350, 550), (175, 275)]
MPPS = [0.293, 0.586, 1.172]
TILES = [512, 256, 256]


def make(path: Path, slide: str = "slide-1", model: str = "model-1", **changes: Any) -> PyramidStore:
    layout = {"level_shapes": SHAPES, "level_mpps": MPPS, "tile_px": TILES} | changes
    return PyramidStore.open_or_create(
        path, **layout, slide_fingerprint=slide, product=model, slide_name="case-17", model_name="lite"
    )


@pytest.fixture
def store(tmp_path: Path) -> PyramidStore:
    return make(tmp_path / "sr.ome.zarr")


def files_in(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


# ---- tiles in and out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "shape"),
    [
        ((0, 0, 0), (512, 512)),
        ((0, 1, 2), (188, 76)),
        ((0, 0, 2), (512, 76)),
        ((1, 1, 0), (94, 256)),
        ((2, 0, 1), (175, 19)),
    ],
    ids=str,
)
def test_a_tile_comes_back_as_it_was_written(
    store: PyramidStore, tile: tuple[int, int, int], shape: tuple[int, int]
) -> None:
    pixels = noise(*shape)
    assert not store.has(*tile)
    with pytest.raises(KeyError):
        store.read(*tile)
    store.write(*tile, pixels)
    assert store.has(*tile)
    np.testing.assert_array_equal(store.read(*tile), pixels)
    np.testing.assert_array_equal(make(store.path).read(*tile), pixels)
    assert list(store.tiles(tile[0])) == [tile[1:]]


def test_writing_one_tile_makes_one_file(store: PyramidStore) -> None:
    before = files_in(store.path)
    store.write(0, 1, 2, noise(188, 76))
    assert files_in(store.path) - before == {"0/c/0/1/2"}


def test_a_tile_that_is_white_all_over_is_done(store: PyramidStore) -> None:
    store.write(1, 0, 0, np.full((256, 256, 3), 255, np.uint8))
    assert store.has(1, 0, 0)
    assert make(store.path).has(1, 0, 0)


def test_a_missing_tile_shows_white_to_others(store: PyramidStore) -> None:
    assert (store.array(0)[:, :5, :5] == 255).all()


def test_a_tile_can_be_replaced(store: PyramidStore) -> None:
    store.write(1, 0, 0, noise(256, 256, 1))
    store.write(1, 0, 0, noise(256, 256, 2))
    np.testing.assert_array_equal(store.read(1, 0, 0), noise(256, 256, 2))


def test_tiles_are_listed_in_reading_order(store: PyramidStore) -> None:
    for row, col in ((1, 1), (0, 2), (1, 0), (0, 0)):
        store.write(1, row, col, np.zeros((min(256, 350 - row * 256), min(256, 550 - col * 256), 3), np.uint8))
    assert list(store.tiles(1)) == [(0, 0), (0, 2), (1, 0), (1, 1)]
    assert list(store.tiles(0)) == []


@pytest.mark.parametrize(
    ("tile", "pixels"),
    [
        ((0, 0, 0), noise(512, 511)),
        ((0, 0, 0), noise(512, 512).astype(np.float32)),
        ((0, 2, 0), noise(512, 512)),
        ((0, -1, 0), noise(512, 512)),
    ],
    ids=["shape", "dtype", "beyond", "before"],
)
def test_what_fits_no_tile_is_refused(store: PyramidStore, tile: tuple[int, int, int], pixels: np.ndarray) -> None:
    before = files_in(store.path)
    with pytest.raises(ValueError, match=r"Tile|tiles"):
        store.write(*tile, pixels)
    assert files_in(store.path) == before


@given(rows=st.integers(1, 200), cols=st.integers(1, 200), side=st.sampled_from([16, 64, 100]))
@settings(max_examples=25, deadline=None)
def test_tiles_cover_a_level_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, rows: int, cols: int, side: int
) -> None:
    store = make(
        tmp_path_factory.mktemp("store") / "s.zarr", level_shapes=[(rows, cols)], level_mpps=[1.0], tile_px=[side]
    )
    picture = noise(rows, cols)
    tile_rows, tile_cols = store.grid_shape(0)
    for row in range(tile_rows):
        for col in range(tile_cols):
            tile = picture[row * side : (row + 1) * side, col * side : (col + 1) * side]
            store.write(0, row, col, np.ascontiguousarray(tile))
    np.testing.assert_array_equal(np.moveaxis(np.asarray(store.array(0)[...]), 0, 2), picture)
    assert len(list(store.tiles(0))) == tile_rows * tile_cols


def test_threads_write_and_read_together(tmp_path: Path) -> None:
    store = make(tmp_path / "s.zarr", level_shapes=[(512, 512)], level_mpps=[1.0], tile_px=[64])
    keys = [(row, col) for row in range(8) for col in range(8)]

    def write_then_read(key: tuple[int, int]) -> bool:
        # Two threads write each tile while others read it: whoever comes last, a tile is one of the two, whole.
        store.write(0, *key, np.full((64, 64, 3), 10 * key[0] + key[1], np.uint8))
        return bool((store.read(0, *key) == 10 * key[0] + key[1]).all())

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(write_then_read, keys * 3))
    assert len(list(store.tiles(0))) == 64


def test_threads_that_create_at_once_share_one_store(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: make(tmp_path / "s.zarr"), range(4)))
    stores[0].write(1, 0, 0, noise(256, 256))
    assert all(store.has(1, 0, 0) for store in stores)
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.zarr"]


# ---- damage ----------------------------------------------------------------------------------------------------------


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[: len(content) // 2], lambda content: content[:-1], flip],
    ids=["empty", "half", "last byte gone", "one byte flipped"],
)
def test_a_damaged_tile_counts_as_missing(store: PyramidStore, damage: Callable[[bytes], bytes]) -> None:
    store.write(1, 0, 1, noise(256, 256))
    file = store.path / "1" / "c" / "0" / "0" / "1"
    file.write_bytes(damage(file.read_bytes()))
    fresh = make(store.path)
    with pytest.raises(KeyError):
        fresh.read(1, 0, 1)
    assert not fresh.has(1, 0, 1)
    assert list(fresh.tiles(1)) == []
    fresh.write(1, 0, 1, noise(256, 256, 4))
    np.testing.assert_array_equal(fresh.read(1, 0, 1), noise(256, 256, 4))


def test_a_tile_in_another_tiles_place_counts_as_missing(tmp_path: Path) -> None:
    store = make(tmp_path / "s.zarr", tile_px=[256, 256, 256])
    places = [(0, row, col) for row in range(2) for col in range(4)] + [(1, 0, 0), (1, 0, 1)]
    for place in places:
        store.write(*place, noise(256, 256))
    contents = {place: store._tile_file(*place).read_bytes() for place in places}
    for one, other in itertools.permutations(places, 2):
        store._tile_file(*one).write_bytes(contents[other])
        with pytest.raises(KeyError):
            make(store.path, tile_px=[256, 256, 256]).read(*one)
        store._tile_file(*one).write_bytes(contents[one])
    assert all(np.array_equal(PyramidStore.open(store.path).read(*place), noise(256, 256)) for place in places)


@pytest.mark.parametrize("whose", [{"slide": "slide-2"}, {"model": "model-2"}], ids=["another slide", "another model"])
def test_a_tile_of_anothers_store_counts_as_missing(store: PyramidStore, whose: dict[str, str]) -> None:
    other = make(store.path.with_name("other.zarr"), **whose)
    for one in (store, other):
        one.write(1, 0, 0, noise(256, 256))
    shutil.copy(other.path / "1/c/0/0/0", store.path / "1/c/0/0/0")
    with pytest.raises(KeyError):
        store.read(1, 0, 0)
    assert not store.has(1, 0, 0)


def test_a_tile_that_was_expected_and_is_gone_is_an_error(store: PyramidStore) -> None:
    for col in (0, 1):
        store.write(1, 0, col, noise(256, 256))
    store.expect_tiles()
    (store.path / "1/c/0/0/1").unlink()
    store.read(1, 0, 0)
    with pytest.raises(OutputError, match="removed or damaged while it was read"):
        store.read(1, 0, 1)
    with pytest.raises(KeyError):
        store.read(1, 1, 0)


@pytest.mark.parametrize("then", ["nothing", "another's store", "an empty folder", "a broken one"])
def test_a_store_that_was_moved_away_takes_no_more_tiles(store: PyramidStore, then: str) -> None:
    store.write(1, 0, 0, noise(256, 256))
    moved = store.path.rename(store.path.with_name("moved"))
    if then == "another's store":
        make(store.path, slide="slide-2")
    elif then != "nothing":
        store.path.mkdir()
        if then == "a broken one":
            (store.path / "zarr.json").write_text("{}")
    before = files_in(store.path)
    with pytest.raises(OutputError, match=r"moved away, removed or replaced .* run the same command again"):
        store.write(1, 0, 1, noise(256, 256))
    assert files_in(store.path) == before
    assert list(PyramidStore.open(moved).tiles(1)) == [(0, 0)]


def test_a_store_that_is_moved_away_as_soon_as_it_is_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def rename_and_lose(path: Path, target: Path) -> Path:
        rename(path, target)
        return rename(target, tmp_path / "moved")

    monkeypatch.setattr(Path, "rename", rename_and_lose)
    with pytest.raises(OutputError, match="moved away"):
        make(tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_what_a_killed_write_leaves_is_no_tile(store: PyramidStore) -> None:
    store.write(1, 0, 0, noise(256, 256))
    shutil.copy(store.path / "1/c/0/0/0", store.path / "1/c/0/0/1.0123456789abcdef.partial")
    assert list(store.tiles(1)) == [(0, 0)]
    assert not store.has(1, 0, 1)


@pytest.mark.parametrize(
    ("number", "problem"),
    [(errno.ENOSPC, "no room left"), (errno.EROFS, "read-only"), (errno.EACCES, "read-only"), (errno.EIO, "cannot be")],
    ids=["full", "read-only disk", "no right", "broken disk"],
)
@pytest.mark.parametrize("step", ["replace", "open"])
def test_a_write_that_fails_leaves_what_was_there(
    store: PyramidStore, monkeypatch: pytest.MonkeyPatch, number: int, problem: str, step: str
) -> None:
    store.write(1, 0, 0, noise(256, 256, 1))
    before = files_in(store.path)

    def fail(*args: object, **options: object) -> None:
        raise OSError(number, "as if")

    with monkeypatch.context() as patch:
        # A tile is written as "<tile>.<hex>.partial" and the one that is there; both may fail.
        patch.setattr(Path, step, fail)
        for tile in ((1, 0, 0), (1, 0, 1)):
            with pytest.raises(OutputError, match=problem):
                store.write(*tile, noise(256, 256, 2))
    assert files_in(store.path) == before
    assert not store.has(1, 0, 1)
    np.testing.assert_array_equal(store.read(1, 0, 0), noise(256, 256, 1))


@pytest.mark.parametrize(("number", "problem"), [(errno.ENOSPC, "no room left"), (errno.EROFS, "read-only")])
def test_creating_where_it_cannot_be_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, problem: str
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError(number, "as if")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OutputError, match=problem):
            make(tmp_path / "s.zarr")
    assert list(tmp_path.iterdir()) == []


# ---- whose store it is -----------------------------------------------------------------------------------------------


def test_a_store_remembers_whose_it_is(store: PyramidStore) -> None:
    again = PyramidStore.open(store.path)
    assert again.identity.slide_fingerprint == "slide-1"
    assert again.identity.product == "model-1"
    assert (again.identity.slide_name, again.identity.model_name) == ("case-17", "lite")
    assert again.level_shapes == tuple(SHAPES)
    assert again.level_mpps == tuple(MPPS)
    assert again.tile_px == tuple(TILES)
    assert "package_version" in zarr.open_group(store.path, mode="r").attrs["pathsrgan"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"slide": "slide-2"}, r"another slide \(case-17\)"),
        ({"model": "model-2"}, r"another model \(lite\)"),
        ({"tile_px": [512, 512, 256]}, "other levels or tiles"),
        ({"level_shapes": [(700, 1101), *SHAPES[1:]]}, "other levels or tiles"),
    ],
    ids=["slide", "model", "tiles", "shapes"],
)
def test_anothers_store_is_refused(store: PyramidStore, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(StoreMismatchError, match=problem):
        make(store.path, **changes)


def test_a_store_of_another_version_is_refused(store: PyramidStore) -> None:
    file = store.path / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["pathsrgan"]["store_version"] = 99
    file.write_text(json.dumps(content))
    with pytest.raises(StoreMismatchError, match="another version"):
        PyramidStore.open(store.path)


def test_a_store_of_version_0_1_is_refused(store: PyramidStore) -> None:
    """Its tiles carry no address, and its fingerprint took other slides for the same."""
    file = store.path / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["pathsrgan"] |= {"store_version": 1, "package_version": "0.1.0"}
    file.write_text(json.dumps(content))
    with pytest.raises(StoreMismatchError, match=r"another version \(0.1.0\).*choose another output folder"):
        make(store.path)


@pytest.mark.parametrize("there", ["file", "folder", "store"])
def test_create_refuses_what_exists(tmp_path: Path, there: str) -> None:
    path = tmp_path / "s.zarr"
    if there == "file":
        path.write_text("mine")
    elif there == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    else:
        make(path)
    before = files_in(tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        PyramidStore.create(path, SHAPES, MPPS, TILES, "f", "m", "s", "n")
    assert files_in(tmp_path) == before


def test_an_empty_folder_may_become_a_store(tmp_path: Path) -> None:
    (tmp_path / "s.zarr").mkdir()
    assert make(tmp_path / "s.zarr").grid_shape(0) == (2, 3)


def test_missing_parents_are_made(tmp_path: Path) -> None:
    assert make(tmp_path / "cache" / "lite" / "s.zarr").path.is_dir()


@pytest.mark.parametrize("kind", ["nothing", "folder", "foreign zarr", "array", "half of ours"])
def test_what_is_no_store_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.zarr"
    if kind == "folder":
        path.mkdir()
    elif kind == "foreign zarr":
        zarr.create_group(path)
    elif kind == "array":
        zarr.create_array(path, shape=(3,), dtype="uint8")
    elif kind == "half of ours":
        make(path)
        shutil.rmtree(path / "1")
    with pytest.raises(StoreMismatchError, match="not a folder of super-resolved tiles"):
        PyramidStore.open(path)


# ---- what others see -------------------------------------------------------------------------------------------------


def test_it_is_a_valid_ome_zarr_image(store: PyramidStore) -> None:
    store.write(2, 0, 0, noise(175, 256))
    image = Image.from_zarr(zarr.open_group(store.path, mode="r"))
    assert [axis.name for axis in image.attributes.ome.multiscales[0].axes] == ["c", "y", "x"]
    assert len(image.attributes.ome.multiscales[0].datasets) == 3


def test_napari_ome_zarr_puts_it_at_the_right_place(store: PyramidStore) -> None:
    pixels = noise(256, 256)
    store.write(1, 0, 1, pixels)
    reader = napari_get_reader(str(store.path))
    assert reader is not None
    [(data, options, kind)] = reader(str(store.path))
    assert kind == "image"
    assert options["channel_axis"] == 0
    assert [tuple(level.shape) for level in data] == [(3, *shape) for shape in SHAPES]
    np.testing.assert_array_equal(np.asarray(data[1][:, :256, 256:512]), pixels.transpose(2, 0, 1))
    np.testing.assert_allclose(options["scale"], [0.293, 0.293])
    assert options["units"] == ("micrometer", "micrometer")
    assert options["contrast_limits"] == [[0, 255]] * 3


def test_levels_share_their_upper_left_corner(store: PyramidStore) -> None:
    """Checked on the metadata: napari-ome-zarr 0.10 reads a level's scale and drops its translation."""
    [multiscale] = zarr.open_group(store.path, mode="r").attrs["ome"]["multiscales"]
    for dataset, mpp in zip(multiscale["datasets"], MPPS, strict=True):
        scale, translation = dataset["coordinateTransformations"]
        assert scale == {"type": "scale", "scale": [1.0, mpp, mpp]}
        # The first pixel's centre less half a pixel is 0.
        assert translation == {"type": "translation", "translation": [0.0, mpp / 2, mpp / 2]}


def test_it_opens_as_a_slide(store: PyramidStore) -> None:
    pixels = noise(175, 256)
    store.write(2, 0, 0, pixels)
    with open_slide(store.path) as slide:
        assert slide.level_mpps == pytest.approx(tuple(MPPS))
        np.testing.assert_array_equal(slide.read_level(2, 0, 0, 175, 256), pixels)
        assert (slide.read_level(0, 0, 0, 4, 4) == 255).all()
