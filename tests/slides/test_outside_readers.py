"""Programs that people use read our TIFFs right: pixels and pixel size, and levels and objective if they know them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_pathsrgan.slides.aperio_tiff import write_aperio_tiff
from napari_pathsrgan.slides.ome_tiff import write_ome_tiff
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .outside_readers import READERS, Reader

SHAPES = [(602, 522), (301, 261)]
WRITERS: dict[str, Callable[..., None]] = {".ome.tiff": write_ome_tiff, ".svs": write_aperio_tiff}
PYRAMIDS = {".ome.tiff": {"tifffile", "libvips", "GDAL", "tiffslide", "slideio", "Bio-Formats"}}
PYRAMIDS[".svs"] = {"tifffile", "OpenSlide", "tiffslide", "slideio", "Bio-Formats"}
OBJECTIVES = {".ome.tiff": {"slideio", "Bio-Formats"}}
OBJECTIVES[".svs"] = {"OpenSlide", "tiffslide", "slideio", "large-image tiff", "large-image openslide", "Bio-Formats"}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Smooth structure in all three colours, none of which is another's."""
    noise = np.random.default_rng(0).normal(size=(*SHAPES[0], 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip((170, 110, 190) + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, image: np.ndarray) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("outputs")
    store = PyramidStore.create(folder / "sr.ome.zarr", SHAPES, [0.293, 0.586], [512, 256], "s", "m", "case 17", "lite")
    for level, pixels in enumerate((image, cv2.resize(image, SHAPES[1][::-1], interpolation=cv2.INTER_AREA))):
        side = store.tile_px[level]
        for row, col in np.ndindex(store.grid_shape(level)):
            store.write(level, row, col, pixels[row * side : (row + 1) * side, col * side : (col + 1) * side])
    paths = {}
    for suffix, write in WRITERS.items():
        for compression in ("jpeg", "lossless"):
            paths[suffix, compression] = folder / f"{compression}{suffix}"
            write(store, paths[suffix, compression], compression)
    return paths


@pytest.mark.parametrize("compression", ["jpeg", "lossless"])
@pytest.mark.parametrize(
    ("reader", "suffix"),
    [pytest.param(one, suffix, id=f"{one.name} {suffix}") for one in READERS for suffix in one.kinds],
)
def test_a_program_reads_an_output_right(
    files: dict[tuple[str, str], Path], image: np.ndarray, reader: Reader, suffix: str, compression: str
) -> None:
    if reader.missing:
        pytest.skip(reader.missing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of georeferences and the like, which no slide has
        seen = reader.read(files[suffix, compression])
    assert seen.pixels.shape == image.shape
    apart = np.abs(seen.pixels.astype(int) - image)
    assert apart.mean() <= (1.0 if compression == "jpeg" else 0)
    assert seen.mpp is None or seen.mpp == pytest.approx(0.293, rel=1e-4)
    if reader.name in PYRAMIDS[suffix]:
        assert seen.levels == len(SHAPES)
    if reader.name in OBJECTIVES[suffix]:
        assert seen.objective == 20
