"""Annotations as QuPath has them: GeoJSON in pixels (x, y) of the slide's level 0. Here they are (row, col) in µm."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import OptionError, OutputError

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Annotation:
    """One annotated area.

    Attributes
    ----------
    label : str
        Its class; empty where none was given.
    polygons : tuple of tuple of (N, 2) float64
        Each polygon's rings in µm (row, col): the outline, then its holes.
    """

    label: str
    polygons: tuple[tuple[Points, ...], ...]

    def holds(self, places_um: Points) -> npt.NDArray[np.bool_]:
        """Say which places lie inside: (N, 2) float64, µm, to (N,) bool."""
        inside = np.zeros(len(places_um), bool)
        for rings in self.polygons:
            crossings = np.zeros(len(places_um), np.int64)
            for ring in rings:
                crossings += _crossings(ring, places_um)
            inside |= crossings % 2 == 1
        return inside


def _crossings(ring: Points, places: Points) -> npt.NDArray[np.int64]:
    """How many of a ring's edges a ray from each place towards larger columns crosses."""
    count = np.zeros(len(places), np.int64)
    row, col = places.T
    for (row_a, col_a), (row_b, col_b) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if row_a != row_b:
            at = col_a + (row - row_a) / (row_b - row_a) * (col_b - col_a)
            count += ((row_a > row) != (row_b > row)) & (col < at)
    return count


def read_annotations(path: Path, mpp: float) -> list[Annotation]:
    """Read areas that QuPath exported; points and lines are passed over.

    Parameters
    ----------
    path : Path
        A .geojson file.
    mpp : float
        Level 0 pixel size of the slide that was annotated, µm.

    Raises
    ------
    OptionError
        If the file can't be read, is no GeoJSON or holds no area.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        features = content.get("features", [content]) if isinstance(content, dict) else content
        found = [_annotation(feature, mpp) for feature in features]
    except OSError as error:
        raise OptionError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OptionError(f"{path.name} is no GeoJSON.", "Export it from QuPath as GeoJSON.") from error
    areas = [annotation for annotation in found if annotation.polygons]
    if not areas:
        raise OptionError(f"{path.name} holds no annotated area.", "Export annotations, not detections or points.")
    return areas


def _annotation(feature: dict[str, Any], mpp: float) -> Annotation:
    geometry = feature["geometry"]
    polygons = {"Polygon": [geometry.get("coordinates")], "MultiPolygon": geometry.get("coordinates")}
    rings = [
        tuple(np.asarray(ring, np.float64)[:, 1::-1] * mpp for ring in polygon)
        for polygon in polygons.get(geometry["type"]) or []
    ]
    named = (feature.get("properties") or {}).get("classification") or {}
    return Annotation(str(named.get("name", "")), tuple(rings))


def label_places(annotations: Sequence[Annotation], places_um: Points) -> list[str | None]:
    """Name the class of the area that each place lies in, the last one's where areas overlap.

    Parameters
    ----------
    annotations : sequence of Annotation
    places_um : (N, 2) float64
        µm.

    Returns
    -------
    list of str or None
        None outside of all areas.
    """
    labels: list[str | None] = [None] * len(places_um)
    for annotation in annotations:
        for index in np.flatnonzero(annotation.holds(places_um)):
            labels[index] = annotation.label
    return labels


def write_squares(
    path: Path, corners_um: Points, side_um: float, mpp: float, properties: Sequence[dict[str, Any]]
) -> None:
    """Write squares as annotations that QuPath can import.

    Parameters
    ----------
    path : Path
    corners_um : (N, 2) float64
        Upper-left corners, µm.
    side_um, mpp : float
        Size of the squares and level 0 pixel size of the slide, µm.
    properties : sequence of dict
        For each square: ``label`` becomes its class, all else a measurement.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    features = []
    for (row, col), about in zip(corners_um / mpp, properties, strict=True):
        side = side_um / mpp
        ring = [[col, row], [col + side, row], [col + side, row + side], [col, row + side], [col, row]]
        shown: dict[str, Any] = {"objectType": "annotation"}
        if about.get("label"):
            shown["classification"] = {"name": about["label"]}
        shown["measurements"] = {name: value for name, value in about.items() if name != "label"}
        geometry = {"type": "Polygon", "coordinates": [[[round(float(at), 3) for at in point] for point in ring]]}
        features.append({"type": "Feature", "geometry": geometry, "properties": shown})
    try:
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}).", "Choose another place.") from error
