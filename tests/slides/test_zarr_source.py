"""OME-Zarr as it comes: old and new versions, axes in any order, and hostile ones."""

from __future__ import annotations

import json
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

from napari_pathsrgan.errors import MissingMppError, SlideUnreadableError
from napari_pathsrgan.slides.chunk_store import DECODERS, decompress
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pixel_size import um_per_unit

from .synthetic import noise

PIXELS = noise(150, 200)


def arranged(pixels: np.ndarray, axes: str) -> np.ndarray:
    """(rows, cols, 3) with its axes in another order; those it lacks have length 1."""
    order = [axis for axis in axes if axis in "cyx"]
    planes = pixels.transpose(["yxc".index(axis) for axis in order])
    return planes.reshape([dict(zip(order, planes.shape, strict=True)).get(axis, 1) for axis in axes])


def described(axes: str, unit: str | None = "micrometer") -> list[dict[str, str]]:
    kinds = {"c": "channel", "t": "time"}
    return [
        {"name": axis, "type": kinds.get(axis, "space")} | ({"unit": unit} if unit and axis in "zyx" else {})
        for axis in axes
    ]


def write(
    folder: Path,
    axes: str = "cyx",
    multiscale: dict[str, Any] | None = None,
    scale: float = 1.465,
    steps: tuple[int, ...] = (1, 2),
    omero: Any = None,
    pixels: np.ndarray = PIXELS,
    **how: Any,
) -> Path:
    """Write levels of every `step`-th pixel; how is zarr's."""
    how = {"zarr_format": 2, **how}
    datasets = []
    for level, step in enumerate(steps):
        planes = arranged(pixels[::step, ::step], axes)
        chunks = tuple(64 if axis in "yx" else size for axis, size in zip(axes, planes.shape, strict=True))
        array = zarr.create_array(folder / str(level), shape=planes.shape, dtype="uint8", chunks=chunks, **how)
        array[...] = planes
        sizes = [scale * step if axis in "yx" else 1 for axis in axes]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": sizes}]})
    multiscale = {"version": "0.4", "axes": described(axes), "datasets": datasets} | (multiscale or {})
    attributes = {"multiscales": [multiscale]} | ({"omero": omero} if omero else {})
    zarr.open_group(folder, mode="a", zarr_format=2).attrs.update(attributes)
    return folder


def edit(file: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def opens_right(path: Path, mpp: float | None = None) -> None:
    with open_slide(path, mpp) as slide:
        assert slide.mpp == pytest.approx(1.465)
        assert slide.level_mpps == (slide.mpp, 2 * slide.mpp)
        np.testing.assert_array_equal(slide.read_level(0, 31, 17, 90, 160), PIXELS[31:121, 17:177])
        np.testing.assert_array_equal(slide.read_level(1, 0, 0, 75, 100), PIXELS[::2, ::2])


@pytest.mark.parametrize("axes", ["cyx", "yxc", "ycx", "cxy", "xyc", "tczyx", "tzyxc", "zcyx", "tyxc"])
def test_axes_may_come_in_any_order(tmp_path: Path, axes: str) -> None:
    opens_right(write(tmp_path / "a.zarr", axes))


@pytest.mark.parametrize(
    ("axes", "multiscale"),
    [
        ("tczyx", {"version": "0.1", "axes": None}),
        ("tczyx", {"version": "0.2", "axes": None, "name": "a"}),
        ("tczyx", {"version": None, "axes": None}),
        ("cyx", {"version": "0.3", "axes": ["c", "y", "x"]}),
        ("tczyx", {"version": "0.3", "axes": ["t", "c", "z", "y", "x"]}),
    ],
)
def test_versions_before_0_4_open_once_their_pixel_size_is_given(
    tmp_path: Path, axes: str, multiscale: dict[str, Any]
) -> None:
    path = write(tmp_path / "a.zarr", axes, multiscale | {"datasets": [{"path": "0"}, {"path": "1"}]})
    with pytest.raises(MissingMppError):
        open_slide(path)
    opens_right(path, mpp=1.465)


@pytest.mark.parametrize(
    "how",
    [
        {"compressors": None},
        {"order": "F"},
        {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
        *({"compressors": {"id": name}} for name in ("zlib", "gzip", "bz2", "lz4", "zstd", "blosc")),
        {"zarr_format": 3},
        {"zarr_format": 3, "compressors": GzipCodec()},
        {"zarr_format": 3, "compressors": BloscCodec()},
        {"zarr_format": 3, "compressors": [ZstdCodec(), Crc32cCodec()]},
        {"zarr_format": 3, "filters": [TransposeCodec(order=(2, 0, 1))]},
        {"zarr_format": 3, "shards": (3, 128, 128)},
        {"zarr_format": 3, "shards": {"shape": (3, 128, 128), "index_location": "start"}},
    ],
)
def test_layouts_and_codecs_that_are_usual(tmp_path: Path, how: dict[str, Any]) -> None:
    opens_right(write(tmp_path / "a.zarr", **how))


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("micrometer", 1.0), ("micron", 1.0), ("Microns", 1.0), ("µm", 1.0), ("μm", 1.0), ("um", 1.0),
        ("micrometre", 1.0), ("nanometer", 1e-3), ("nm", 1e-3), ("millimeter", 1e3), ("mm", 1e3), ("Mm", 1e12),
        ("angstrom", 1e-4), ("Å", 1e-4), ("inch", 25_400.0), ("in", 25_400.0), ("thou", 25.4), ("foot", 304_800.0),
        ("yard", 914_400.0), ("mile", 1.609344e9), ("pm", 1e-6), ("Pm", 1e21), ("cm", 1e4), ("meter", 1e6), ("m", 1e6),
        ("yoctometer", 1e-18), ("decameter", 1e7), ("parsec", 3.0856775814913673e22), ("pt", 25_400 / 72),
        ("pixel", None), ("second", None), ("reference frame", None), ("", None), (None, None), (7, None), ([], None),
    ],
)  # fmt: skip
def test_every_unit_of_length_of_ome(unit: object, um: float | None) -> None:
    assert um_per_unit(unit) == (None if um is None else pytest.approx(um))


# ---- scales ----------------------------------------------------------------------------------------------------------


def scales(*sizes: float | str, axes: int = 3) -> dict[str, Any]:
    """Datasets with one pixel size each."""
    return {
        "datasets": [
            {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [1, size, size]}]}
            for level, size in enumerate(sizes)
        ]
    }


@pytest.mark.parametrize("sizes", [(1.465, 1.465), (1.465, 5.86), (1.465, 0.7), (1.465, 1.465e9)])
def test_scales_that_contradict_the_shapes_are_refused(tmp_path: Path, sizes: tuple[float, float]) -> None:
    path = write(tmp_path / "a.zarr", multiscale=scales(*sizes))
    with pytest.raises(SlideUnreadableError, match="has a level 1 of 75 × 100 pixels"):
        open_slide(path)


def test_levels_in_another_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SlideUnreadableError, match="not in order"):
        open_slide(write(tmp_path / "a.zarr", steps=(2, 1)))


@pytest.mark.parametrize("size", [1e-320, 1e-9, 0.0, -1.465, float("nan"), float("inf"), 1e300, 200.0])
def test_a_pixel_size_that_cannot_be_is_asked_for(tmp_path: Path, size: float) -> None:
    path = write(tmp_path / "a.zarr", multiscale=scales(size, 2 * size))
    with pytest.raises(MissingMppError):
        open_slide(path)
    opens_right(path, mpp=1.465)


@pytest.mark.parametrize("rounded", [(75, 100), (74, 99), (76, 101)])
def test_writers_may_round_the_size_of_a_level(tmp_path: Path, rounded: tuple[int, int]) -> None:
    path = write(tmp_path / "a.zarr")
    edit(path / "1" / ".zarray", lambda array: array.update(shape=[3, *rounded]))
    with open_slide(path) as slide:
        assert slide.level_mpps == (slide.mpp, 2 * slide.mpp)


# ---- colours ---------------------------------------------------------------------------------------------------------


def channels(*named: tuple[str, str]) -> dict[str, Any]:
    return {"channels": [{"label": label, "color": colour, "active": True} for label, colour in named]}


RED, GREEN, BLUE = "FF0000", "00FF00", "0000FF"


@pytest.mark.parametrize(
    "omero",
    [
        channels(("red", RED), ("green", GREEN), ("blue", BLUE)),
        channels(("Channel 0", RED), ("Channel 1", GREEN), ("Channel 2", BLUE)),
        channels(("0", RED.lower()), ("1", GREEN.lower()), ("2", BLUE.lower())),
        {"channels": None},
        {"channels": [7]},
    ],
)
def test_channels_that_are_the_colours_of_rgb(tmp_path: Path, omero: Any) -> None:
    opens_right(write(tmp_path / "a.zarr", omero=omero))


@pytest.mark.parametrize(
    ("omero", "count"),
    [
        (channels(("DAPI", BLUE), ("FITC", GREEN), ("Cy3", "FF8000")), 3),
        (channels(("DAPI", RED), ("FITC", GREEN), ("Cy3", BLUE)), 3),
        (channels(("0", BLUE), ("1", GREEN), ("2", RED)), 3),
        (channels(("DAPI", BLUE), ("FITC", GREEN), ("Cy3", "FF8000"), ("Cy5", RED)), 4),
        (None, 4),
        (None, 2),
        (None, 5),
    ],
)
def test_fluorescence_channels_are_no_rgb_image(tmp_path: Path, omero: Any, count: int) -> None:
    pixels = np.repeat(PIXELS[..., :1], count, axis=2)
    with pytest.raises(SlideUnreadableError, match=f"holds {count} channels"):
        open_slide(write(tmp_path / "a.zarr", omero=omero, pixels=pixels))


# ---- hostile ones ----------------------------------------------------------------------------------------------------


class RunsCode:
    """Pickles into a call that leaves a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("as_filter", [True, False])
def test_an_object_array_with_a_pickle_at_any_level_never_runs_it(tmp_path: Path, level: int, as_filter: bool) -> None:
    path = write(tmp_path / "a.zarr")
    trap = {"id": "pickle"}
    edit(
        path / str(level) / ".zarray",
        lambda array: array.update(
            dtype="|O", filters=[trap] if as_filter else None, compressor=None if as_filter else trap
        ),
    )
    for chunk in (path / str(level)).glob("0.*"):
        chunk.write_bytes(pickle.dumps(RunsCode(tmp_path / "ran")))
    with pytest.raises(SlideUnreadableError, match=r"pixels of type “\|O”"):
        open_slide(path)
    assert not (tmp_path / "ran").exists()


ODD_ARRAYS = [
    ({"dtype": "<u2"}, "type “<u2”"),
    ({"dtype": "|i1"}, "not 8-bit"),
    ({"dtype": [["a", "|u1"]]}, "not 8-bit"),
    ({"filters": [{"id": "pickle"}]}, "a filter “pickle”"),
    ({"filters": [{"id": "delta", "dtype": "O"}]}, "a filter “delta”"),
    ({"compressor": {"id": "pickle"}}, "a codec “pickle”"),
    ({"compressor": {"id": "msgpack2"}}, "a codec “msgpack2”"),
    ({"compressor": {"id": ["zlib"]}}, "a codec"),
    ({"compressor": {}}, "a codec"),
    ({"chunks": [3, 65536, 65536]}, "chunks of 12288 MiB"),
    ({"chunks": [1, 1, 1]}, "too small"),
    ({"shape": [3, 2**31, 100]}, "damaged"),
    ({"shape": [3, 10**400, 100]}, "damaged"),
    ({"shape": [3, -75, 100]}, "damaged"),
    ({"shape": [3, 0, 100]}, "damaged"),
    ({"shape": [3, 75.5, 100]}, "damaged"),
    ({"shape": [75, 100]}, "damaged"),
    ({"shape": []}, "damaged"),
    ({"shape": None}, "damaged"),
    ({"fill_value": "NaN"}, "damaged"),
    ({"fill_value": 256}, "damaged"),
    ({"order": "K"}, "damaged"),
    ({"dimension_separator": "../"}, "damaged"),
    ({"zarr_format": 1}, "damaged"),
]


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize(("change", "words"), ODD_ARRAYS)
def test_odd_arrays_at_any_level_are_refused(tmp_path: Path, level: int, change: dict[str, Any], words: str) -> None:
    path = write(tmp_path / "a.zarr")
    edit(path / str(level) / ".zarray", lambda array: array.update(change))
    with pytest.raises(SlideUnreadableError, match=words):
        open_slide(path)


BYTES, SHARDED = {"name": "bytes"}, {"name": "sharding_indexed"}
INNER = {"chunk_shape": [3, 64, 64], "codecs": [BYTES], "index_codecs": [BYTES]}


@pytest.mark.parametrize(
    ("codecs", "words"),
    [
        ([BYTES, {"name": "numcodecs.pickle"}], "a codec “pickle”"),
        ([{"name": "vlen-bytes"}], "a codec “vlen-bytes”"),
        ([BYTES, {"name": "zstd"}, {"name": "zstd"}], "compressed twice"),
        ([BYTES, SHARDED], "a codec “sharding_indexed”"),
        ([SHARDED | {"configuration": INNER | {"codecs": [SHARDED]}}], "a codec “sharding_indexed”"),
        ([SHARDED | {"configuration": INNER | {"index_codecs": [BYTES, {"name": "zstd"}]}}], "index is compressed"),
        ([SHARDED | {"configuration": INNER | {"chunk_shape": [1, 1, 1]}}], "too small"),
        ([SHARDED], "damaged"),
        ([], "damaged"),
        ([{"name": 7}], "damaged"),
        ([{"name": "zstd"}], "damaged"),
        ("bytes", "damaged"),
    ],
)
def test_odd_codecs_of_format_3_are_refused(tmp_path: Path, codecs: Any, words: str) -> None:
    path = write(tmp_path / "a.zarr", zarr_format=3)
    edit(path / "1" / "zarr.json", lambda array: array.update(codecs=codecs))
    with pytest.raises(SlideUnreadableError, match=words):
        open_slide(path)


@pytest.mark.parametrize("name", DECODERS)
def test_a_chunk_that_decodes_to_more_than_its_pixels_is_never_given_the_room(name: str) -> None:
    zeros = zarr.create_array({}, shape=(4_000_000,), chunks=(4_000_000,), dtype="uint8", zarr_format=2,
                              compressors={"id": name}, config={"write_empty_chunks": True})  # fmt: skip
    zeros[...] = 0
    bomb = bytes(zeros.store._store_dict["0"].to_bytes())  # type: ignore[attr-defined]
    assert len(bomb) < 400_000
    assert (decompress(name, bomb, 4_000_000) == 0).all()
    for size in (1000, 3_999_999, 4_000_001):
        with pytest.raises(OSError, match="chunk"):
            decompress(name, bomb, size)
    with pytest.raises(OSError, match="chunk"):
        decompress(name, b"", 10)


def test_a_bomb_in_a_chunk_is_a_damaged_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", compressors={"id": "zlib"})
    (path / "1" / "0.1.1").write_bytes(zlib.compress(bytes(100_000_000), 9))
    with pytest.raises(SlideUnreadableError, match="cannot be read at level 1"):
        open_slide(path)


def _fifo(file: Path) -> None:
    os.mkfifo(file)


def _device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def _link_out(file: Path) -> None:
    secret = file.parents[2] / "secret"
    secret.write_bytes(PIXELS[:64, :64].tobytes())
    file.symlink_to(secret)


def _huge(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(1 << 40)


@pytest.mark.parametrize("put", [_fifo, _device, _link_out, _huge])
@pytest.mark.parametrize("name", ["1/0.1.1", "1/.zarray", ".zattrs"])
def test_what_is_no_file_of_the_store_is_neither_read_nor_waited_for(
    tmp_path: Path, put: Callable[[Path], None], name: str
) -> None:
    path = write(tmp_path / "a.zarr", compressors=None)
    (path / name).unlink()
    put(path / name)
    with pytest.raises(SlideUnreadableError, match=r"damaged|neither an OME-Zarr"):
        open_slide(path)


def test_links_inside_of_the_store_are_followed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr")
    (path / "1" / "0.1.1").rename(path / "chunk")
    (path / "1" / "0.1.1").symlink_to("../chunk")
    (tmp_path / "b.zarr").symlink_to(path)
    opens_right(tmp_path / "b.zarr")


@pytest.mark.parametrize("place", ["../b.zarr/0", "/etc", "0/../../b.zarr/0", "x\x00", ["0"], None])
def test_levels_outside_of_the_store_are_refused(tmp_path: Path, place: Any) -> None:
    write(tmp_path / "b.zarr")
    path = write(tmp_path / "a.zarr")
    edit(path / ".zattrs", lambda content: content["multiscales"][0]["datasets"][1].update(path=place))
    with pytest.raises(SlideUnreadableError, match="damaged"):
        open_slide(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"multiscales": ' + "[" * 100_000,
        '{"multiscales": [' + "[" * 900 + "]" * 900 + "]}",
        '{"multiscales": [' + "{}," * 2_000_001 + "{}]}",
        '{"multiscales": {"0": 1}}',
        '{"multiscales": [{"datasets": [{"path": "0"}]}]}',
        '{"multiscales": [{"axes": ["y", "x", "y"], "datasets": [{"path": "0"}]}]}',
        '{"multiscales": [{"axes": [{"type": "space"}], "datasets": []}]}',
        '{"multiscales": [{"axes": ["c", "y", "x"], "datasets": []}]}',
        '{"multiscales": [{"axes": 7, "datasets": 7}]}',
        '["multiscales"]',
        '"multiscales"',
    ],
    ids=range(11),
)
def test_odd_metadata_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.zarr")
    (path / ".zattrs").write_text(text)
    with pytest.raises(SlideUnreadableError, match=r"damaged|neither an OME-Zarr"):
        open_slide(path)


def test_consolidated_metadata_that_contradicts_is_not_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr")
    zarr.consolidate_metadata(path, zarr_format=2)
    edit(path / ".zmetadata", lambda content: content["metadata"]["1/.zarray"].update(shape=[3, 9, 9], dtype="|O"))
    opens_right(path)
