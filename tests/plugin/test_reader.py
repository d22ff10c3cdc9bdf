from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from npe2 import PluginManifest

from napari_pathsrgan.errors import PathSRGANError, SlideChangedError
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.plugin.layers.scan_layer import COMPUTED_KEY, slide_layer
from napari_pathsrgan.plugin.reader import get_reader, read_slides
from napari_pathsrgan.plugin.viewer.slide_view_model import SlideViewModel
from napari_pathsrgan.slides.dicom_folder import series_of_slide
from napari_pathsrgan.slides.fingerprint import file_identity
from napari_pathsrgan.slides.ome_tiff import write_ome_tiff
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .conftest import draw_smear, write_slide

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "slides"


def test_a_slide_is_a_pyramid_in_micrometres_from_its_corner(slide_path: Path) -> None:
    reader = get_reader(str(slide_path))
    assert reader is not None
    ((levels, parameters, kind),) = reader(str(slide_path))
    assert kind == "image"
    assert [level.shape for level in levels] == [(1200, 1500, 3), (600, 750, 3)]
    assert parameters["scale"] == pytest.approx((1.465, 1.465))
    assert parameters["translate"] == pytest.approx((0.7325, 0.7325))
    assert parameters["units"] == ("um", "um")
    assert parameters["name"] == "4× scan · 1465 nm per px"
    assert parameters["metadata"]["pathsrgan_slide"] == {
        "path": str(slide_path),
        "mpp": pytest.approx(1.465),
        "given_mpp": None,
        "name": "case-17",
        "fingerprint": file_identity(slide_path).fingerprint,
    }
    np.testing.assert_array_equal(levels[0][:64, :64].compute(), tifffile.imread(slide_path)[:64, :64])


@pytest.mark.parametrize("given", [None, 2.0])
def test_computed_views_keep_the_pixel_sizes_of_rows_and_columns_unless_the_user_gave_one(
    tmp_path: Path, given: float | None
) -> None:
    path = tmp_path / "oblong.tif"
    size = {"resolution": (1e4 / 1.5, 1e4 / 1.4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, draw_smear(200, 200), tile=(64, 64), photometric="rgb", **size)
    with open_slide(path, given) as slide:
        metadata = slide_layer(slide)[1]["metadata"]
        wanted = slide.pixel_size_um, slide.fingerprint
    runner = SimpleNamespace(card=ModelCard(name="x", preset="lite", mpp_scan=2.0))
    shown = SlideViewModel.open(SimpleNamespace(metadata=metadata), runner)  # type: ignore[arg-type]
    assert (shown.slide.pixel_size_um, shown.slide.fingerprint) == wanted
    assert wanted[0] == pytest.approx((1.4, 1.5) if given is None else (2.0, 2.0))
    shown.slide.close()


def test_computed_views_are_of_the_slide_that_the_layer_shows(tmp_path: Path) -> None:
    """Between the two another file may have taken its name."""
    path = write_slide(tmp_path / "case.svs", draw_smear(200, 200))
    ((_, parameters, _),) = read_slides(str(path))
    write_slide(path, draw_smear(200, 200, seed=5))
    with pytest.raises(SlideChangedError, match=r"case.svs was changed or replaced"):
        SlideViewModel.open(SimpleNamespace(metadata=parameters["metadata"]), None)  # type: ignore[arg-type]


def test_a_computed_picture_is_called_computed(tmp_path: Path) -> None:
    shapes, mpps = [(600, 600), (300, 300)], [0.293, 0.586]
    store = PyramidStore.create(tmp_path / "a.ome.zarr", shapes, mpps, [512, 256], "slide", "model", "case-17", "lite")
    tiff = tmp_path / "a.ome.tiff"
    write_ome_tiff(store, tiff)
    for path in (str(store.path), str(tiff)):
        ((_, parameters, _),) = get_reader(path)(path)
        assert parameters["name"] == "20× computed by lite, in part · 293 nm per px"
        known = {"kind": "image", "model": "lite", "complete": False, "areas_um": []}
        assert parameters["metadata"][COMPUTED_KEY] == known
        assert "pathsrgan_slide" not in parameters["metadata"]  # or views would be computed of it


def test_several_slides_become_several_layers(slide_path: Path, other_slide_path: Path) -> None:
    paths = [str(slide_path), str(other_slide_path)]
    reader = get_reader(paths)
    assert reader is not None
    assert len(reader(paths)) == 2


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs shared/data/slides beside the repository")
def test_each_slide_of_a_folder_of_dicom_files_becomes_a_layer(tmp_path: Path) -> None:
    content = (SHARED / "sm_image.dcm").read_bytes()
    (tmp_path / "IM0").write_bytes(content)
    series = series_of_slide(tmp_path / "IM0")
    assert series is not None
    (tmp_path / "IM1").write_bytes(content.replace(series.encode(), b"9" * len(series)))
    reader = get_reader(str(tmp_path))
    assert reader is not None
    known = [parameters["metadata"]["pathsrgan_slide"]["path"] for _, parameters, _ in reader(str(tmp_path))]
    assert known == [str(tmp_path / "IM0"), str(tmp_path / "IM1")]


@pytest.mark.parametrize("name", ["notes.txt", "photo.png", "empty.tif", "nothing.tif", "folder.zarr"])
def test_what_is_no_slide_is_left_to_others(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder.zarr":
        path.mkdir()
    elif name != "nothing.tif":
        path.write_bytes(b"")
    assert get_reader(str(path)) is None
    assert get_reader([]) is None


def test_a_jpeg_renamed_svs_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "photo.svs"
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(1000))
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(PathSRGANError, match=r"photo\.svs is a JPEG image, not a slide"):
        reader(str(path))


def test_a_real_slide_opens() -> None:
    path = SHARED / "CMU-1-Small-Region.svs"
    if not path.exists():
        pytest.skip("needs the real slide CMU-1-Small-Region.svs in shared/data/slides beside the repository")
    ((levels, parameters, _),) = get_reader(str(path))(str(path))
    assert parameters["name"] == "20× scan · 499 nm per px"
    assert levels[0].shape == (2967, 2220, 3)


def test_the_manifest_names_what_exists() -> None:
    manifest = PluginManifest.from_distribution("napari-pathsrgan")
    manifest.validate_imports()
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("module", ["reader", "sample_data", "viewer.super_resolution_widget", "main_window"])
def test_no_module_of_the_window_loads_torch(module: str) -> None:
    code = f"import sys, napari_pathsrgan.plugin.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
