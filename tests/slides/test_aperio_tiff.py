"""A store as an Aperio-like TIFF: every level, pixel size and objective for OpenSlide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from napari_pathsrgan.slides.aperio_tiff import write_aperio_tiff
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .computed_stores import SHAPES, level_pixels, make_store


@pytest.fixture
def store(tmp_path: Path) -> PyramidStore:
    """A store of smooth noise with a missing tile."""
    return make_store(tmp_path / "sr.ome.zarr")


@pytest.mark.parametrize(("compression", "bound"), [("jpeg", 6.0), ("lossless", 0.0)])
def test_openslide_sees_levels_pixel_size_and_objective(
    store: PyramidStore, tmp_path: Path, compression: str, bound: float
) -> None:
    path = tmp_path / "out.svs"
    write_aperio_tiff(store, path, compression)
    with openslide.OpenSlide(path) as slide:
        assert slide.properties[openslide.PROPERTY_NAME_VENDOR] == "aperio"
        assert float(slide.properties[openslide.PROPERTY_NAME_MPP_X]) == pytest.approx(0.293)
        assert float(slide.properties[openslide.PROPERTY_NAME_MPP_Y]) == pytest.approx(0.293)
        assert slide.properties[openslide.PROPERTY_NAME_OBJECTIVE_POWER] == "20"
        assert slide.properties["aperio.Computed by"] == "lite"
        assert slide.level_dimensions == tuple((cols, rows) for rows, cols in SHAPES)
        assert set(slide.associated_images) == {"thumbnail", "label", "macro"}
        for level in range(4):
            found = np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]))[..., :3]
            wanted = level_pixels(store, level)
            assert np.sqrt(np.mean((found.astype(float) - wanted) ** 2)) <= bound


def test_tifffile_sees_the_same_levels_and_associated_images(store: PyramidStore, tmp_path: Path) -> None:
    write_aperio_tiff(store, tmp_path / "out.svs")
    with tifffile.TiffFile(tmp_path / "out.svs") as file:
        assert file.is_svs
        assert [series.name for series in file.series] == ["Baseline", "Thumbnail", "Label", "Macro"]
        assert [level.shape[:2] for level in file.series[0].levels] == SHAPES


def test_we_open_it_ourselves(store: PyramidStore, tmp_path: Path) -> None:
    write_aperio_tiff(store, tmp_path / "out.svs")
    with open_slide(tmp_path / "out.svs") as slide:
        assert slide.mpp == pytest.approx(0.293)
        assert slide.objective_power == 20
        assert slide.level_shapes == tuple(SHAPES)


def test_progress_ends_with_all_pixels(store: PyramidStore, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_aperio_tiff(store, tmp_path / "out.svs", "jpeg", lambda *step: steps.append(step))
    assert steps[-1][0] == steps[-1][1] == sum(rows * cols for rows, cols in SHAPES)
    assert len(steps) == 4
