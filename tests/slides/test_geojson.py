"""Annotations in and out, in QuPath's pixels and our µm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.slides.geojson import label_places, read_annotations, write_squares

MPP = 1.5


def feature(kind: str, coordinates: list, name: str | None = None) -> dict:
    properties = {"objectType": "annotation"} | ({"classification": {"name": name}} if name else {})
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def box(x: float, y: float, width: float, height: float) -> list:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]


def test_places_get_their_area_s_class(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    areas = [
        feature("Polygon", [box(100, 0, 200, 100), box(150, 20, 20, 20)], "atypical"),
        feature("MultiPolygon", [[box(0, 200, 10, 10)], [box(50, 200, 10, 10)]]),
        feature("Point", [5, 5]),
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": areas}))
    found = read_annotations(path, MPP)
    assert len(found) == 2
    places_px = np.array([[50, 110], [30, 160], [110, 50], [205, 5], [205, 55], [205, 30]])  # row, col
    assert label_places(found, places_px * MPP) == ["atypical", None, None, "", "", None]


def test_squares_are_read_back(tmp_path: Path) -> None:
    corners = np.array([[10.0, 40.0], [300.0, 5.0]])
    write_squares(tmp_path / "a.geojson", corners, 150.0, MPP, [{"label": "a", "correlation": 0.9}, {"label": ""}])
    one, other = read_annotations(tmp_path / "a.geojson", MPP)
    assert (one.label, other.label) == ("a", "")
    np.testing.assert_allclose(one.polygons[0][0].min(axis=0), corners[0], atol=1e-3 * MPP)
    np.testing.assert_allclose(other.polygons[0][0].max(axis=0), corners[1] + 150, atol=1e-3 * MPP)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "no GeoJSON"), ('{"features": []}', "no annotated area"), ('{"features": [{}]}', "no GeoJSON")],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(OptionError, match=said):
        read_annotations(tmp_path / "a", MPP)
    with pytest.raises(OptionError, match="cannot be read"):
        read_annotations(tmp_path / "b", MPP)
    with pytest.raises(OutputError):
        write_squares(tmp_path / "no" / "folder", np.zeros((0, 2)), 1.0, MPP, [])
