"""What was computed is known as such when it is opened again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tifffile

from napari_pathsrgan.slides.aperio_tiff import write_aperio_tiff
from napari_pathsrgan.slides.computed import Computed, find_computed
from napari_pathsrgan.slides.computed_areas import ComputedAreas
from napari_pathsrgan.slides.ome_tiff import write_ome_tiff
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.slides.sharding import write_sharded

from .computed_stores import AREAS, make_store
from .synthetic import noise


def leave(_store: PyramidStore, _path: Path) -> None:
    """The store is the output itself."""


@pytest.mark.parametrize("areas", [AREAS, ComputedAreas(), ComputedAreas(True, ((0.0, 0.0, 586.3, 439.2),))])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("sr.ome.zarr", leave),
        ("sharded.ome.zarr", write_sharded),
        ("out.ome.tiff", write_ome_tiff),
        ("out.svs", write_aperio_tiff),
    ],
)
def test_a_computed_image_names_its_model_and_its_computed_areas(
    tmp_path: Path, name: str, write: Callable[[PyramidStore, Path], None], areas: ComputedAreas
) -> None:
    store = make_store(tmp_path / "sr.ome.zarr")
    store.set_areas(areas)
    write(store, tmp_path / name)
    with open_slide(tmp_path / name) as slide:
        found = slide.computed
    assert found is not None
    assert (found.kind, found.model) == ("image", "lite")
    assert found.areas.complete == areas.complete
    assert areas.complete or found.areas == areas


def test_a_scan_is_not_computed(tmp_path: Path) -> None:
    options = {"tile": (256, 256), "photometric": "rgb", "resolution": (34129.7,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "scan.tiff", noise(600, 600, 1), **options)
    with open_slide(tmp_path / "scan.tiff") as slide:
        assert slide.computed is None


def test_what_is_damaged_is_no_computed_image(tmp_path: Path) -> None:
    for name, content in (("a.tiff", b"II*\x00 cut short"), ("b.tiff", b""), ("c.svs", b"Mirax")):
        (tmp_path / name).write_bytes(content)
        assert find_computed(tmp_path / name) is None
    (tmp_path / "zarr.json").write_text('{"attributes": {"pathsrgan": {"calibration": {}}}}')
    assert find_computed(tmp_path) is None


def test_words_say_whether_all_of_the_slide_is_computed() -> None:
    assert Computed("image", "lite", ComputedAreas(True)).words == "computed by lite"
    assert Computed("image", "lite", AREAS).words == "computed by lite, in part"
    assert Computed("map", "lite", ComputedAreas(True)).words == "map of where lite disagrees"
