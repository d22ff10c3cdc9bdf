"""What this program computed is never taken for a scan that pairs are made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import ComputedSlideError
from napari_pathsrgan.registration.cutting import open_scans
from napari_pathsrgan.registration.fields import read_image
from napari_pathsrgan.registration.fine import register_slides
from napari_pathsrgan.registration.pairs import PairsFile
from napari_pathsrgan.slides.aperio_tiff import write_aperio_tiff
from napari_pathsrgan.slides.computed_areas import ComputedAreas
from napari_pathsrgan.slides.ome_tiff import write_ome_tiff
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

WRITERS = {"c.ome.tiff": write_ome_tiff, "c.svs": write_aperio_tiff}


@pytest.fixture
def store(tmp_path: Path) -> PyramidStore:
    """A computed 20× image of one tile."""
    path = tmp_path / "computed" / "c.ome.zarr"
    made = PyramidStore.create(path, [(256, 256)] * 1, [0.293], [256], "slide", "model", "case.svs", "lite")
    made.write(0, 0, 0, np.full((256, 256, 3), 200, np.uint8))
    made.set_areas(ComputedAreas(True, ((0.0, 0.0, 75.0, 75.0),)))
    return made


@pytest.fixture(params=["c.ome.zarr", *WRITERS])
def computed(request: pytest.FixtureRequest, store: PyramidStore) -> Path:
    """The same image as each kind of output."""
    path = store.path.with_name(request.param)
    if request.param in WRITERS:
        WRITERS[request.param](store, path, "jpeg", None)
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.tif"
    size = {"resolution": (1e4 / 1.465,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, np.full((64, 64, 3), 230, np.uint8), tile=(64, 64), photometric="rgb", **size)
    return path


@pytest.mark.parametrize("place", [0, 1, 2])
def test_registration_refuses_a_computed_image(scan: Path, computed: Path, place: int) -> None:
    with (
        open_slide(computed) as image,
        open_slide(scan) as other,
        pytest.raises(ComputedSlideError, match="is no scan"),
    ):
        register_slides(*[image if at == place else other for at in range(3)])


def test_register_names_the_computed_file_and_writes_nothing(
    scan: Path, store: PyramidStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = [scan, scan, store.path]
    assert main(["register", str(tmp_path / "pairs"), *map(str, scans)]) == 2
    assert "c.ome.zarr is no scan" in capsys.readouterr().err
    assert not (tmp_path / "pairs").exists()


def test_pairs_that_name_a_computed_image_are_not_shown(store: PyramidStore, tmp_path: Path) -> None:
    class Pairs(PairsFile):
        def __init__(self, path: Path) -> None:
            self.path = path
            made = {"mpp": {"4x": None}, "fingerprints": {"4x": ""}}
            found = {"scans": {"4x": store.path.as_posix()}}
            self.slides = [{"name": "case", "simulated": False, "found": found, "made": made}]

    with pytest.raises(ComputedSlideError, match="is no scan"):
        open_scans(Pairs(tmp_path / "pairs"), 0, 20)


@pytest.mark.parametrize("name", WRITERS)
def test_a_field_that_was_computed_is_not_trained_on(store: PyramidStore, name: str) -> None:
    path = store.path.with_name(name)
    WRITERS[name](store, path, "jpeg", None)
    with pytest.raises(ComputedSlideError, match=f"{name} is no scan"):
        read_image(path)
