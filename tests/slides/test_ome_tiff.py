"""A store as one OME-TIFF: its pixels, its description, and how it comes to be."""

from __future__ import annotations

import errno
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.slides.ome_tiff import write_ome_tiff
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .computed_stores import AREAS, MPPS, SHAPES, level_pixels, make_store


@pytest.fixture
def store(tmp_path: Path) -> PyramidStore:
    """A store of smooth noise whose tile (0, 1, 1) is missing."""
    return make_store(tmp_path / "sr.ome.zarr")


def root_mean_square(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found.astype(float) - wanted) ** 2)))


@pytest.mark.parametrize(("compression", "bound"), [("jpeg", 6.0), ("lossless", 0.0)])
def test_tifffile_sees_an_ome_tiff(store: PyramidStore, tmp_path: Path, compression: str, bound: float) -> None:
    path = tmp_path / "out.ome.tiff"
    write_ome_tiff(store, path, compression)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        (series,) = file.series
        assert series.kind == "ome"
        assert [level.shape for level in series.levels] == [(*shape, 3) for shape in SHAPES]
        for level in range(4):
            found = series.levels[level].asarray()
            assert root_mean_square(found, level_pixels(store, level)) <= bound
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


def test_each_page_has_at_most_one_description_and_levels_are_subifds(store: PyramidStore, tmp_path: Path) -> None:
    write_ome_tiff(store, tmp_path / "out.ome.tiff")
    with tifffile.TiffFile(tmp_path / "out.ome.tiff") as file:
        (first,) = file.pages
        pages = [first, *first.pages]
        assert [page.shape[:2] for page in pages] == SHAPES
        assert [[tag.code for tag in page.tags].count(270) for page in pages] == [1, 0, 0, 0]
        assert [page.is_reduced for page in pages] == [False, True, True, True]
        assert {page.photometric for page in pages} == {tifffile.PHOTOMETRIC.RGB}


def test_a_level_keeps_its_own_pixel_size(store: PyramidStore, tmp_path: Path) -> None:
    write_ome_tiff(store, tmp_path / "out.ome.tiff")
    with tifffile.TiffFile(tmp_path / "out.ome.tiff") as file:
        found = [1e4 / page.get_resolution("centimeter")[0] for page in (file.pages[0], *file.pages[0].pages)]
    np.testing.assert_allclose(found, MPPS, rtol=1e-6)


def test_the_computed_areas_are_a_structured_annotation(store: PyramidStore, tmp_path: Path) -> None:
    store.set_areas(AREAS)
    write_ome_tiff(store, tmp_path / "out.ome.tiff")
    with tifffile.TiffFile(tmp_path / "out.ome.tiff") as file:
        root = ElementTree.fromstring(file.ome_metadata)
    annotation = root.find("{*}StructuredAnnotations/{*}MapAnnotation")
    reference = root.find("{*}Image/{*}AnnotationRef")
    assert annotation is not None
    assert reference is not None
    assert reference.get("ID") == annotation.get("ID")
    assert [pair.text for pair in annotation.findall("{*}Value/{*}M")] == [
        "false",
        "0, 0, 300, 439.5",
        "300, 10, 286, 100",
    ]
