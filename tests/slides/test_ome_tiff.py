"""A store as one TIFF: every reader sees the same levels, pixel size and objective power."""

from __future__ import annotations

import errno
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import openslide
import pytest
import tifffile

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.slides.computed import computed_by
from napari_pathsrgan.slides.ome_tiff import write_ome_tiff
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.slides.sharding import write_sharded

from .synthetic import noise

SHAPES = [(2001, 1499), (1001, 750), (501, 375), (251, 188)]
MPPS = [0.293, 0.586, 1.172, 2.344]


@pytest.fixture
def store(tmp_path: Path) -> PyramidStore:
    """A store of smooth noise whose tile (0, 1, 1) is missing."""
    made = PyramidStore.create(
        tmp_path / "sr.ome.zarr", SHAPES, MPPS, [512, 256, 256, 256], "slide", "model", "Fäll & 17.svs", "lite"
    )
    for level, (rows, cols) in enumerate(SHAPES):
        side = made.tile_px[level]
        for row, col in np.ndindex(made.grid_shape(level)):
            if (level, row, col) != (0, 1, 1):
                made.write(
                    level, row, col, noise(min(side, rows - row * side), min(side, cols - col * side), 9 * row + col)
                )
    return made


def level_pixels(store: PyramidStore, level: int) -> np.ndarray:
    return np.moveaxis(np.asarray(store.array(level)[:]), 0, -1)


@pytest.fixture(params=["jpeg", "lossless"])
def compression(request: pytest.FixtureRequest) -> str:
    return request.param


def assert_like(found: np.ndarray, wanted: np.ndarray, compression: str) -> None:
    if compression == "lossless":
        np.testing.assert_array_equal(found, wanted)
    else:
        assert found.shape == wanted.shape
        assert np.sqrt(np.mean((found.astype(float) - wanted) ** 2)) < 12


def test_openslide_sees_levels_pixel_size_and_objective(store: PyramidStore, tmp_path: Path, compression: str) -> None:
    path = tmp_path / "out.ome.tiff"
    write_ome_tiff(store, path, compression)
    with openslide.OpenSlide(path) as slide:
        assert float(slide.properties[openslide.PROPERTY_NAME_MPP_X]) == pytest.approx(0.293)
        assert float(slide.properties[openslide.PROPERTY_NAME_MPP_Y]) == pytest.approx(0.293)
        assert slide.properties[openslide.PROPERTY_NAME_OBJECTIVE_POWER] == "20"
        assert slide.level_dimensions == tuple((cols, rows) for rows, cols in SHAPES)
        assert slide.level_downsamples == pytest.approx((1, 2, 4, 8), rel=5e-3)
        for level in range(4):
            region = slide.read_region((0, 0), level, slide.level_dimensions[level])
            assert_like(np.asarray(region)[..., :3], level_pixels(store, level), compression)


def test_tifffile_sees_an_ome_tiff(store: PyramidStore, tmp_path: Path, compression: str) -> None:
    path = tmp_path / "out.ome.tiff"
    write_ome_tiff(store, path, compression)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        (series,) = file.series
        assert series.kind == "ome"
        assert [level.shape for level in series.levels] == [(*shape, 3) for shape in SHAPES]
        for level in range(4):
            assert_like(series.levels[level].asarray(), level_pixels(store, level), compression)
        root = ElementTree.fromstring(file.ome_metadata)
    names = {"ome": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
    pixels, objective = (root.find(f".//ome:{name}", names) for name in ("Pixels", "Objective"))
    assert (float(pixels.get("PhysicalSizeX")), float(pixels.get("PhysicalSizeY"))) == (0.293, 0.293)
    assert float(objective.get("NominalMagnification")) == 20
    assert root.find("ome:Image", names).get("Name") == "Fäll & 17.svs, computed by lite"


def test_we_open_it_ourselves(store: PyramidStore, tmp_path: Path) -> None:
    write_ome_tiff(store, tmp_path / "out.ome.tiff")
    with open_slide(tmp_path / "out.ome.tiff") as slide:
        assert slide.mpp == pytest.approx(0.293)
        assert slide.objective_power == 20
        assert slide.level_shapes == tuple(SHAPES)


def test_it_appears_whole_or_not_at_all(store: PyramidStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.ome.tiff"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="no room left"):
        write_ome_tiff(store, path)
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["sr.ome.zarr"]
    write_ome_tiff(store, path)
    with pytest.raises(OutputError, match="exists already"):
        write_ome_tiff(store, path)


def test_a_computed_picture_is_known_as_one(store: PyramidStore, tmp_path: Path) -> None:
    tiff, zarr, scan = tmp_path / "out.ome.tiff", tmp_path / "sharded.ome.zarr", tmp_path / "scan.tiff"
    write_ome_tiff(store, tiff)
    write_sharded(store, zarr)
    tifffile.imwrite(
        scan,
        noise(600, 600, 1),
        tile=(256, 256),
        photometric="rgb",
        resolution=(34129.7, 34129.7),
        resolutionunit="CENTIMETER",
    )
    for path, model in ((store.path, "lite"), (zarr, "lite"), (tiff, "lite"), (scan, None)):
        with open_slide(path) as slide:
            assert slide.computed_by == model
            assert slide.mpp == pytest.approx(0.293, rel=1e-3)


def test_what_is_damaged_is_no_computed_picture(tmp_path: Path) -> None:
    for name, content in (("a.tiff", b"II*\x00 cut short"), ("b.tiff", b""), ("c.svs", b"Mirax")):
        (tmp_path / name).write_bytes(content)
        assert computed_by(tmp_path / name) is None
    (tmp_path / "zarr.json").write_text('{"attributes": {"pathsrgan": {"calibration": {}}}}')
    assert computed_by(tmp_path) is None
