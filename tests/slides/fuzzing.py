"""Damage files at random and see what becomes of them: opened, refused in a sentence, or a fault of ours.

A format is an entry of `FORMATS`: how an intact file is written, how the program uses one, and which bytes are worth
damaging. `Nursery` forks a process for every file, with bounds on time and memory, so that nothing a file does to it
reaches the caller. ``python benchmarks/fuzz_slides.py`` makes a table of thousands of tries.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import random
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

import numpy as np
import tifffile
import zarr
from PIL import Image, ImageCms

TIME_LIMIT_S = 20.0
MEMORY_LIMIT_BYTES = 2 << 30
"""More than a process has before it opens a file."""

GOOD, FAULTS = ("opened", "refused"), ("traceback", "abort", "hang", "memory")

Place = Callable[[int], int]
"""Chooses an offset in a file of so many bytes."""


@dataclass(frozen=True)
class Format:
    """A kind of file to damage.

    Attributes
    ----------
    name : str
    write : callable (folder) -> path
        Writes an intact file or folder, the same each time.
    use : callable (path)
        Opens it and reads what can be read, as the program would; raises what the program would.
    aim : callable (path) -> sequence of int
        Offsets in the intact file that its structure hangs on; empty where all bytes are alike.
    """

    name: str
    write: Callable[[Path], Path]
    use: Callable[[Path], None]
    aim: Callable[[Path], Sequence[int]] = lambda path: ()


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    kind : str
        One of `GOOD` or `FAULTS`.
    detail : str
        The sentence, the traceback, or the signal that ended the process.
    seconds : float
    peak_bytes : int
        Most memory that the process held.
    """

    kind: str
    detail: str
    seconds: float
    peak_bytes: int


# ---- damaging --------------------------------------------------------------------------------------------------------

_NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 257, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31)
_HUGE = (2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**64 - 1)
_TEXTS = (b"0", b"-1", b"1e-320", b"nan", b"inf", b"1e999", b"4294967295", b"99999999999999999999", b'"', b"<", b"\x00")


def damage(path: Path, rng: np.random.Generator, aim: Sequence[int]) -> None:
    """Damage a file, or one file of a folder, in one to three places."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    file = files[int(rng.integers(len(files)))]
    content = bytearray(file.read_bytes())

    def place(size: int) -> int:
        if aim and rng.random() < 0.7:
            return min(int(rng.choice(aim)), size - 1)
        return int(rng.integers(size))

    for _ in range(int(rng.integers(1, 4))):
        if content:
            _WAYS[int(rng.integers(len(_WAYS)))](content, rng, place)
    file.write_bytes(content)


def _flip(content: bytearray, rng: np.random.Generator, place: Place) -> None:
    content[place(len(content))] ^= 1 << int(rng.integers(8))


def _write_number(content: bytearray, rng: np.random.Generator, place: Place) -> None:
    size = int(rng.choice([1, 2, 4, 8]))
    value = int(rng.choice([*map(str, (*_NUMBERS, *_HUGE))])) % (1 << 8 * size)
    at = place(len(content))
    content[at : at + size] = value.to_bytes(size, "little" if rng.random() < 0.7 else "big")


def _write_noise(content: bytearray, rng: np.random.Generator, place: Place) -> None:
    at, size = place(len(content)), int(rng.integers(1, 64))
    content[at : at + size] = rng.bytes(size)


def _write_text(content: bytearray, rng: np.random.Generator, place: Place) -> None:
    at, text = place(len(content)), _TEXTS[int(rng.integers(len(_TEXTS)))]
    content[at : at + int(rng.integers(len(text) + 4))] = text


def _cut_off(content: bytearray, rng: np.random.Generator, place: Place) -> None:
    del content[place(len(content)) :]


def _cut_out(content: bytearray, rng: np.random.Generator, place: Place) -> None:
    at = place(len(content))
    del content[at : at + int(rng.integers(1, 512))]


def _copy(content: bytearray, rng: np.random.Generator, place: Place) -> None:
    source, target, size = place(len(content)), place(len(content)), int(rng.integers(1, 64))
    content[target : target + size] = content[source : source + size]


_WAYS = (_flip, _write_number, _write_number, _write_noise, _write_text, _cut_off, _cut_out, _copy)


def damaged_files(kind: Format, folder: Path, count: int, seed: int) -> Iterator[Path]:
    """Write one damaged file after the other; each is gone when the next is asked for.

    Parameters
    ----------
    kind : Format
    folder : Path
        Empty; holds the intact file too.
    count, seed : int
        The same seed gives the same files; file n doesn't depend on how many there are.
    """
    (folder / "intact").mkdir()
    intact = kind.write(folder / "intact")
    aim = kind.aim(intact)
    for number in range(count):
        path = folder / str(number) / intact.name
        path.parent.mkdir()
        (shutil.copytree if intact.is_dir() else shutil.copy)(intact, path)
        damage(path, np.random.default_rng([seed, number, zlib.crc32(kind.name.encode())]), aim)
        yield path
        shutil.rmtree(path.parent)


# ---- looking on ------------------------------------------------------------------------------------------------------


class Nursery:
    """A process that has everything imported and forks one process for each file."""

    def __enter__(self) -> Self:
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **threads},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def watch(self, kind: Format | str, path: Path, time_limit_s: float = TIME_LIMIT_S) -> Outcome:
        """Use a file in a process of its own."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        name = kind if isinstance(kind, str) else kind.name
        self._process.stdin.write(json.dumps([name, str(path), time_limit_s]) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


def _serve() -> None:
    """Answer one line for each line of standard input: format, path and seconds allowed."""
    uses = {kind.name: kind.use for kind in FORMATS} | _MISBEHAVING
    for line in sys.stdin:
        name, path, time_limit_s = json.loads(line)
        sys.stdout.write(json.dumps(asdict(_watch_fork(uses[name], Path(path), time_limit_s))) + "\n")
        sys.stdout.flush()


def _watch_fork(use: Callable[[Path], None], path: Path, time_limit_s: float) -> Outcome:
    answers, answering = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(answers)
        _use_and_exit(use, path, answering)
    os.close(answering)
    in_time = bool(select.select([answers], [], [], time_limit_s)[0])
    if not in_time:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(answers, "rb") as stream:
        answer = stream.read()
    _, status, usage = os.wait4(child, 0)
    kind, detail = json.loads(answer) if answer else ("abort", f"wait status {status}")
    if not in_time:
        kind, detail = "hang", f"no answer after {time_limit_s:g} s"
    return Outcome(kind, detail, time.monotonic() - started, usage.ru_maxrss * 1024)


def _use_and_exit(use: Callable[[Path], None], path: Path, answering: int) -> None:
    from napari_pathsrgan.errors import PathSRGANError

    with Path("/proc/self/statm").open() as statm:
        held = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_LIMIT_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer = ("opened", "")
    try:
        use(path)
    except PathSRGANError as error:
        answer = ("refused", str(error))
    except MemoryError:
        answer = ("memory", traceback.format_exc())
    except BaseException:
        answer = ("traceback", traceback.format_exc())
    with contextlib.suppress(OSError):
        os.write(answering, json.dumps((answer[0], answer[1][-4000:])).encode())
    os._exit(0)


_MISBEHAVING: dict[str, Callable[[Path], None]] = {
    "aborts": lambda path: os.abort(),
    "hangs": lambda path: time.sleep(60),
    "fills memory": lambda path: bytearray(2 * MEMORY_LIMIT_BYTES) and None,
    "raises": lambda path: path.read_bytes()[1 << 40] and None,
}
"""Uses that show each fault, to prove that a fault is seen."""


# ---- the formats -----------------------------------------------------------------------------------------------------

_SIDE_PX = 300


def image(side: int = _SIDE_PX) -> np.ndarray:
    """Make (side, side, 3) uint8 that compresses as stained cells do."""
    row, col = np.mgrid[:side, :side]
    return np.stack([150 + col // 8, 90 + row // 8, 190 - (row + col) // 16], -1).clip(0, 255).astype(np.uint8)


def use_slide(path: Path) -> None:
    """Open a slide and read from every level, its thumbnail and its associated images."""
    from napari_pathsrgan.slides.open_slide import open_slide

    with open_slide(path, mpp=1.465) as slide:
        for level, (rows, cols) in enumerate(slide.level_shapes):
            for row, col in ((0, 0), (rows // 2, cols // 2), (rows - 64, cols - 64)):
                slide.read_level(level, row, col, 64, 64)
        if max(slide.level_shapes[0]) < 10_000:
            slide.thumbnail(64)
        for name in slide.associated_images:
            slide.associated_images[name]


def tiff_structure(path: Path) -> list[int]:
    """List the offsets of a TIFF's header, of its page lists and of what their entries point to."""
    found = list(range(16))
    with tifffile.TiffFile(path) as file:
        pages = [*file.pages, *(sub for page in file.pages for sub in page.pages or ())]
        for page in pages:
            for tag in page.tags.values():
                found += range(tag.offset, tag.offset + file.tiff.tagsize)
                found += range(tag.valueoffset, tag.valueoffset + min(tag.valuebytecount, 64))
            found += range(page.offset, page.offset + file.tiff.tagnosize)
        found += [offset for page in pages for offset in page.dataoffsets for offset in range(offset, offset + 24)]
    return found


def write_plain_tiff(folder: Path, **options: Any) -> Path:
    """Write a TIFF of two levels."""
    path = folder / "slide.tif"
    with tifffile.TiffWriter(path, byteorder=options.pop("byteorder", "<")) as file:
        for level, pixels in enumerate((image(), image()[::2, ::2])):
            file.write(pixels, photometric="rgb", subfiletype=min(level, 1), metadata=None, **options)
    return path


def write_ome_tiff(folder: Path) -> Path:
    """Write an OME-TIFF with a macro image and a level in a SubIFD."""
    path = folder / "slide.ome.tif"
    facts = {"axes": "YXS", "PhysicalSizeX": 1.465, "PhysicalSizeY": 1.465}
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(image(40), photometric="rgb", metadata={"axes": "YXS", "Name": "macro"})
        layout = {"photometric": "rgb", "tile": (128, 128), "compression": "jpeg"}
        file.write(image(), subifds=1, metadata={**facts, "Name": "slide"}, **layout)
        file.write(image()[::2, ::2], subfiletype=1, **layout)
    return path


def write_svs(folder: Path) -> Path:
    """Write what OpenSlide takes for an Aperio slide, with a colour profile and a label."""
    path = folder / "slide.svs"
    text = f"Aperio Image Library\n{_SIDE_PX}x{_SIDE_PX} (128x128) JPEG/RGB Q=90|AppMag = 4|MPP = 1.465"
    with tifffile.TiffWriter(path, bigtiff=False) as file:
        layout = {"photometric": "rgb", "compression": "jpeg", "metadata": None}
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        file.write(image(), tile=(128, 128), description=text, iccprofile=profile, **layout)
        file.write(image(100), rowsperstrip=16, description=text, **layout)
        file.write(image()[::2, ::2], tile=(128, 128), subfiletype=1, description=text, **layout)
        file.write(image(60), rowsperstrip=60, subfiletype=1, description="Aperio\nlabel 60x60", **layout)
    return path


def write_review(folder: Path) -> Path:
    """Write a folder with a review in which two have rated, its key, and a copy for others."""
    from napari_pathsrgan.review import histories, import_export, session, study
    from napari_pathsrgan.review.design import Design, PatchSet

    lots = random.Random(0)
    path = folder / "reviews" / "study.review"
    fields = [PatchSet(str(field), {name: image(8) + np.uint8(field) for name in "ab"}) for field in range(3)]
    with (
        mock.patch.multiple(study, _DICE=lots, _name=lambda: f"{lots.getrandbits(64):016x}"),
        mock.patch.multiple(histories, now=lambda: "2026-01-02T03:04:05.678+00:00", new_hold=lambda: "0" * 16),
    ):
        study.write_study(
            path, path.with_suffix(".key.json"), Design(patches=3, warm_up=0, anchors=0, repeats=1), fields
        )
        import_export.export_copy(path, path.with_name("copy.review"))
        for rater in ("A", "B"):
            with session.Session(path, rater) as rating:
                rating.comment("a fold of the cytoplasm")
                while rating.place is not None:
                    rating.rate(1 + rating.place % 5, 1.5)
    return path.parent


def use_review(path: Path) -> None:
    """Report on a review, go on rating in it, import it and rescue its ratings; raise what the first of them does."""
    from napari_pathsrgan.errors import PathSRGANError
    from napari_pathsrgan.review import import_export, key, raters, rescue, scores, session

    review, copy = path / "study.review", path / "copy.review"
    refused: list[PathSRGANError] = []
    for use in (
        lambda: raters.known_raters(review),
        lambda: scores.read_scores(review, key.read_key(path / "study.key.json")),
        lambda: import_export.import_ratings(copy, [review]),
        lambda: session.Session(review, "B", go_on=True).close(),
        lambda: [session.Session(review, "C").image(name) for name in session.Session(review, "C").trial.images],
        lambda: rescue.rescue(review, path / "rescued.csv"),
        lambda: rescue.rescue(review, path / "rescued.review", copy),
    ):
        try:
            use()
        except PathSRGANError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def review_structure(_path: Path) -> list[int]:
    """List the offsets in a review file of its header, of the definitions and of the beginning of each page."""
    return [*range(100), *range(4000, 8192), *(page * 8192 + byte for page in range(1, 20) for byte in range(40))]


def _element(group: int, number: int, kind: str, value: bytes | str | int) -> bytes:
    """One DICOM element in explicit little endian."""
    content = value.to_bytes({"US": 2, "UL": 4}[kind], "little") if isinstance(value, int) else value
    content = content.encode() if isinstance(content, str) else content
    content += (b"\0" if kind in ("UI", "OB") else b" ") * (len(content) % 2)
    head = struct.pack("<HH2s", group, number, kind.encode())
    long = kind in ("OB", "SQ", "UN")
    return head + struct.pack("<HI" if long else "<H", *((0, len(content)) if long else (len(content),))) + content


def _sequence(group: int, number: int, *elements: bytes) -> bytes:
    content = b"".join(elements)
    return _element(group, number, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content)


def write_dicom_level(path: Path, pixels: np.ndarray, instance: int, side: int = 128) -> None:
    """Write a level of a DICOM slide in JPEG tiles."""
    uid, (rows, cols) = "1.2.826.0.1.3680043.9", pixels.shape[:2]
    padded = np.pad(pixels, ((0, -rows % side), (0, -cols % side), (0, 0)), mode="edge")
    tiles = [padded[row : row + side, col : col + side] for row in range(0, rows, side) for col in range(0, cols, side)]
    slide_image = "1.2.840.10008.5.1.4.1.1.77.1.6"
    meta = b"".join(
        (
            _element(2, 1, "OB", b"\0\1"),
            _element(2, 2, "UI", slide_image),
            _element(2, 3, "UI", f"{uid}.{instance}"),
            _element(2, 0x10, "UI", "1.2.840.10008.1.2.4.50"),
            _element(2, 0x12, "UI", uid),
        )
    )
    spacing = f"{0.001465 * 300 / rows:.6f}"
    measures = _sequence(0x28, 0x9110, _element(0x28, 0x30, "DS", f"{spacing}\\{spacing}"))
    kind = "ORIGINAL\\PRIMARY\\VOLUME\\NONE" if rows == _SIDE_PX else "DERIVED\\PRIMARY\\VOLUME\\RESAMPLED"
    head = b"".join(
        (
            _element(8, 8, "CS", kind),
            _element(8, 0x16, "UI", slide_image),
            _element(8, 0x18, "UI", f"{uid}.{instance}"),
            _element(8, 0x60, "CS", "SM"),
            _element(0x20, 0xD, "UI", f"{uid}.100"),
            _element(0x20, 0xE, "UI", f"{uid}.101"),
            _element(0x20, 0x9311, "CS", "TILED_FULL"),
            _element(0x28, 2, "US", 3),
            _element(0x28, 4, "CS", "YBR_FULL_422"),
            _element(0x28, 6, "US", 0),
            _element(0x28, 8, "IS", str(len(tiles))),
            _element(0x28, 0x10, "US", side),
            _element(0x28, 0x11, "US", side),
            _element(0x28, 0x100, "US", 8),
            _element(0x28, 0x101, "US", 8),
            _element(0x28, 0x102, "US", 7),
            _element(0x28, 0x103, "US", 0),
            _element(0x48, 6, "UL", cols),
            _element(0x48, 7, "UL", rows),
            _element(0x48, 0x302, "UL", 1),
            _element(0x48, 0x303, "UL", 1),
            _sequence(0x5200, 0x9229, measures),
        )
    )
    frames = [_jpeg(tile) for tile in tiles]
    offsets = np.cumsum([0, *(len(frame) + 8 for frame in frames[:-1])]).astype("<u4").tobytes()
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in (offsets, *frames))
    pixels_element = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    path.write_bytes(
        bytes(128) + b"DICM" + _element(2, 0, "UL", len(meta)) + meta + head + pixels_element + items + end
    )


def _jpeg(tile: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(tile).save(stream, "JPEG")
    return stream.getvalue() + b"\0" * (stream.tell() % 2)


def write_dicom(folder: Path) -> Path:
    """Write a DICOM slide of two levels into a folder."""
    path = folder / "slide"
    path.mkdir()
    for level in range(2):
        write_dicom_level(path / f"IM{level}", image()[:: level + 1, :: level + 1], level + 1)
    return path


def write_ome_zarr(folder: Path, sharded: bool = False) -> Path:
    """Write an OME-Zarr of two levels: 0.4, or 0.5 in shards."""
    path = folder / "slide.ome.zarr"
    axes = [{"name": "c", "type": "channel"}] + [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    group = zarr.open_group(path, mode="w", zarr_format=3 if sharded else 2)
    datasets = []
    for level, step in enumerate((1, 2)):
        pixels = image()[::step, ::step].transpose(2, 0, 1)
        chunks, shards = ((3, 64, 64), (3, 128, 128)) if sharded else ((3, 128, 128), None)
        group.create_array(str(level), data=pixels, chunks=chunks, shards=shards)
        scale = [{"type": "scale", "scale": [1.0, 1.465 * step, 1.465 * step]}]
        datasets.append({"path": str(level), "coordinateTransformations": scale})
    content = {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]}
    group.attrs.update({"ome": {"version": "0.5", **content}} if sharded else content)
    return path


def write_geojson(folder: Path) -> Path:
    """Write annotations of each kind of geometry."""
    path = folder / "areas.geojson"
    ring = [[100, 100], [300.5, 100], [300.5, 250], [100, 250], [100, 100]]
    hole = [[150, 120], [200, 120], [200, 200], [150, 120]]
    polygon = {"type": "Polygon", "coordinates": [ring, hole]}
    geometries: list[Any] = [
        polygon,
        {"type": "MultiPolygon", "coordinates": [[ring], [hole]]},
        {"type": "GeometryCollection", "geometries": [polygon, {"type": "Point", "coordinates": [1, 2]}]},
        None,
    ]
    classes: list[Any] = [{"name": "Tumor"}, {"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, "Stroma", None]
    features = [
        {"type": "Feature", "id": str(at), "geometry": geometry, "properties": {"classification": kind}}
        for at, (geometry, kind) in enumerate(zip(geometries, classes, strict=True))
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def use_annotations(path: Path) -> None:
    """Read annotations and ask which places lie inside and which tiles they touch."""
    from napari_pathsrgan.inference.region import AnnotatedRegion
    from napari_pathsrgan.slides.annotation import label_places
    from napari_pathsrgan.slides.geojson import QuPathGrid, read_annotations
    from napari_pathsrgan.tiles.grid import PyramidGrid

    areas = read_annotations(path, QuPathGrid((1.465, 1.465), (0.0, 0.0), (1000.0, 1000.0)))
    label_places(areas, np.random.default_rng(0).uniform(0, 1000, (1000, 2)))
    AnnotatedRegion(areas).tiles(PyramidGrid.over_slide((853, 853)), 0)


def write_model(folder: Path) -> Path:
    """Write a small network with its card."""
    from napari_pathsrgan.models.build import build_generator
    from napari_pathsrgan.models.card import ModelCard
    from napari_pathsrgan.models.checkpoint import save_generator

    path = folder / "model.safetensors"
    options = {"width": 4, "blocks1": 1, "features": 4, "blocks2": 1}
    card = ModelCard(name="tiny", preset="lite", preset_options=options, metrics={"psnr_20x": 30.5})
    save_generator(build_generator("lite", **options), card, path)
    return path


def use_model(path: Path) -> None:
    """Read a model's card and its weights into a network."""
    from napari_pathsrgan.models.checkpoint import load_generator

    load_generator(path)


def model_header(path: Path) -> range:
    """List the offsets of a model file's header, which holds the card."""
    with path.open("rb") as file:
        return range(8 + int.from_bytes(file.read(8), "little"))


FORMATS = (
    Format("TIFF strips", partial(write_plain_tiff, rowsperstrip=32, compression="lzw"), use_slide, tiff_structure),
    Format("TIFF tiles", partial(write_plain_tiff, tile=(128, 128), byteorder=">"), use_slide, tiff_structure),
    Format("OME-TIFF", write_ome_tiff, use_slide, tiff_structure),
    Format("SVS", write_svs, use_slide, tiff_structure),
    Format("DICOM", write_dicom, use_slide),
    Format("OME-Zarr 0.4", write_ome_zarr, use_slide),
    Format("OME-Zarr 0.5", partial(write_ome_zarr, sharded=True), use_slide),
    Format("GeoJSON", write_geojson, use_annotations),
    Format("model file", write_model, use_model, model_header),
    Format("review", write_review, use_review, review_structure),
)

_PACKAGES = (
    "inference.region",
    "models.checkpoint",
    "review.rescue",
    "review.scores",
    "review.session",
    "slides.open_slide",
)

if __name__ == "__main__":
    for module in _PACKAGES:
        importlib.import_module(f"napari_pathsrgan.{module}")
    _serve()
