"""Annotations in and out, in QuPath's pixels and our µm."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.slides.annotation import Annotation, label_places
from napari_pathsrgan.slides.geojson import QuPathGrid, read_annotations, write_squares
from napari_pathsrgan.slides.open_slide import open_slide

from .synthetic import noise, write_leica

GRID = QuPathGrid((1.5, 1.5), (0.0, 0.0), (3000.0, 3000.0))
CROPPED = QuPathGrid((2.0, 1.0), (100.0, 30.0), (3000.0, 3000.0))


def box(x: float, y: float, width: float, height: float) -> list:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]


SQUARE = {"type": "Polygon", "coordinates": [box(300, 200, 100, 400)]}


def feature(geometry: Any = SQUARE, **properties: Any) -> dict:
    return {"type": "Feature", "id": "x", "geometry": geometry, "properties": properties}


def polygon(*rings: list) -> dict:
    return {"type": "Polygon", "coordinates": list(rings)}


def write(path: Path, content: Any, encoding: str = "utf-8") -> Path:
    path.write_text(json.dumps(content), encoding=encoding)
    return path


def collection(*features: Any) -> dict:
    return {"type": "FeatureCollection", "features": list(features)}


def is_the_square(annotation: Annotation) -> bool:
    return annotation.box_um() == (300.0, 450.0, 900.0, 600.0)


def test_places_get_their_area_s_class(tmp_path: Path) -> None:
    areas = collection(
        feature(polygon(box(100, 0, 200, 100), box(150, 20, 20, 20)), classification={"name": "atypical"}),
        feature({"type": "MultiPolygon", "coordinates": [[box(0, 200, 10, 10)], [box(50, 200, 10, 10)]]}),
        feature({"type": "Point", "coordinates": [5, 5]}),
    )
    found = read_annotations(write(tmp_path / "a.geojson", areas), GRID)
    assert len(found) == 2
    places_px = np.array([[50, 110], [30, 160], [110, 50], [205, 5], [205, 55], [205, 30]])  # row, col
    assert label_places(found, places_px * 1.5) == ["atypical", None, None, "", "", None]


def test_inside_agrees_with_counting_every_edge() -> None:
    rng = np.random.default_rng(0)
    ring, places = rng.integers(0, 30, (41, 2)).astype(float), rng.integers(-2, 32, (500, 2)) + 0.25
    inside = np.zeros(500, bool)
    for (row_a, col_a), (row_b, col_b) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        for index, (row, col) in enumerate(places):
            if (row_a > row) != (row_b > row) and col < col_a + (row - row_a) / (row_b - row_a) * (col_b - col_a):
                inside[index] ^= True
    assert 50 < inside.sum() < 450
    np.testing.assert_array_equal(Annotation("", ((ring,),)).holds(places), inside)


def test_an_outline_of_a_million_points_takes_no_loop_over_them() -> None:
    angle = np.linspace(0, 2 * np.pi, 1_000_000, endpoint=False)
    circle = np.stack([np.sin(angle), np.cos(angle)], axis=1) * 100
    places = np.random.default_rng(0).uniform(-120, 120, (2000, 2))
    near = np.abs(np.hypot(*places.T) - 100) > 0.01
    np.testing.assert_array_equal(Annotation("", ((circle,),)).holds(places)[near], (np.hypot(*places.T) < 100)[near])


def test_an_outline_made_to_take_for_ever_is_refused() -> None:
    zigzag = np.array([[0.0, 0.0], [100.0, 1.0]] * 20_000)
    with pytest.raises(OptionError, match="too often"):
        Annotation("", ((zigzag,),)).holds(np.full((100_000, 2), 50.0))


@pytest.mark.parametrize(
    "content",
    [
        collection(feature()),
        feature(),
        [feature(), feature(None)],
        SQUARE,
        [SQUARE],
        collection(feature(None), feature()),
        collection(feature(polygon()), feature()),
        collection(feature({"type": "GeometryCollection", "geometries": [SQUARE]})),
        collection(feature({"type": "GeometryCollection", "geometries": []}), feature()),
        collection(feature(polygon([[*p, 7] for p in box(300, 200, 100, 400)]))),
        collection(feature(polygon([[300, 200], [400, 200, 1], [400, 600], [300, 600, 2]]))),
        collection(feature(SQUARE | {"plane": {"c": -1, "z": 2, "t": 0}})),
        collection({"type": "Feature", "geometry": SQUARE}),
        collection({"type": "Feature", "geometry": SQUARE, "properties": None}),
        collection(feature({"type": "LineString", "coordinates": [[0, 0], [9, 9]]}), feature()),
        collection(feature(classification=None)),
        {"features": [feature()], "bbox": [1, 2, 3, 4]},
        collection(collection(feature())),
        [collection(feature(None)), collection(collection(), collection(feature()))],
        feature() | {"features": []},
        feature() | {"properties": [1, 2]},
        feature() | {"id": 7, "bbox": "none"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_all_that_rfc_7946_and_qupath_allow_is_read(
    tmp_path: Path, content: Any, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    (annotation,) = read_annotations(write(tmp_path / "a.geojson", content, encoding), GRID)
    assert is_the_square(annotation)
    assert annotation.label == ""
    assert not caplog.records


@pytest.mark.parametrize(
    ("classification", "label"),
    [
        ({"name": "Tumor"}, "Tumor"),
        ("Tumor", "Tumor"),
        ({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, "Tumor: Positive"),
        ({"names": [], "name": "Tumor"}, "Tumor"),
        ({"names": [{}], "name": "Tumor"}, "Tumor"),
        ({"names": "Tumor", "name": 7}, "Tumor"),
        ({"color": [1, 2, 3]}, ""),
        ("a\x1b[31m\u202eb", "a�[31m�b"),
        ("a" * 300, "a" * 199 + "…"),
    ],
)
def test_the_class_is_read_as_qupath_writes_it(tmp_path: Path, classification: Any, label: str) -> None:
    (annotation,) = read_annotations(write(tmp_path / "a", feature(classification=classification)), GRID)
    assert annotation.label == label


NAN, FAR = float("nan"), 1e300
BAD = [
    (7, "is no object"),
    (feature({"type": "Circle", "coordinates": [1, 2, 3]}), "RFC 7946"),
    (feature("POLYGON ((0 0, 1 1, 0 1))"), "RFC 7946"),
    (feature({"type": ["Polygon"]}), "RFC 7946"),
    (feature({"type": "GeometryCollection"}), "RFC 7946"),
    (feature({"type": "Polygon"}), "no list of rings"),
    (feature({"type": "MultiPolygon", "coordinates": [7]}), "no list of rings"),
    (feature(polygon([1, 2, 3])), "no list of positions"),
    (feature(polygon([["1", "2"], ["3", "4"], ["5", "7"]])), "no list of positions"),
    (feature(polygon([[[1, 2]], [[3, 4]], [[5, 7]]])), "no list of positions"),
    (feature(polygon([[1], [2], [3]])), "no list of positions"),
    (feature(polygon([[1, 2], None, [3, 4]])), "no list of positions"),
    (feature(polygon({"a": 1})), "no list of positions"),
    (feature(polygon([[10**400, 2], [3, 4], [5, 7]])), "no list of positions"),
    (feature(polygon([])), "no list of positions"),
    (feature(polygon([[1, 2], [3, 4], [1, 2]])), "fewer than three points"),
    (feature(polygon([[NAN, 2], [3, 4], [5, 7]])), "no place on a slide"),
    (feature(polygon([[FAR, 2], [3, 4], [5, 7]])), "no place on a slide"),
    (feature(polygon([[float("inf"), 2], [3, 4], [5, 7]])), "no place on a slide"),
    (feature(polygon(box(9000, 9000, 10, 10))), "outside the slide, which is 3000 × 3000 µm"),
    (feature(polygon(box(-20, 10, 10, 10))), "outside the slide"),
    (feature(feature()), "has a Feature where a geometry belongs"),
    (feature(collection(feature())), "has a FeatureCollection where a geometry belongs"),
    (feature({"type": "MultiPolygon", "coordinates": [[[7]], [[8]]]}), "no polygon that can be read"),
]


@pytest.mark.parametrize(("bad", "why"), BAD)
def test_a_bad_feature_is_named_and_does_not_refuse_the_others(
    tmp_path: Path, bad: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.geojson", collection(feature(), bad))
    (annotation,) = read_annotations(path, GRID)
    assert is_the_square(annotation)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("a.geojson: feature 2")
    assert why in record.getMessage()
    with pytest.raises(OptionError, match="holds no annotated area of the slide: feature 1"):
        read_annotations(write(tmp_path / "b", collection(bad)), GRID)


@pytest.mark.parametrize("classification", [7, True, {"names": [{}]}, {"name": 7}, {"name": ["a", 7]}, [7], [[]]])
def test_a_bad_class_costs_the_class_and_not_the_area(
    tmp_path: Path, classification: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (annotation,) = read_annotations(write(tmp_path / "a", feature(classification=classification)), GRID)
    assert is_the_square(annotation)
    assert annotation.label == ""
    assert [record.getMessage() for record in caplog.records] == [
        "a: feature 1 “x” has a class that is no text; its area has no class."
    ]


def test_a_bad_polygon_costs_no_other_polygon_of_its_feature(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    polygons = [[[[1, 2], [3, 4]]], SQUARE["coordinates"], [[[NAN, 2], [3, 4], [5, 7]]]]
    several = feature({"type": "MultiPolygon", "coordinates": polygons})
    (annotation,) = read_annotations(write(tmp_path / "a", several), GRID)
    assert is_the_square(annotation)
    first, second = (record.getMessage() for record in caplog.records)
    assert "fewer than three points in polygon 1 of 3; that polygon is left out" in first
    assert "no place on a slide in polygon 3 of 3" in second


def test_of_many_bad_features_a_few_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    named = [feature("?", name=f"\x1b[2Jcell {number}") for number in range(9)]
    read_annotations(write(tmp_path / "a", collection(*named, feature())), GRID)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 6
    assert "feature 1 “�[2Jcell 0” has" in lines[0]
    assert "4 more features" in lines[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "no GeoJSON"),
        (b"", "no GeoJSON"),
        (b"7", "no GeoJSON: it has neither features"),
        (b'{"type": 7}', "no GeoJSON"),
        (b"{}", "no GeoJSON"),
        (b"\xff\xfe\x00", "no GeoJSON"),
        (b'{"features": []}', "no annotated area"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"type":"Polygon","coordinates":' + b"[" * 900 + b"]" * 900 + b"}", "annotated area"),
        (b"[" + b"[]," * 6_000_001 + b"[]]", "more than 6000000 values"),
    ],
    ids=["cut", "empty", "number", "odd type", "nothing", "no text", "no features", "deep", "deep ring", "many"],
)
def test_other_files_are_refused(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "a").write_bytes(text)
    with pytest.raises(OptionError, match=said):
        read_annotations(tmp_path / "a", GRID)


def test_collections_in_collections_to_any_depth_take_no_recursion(tmp_path: Path) -> None:
    deep: Any = SQUARE
    for _ in range(300):
        deep = {"type": "GeometryCollection", "geometries": [deep]}
    assert is_the_square(read_annotations(write(tmp_path / "a", deep), GRID)[0])


def test_what_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(OptionError, match="no regular file"):
            read_annotations(path, GRID)
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(OptionError, match="cannot be read"):
            read_annotations(path, GRID)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OptionError, match="larger than 128 MiB"):
        read_annotations(tmp_path / "huge", GRID)


def test_pixels_count_from_the_corner_of_the_scanned_part_along_each_axis(tmp_path: Path) -> None:
    (annotation,) = read_annotations(write(tmp_path / "a", SQUARE), CROPPED)
    assert annotation.box_um() == (100 + 2 * 200, 30 + 300, 100 + 2 * 600, 30 + 400)


def test_qupath_crops_a_slide_to_the_part_that_was_scanned(tmp_path: Path) -> None:
    with open_slide(write_leica(tmp_path / "a.scn", noise(300, 400), (128, 70))) as slide:
        grid = QuPathGrid.of(slide)
        assert grid.origin_um == pytest.approx((128 * slide.mpp, 70 * slide.mpp))
        (annotation,) = read_annotations(write(tmp_path / "a", polygon(box(0, 0, 400, 300))), grid)
        top, left, bottom, right = (part / slide.mpp for part in annotation.box_um())
        part = slide.read_level(0, round(top), round(left), round(bottom - top), round(right - left))
    np.testing.assert_array_equal(part, noise(300, 400))


@pytest.mark.parametrize("grid", [GRID, CROPPED])
def test_squares_are_read_back(tmp_path: Path, grid: QuPathGrid) -> None:
    corners = np.array([[10.0, 40.0], [300.0, 5.0]])
    write_squares(tmp_path / "a.geojson", corners, 150.0, grid, [{"label": "a", "correlation": 0.9}, {"label": ""}])
    one, other = read_annotations(tmp_path / "a.geojson", grid)
    assert (one.label, other.label) == ("a", "")
    assert one.box_um() == pytest.approx((10, 40, 160, 190), abs=2e-3)
    assert other.box_um() == pytest.approx((300, 5, 450, 155), abs=2e-3)


def test_a_place_that_can_t_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_squares(tmp_path / "no" / "folder", np.zeros((0, 2)), 1.0, GRID, [])
