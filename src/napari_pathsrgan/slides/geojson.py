"""Annotations as QuPath has them: GeoJSON in pixels (x, y) of a slide's level 0. Here they are (row, col) in µm.

QuPath crops a slide to its scanned part where the file states one (openslide.bounds-x and -y): its pixel (0, 0) is the
corner of that part. RFC 7946 is the format of the file; QuPath adds the class and a plane.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.bounded_json import read_json
from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.slides.annotation import Annotation, Points
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide

_log = logging.getLogger(__name__)

MOST_BYTES, MOST_VALUES = 128 << 20, 6_000_000
"""Bounds of a file: some two million points, which take about 1 GiB while it is read."""
_FARTHEST_PX = 1e7
"""Coordinates beyond are no slide's."""
_LONGEST_LABEL = 200
_FEATURES_NAMED = 5
"""Bad features named one by one; of more, their number is given."""
_AREAS = ("Polygon", "MultiPolygon")
_NO_AREAS = ("Point", "MultiPoint", "LineString", "MultiLineString")
_EXPORT_AGAIN = "Export the annotations from QuPath as GeoJSON."


@dataclass(frozen=True)
class QuPathGrid:
    """Where QuPath's pixels (x, y) lie on a slide.

    Attributes
    ----------
    pixel_size_um : (float, float)
        Of level 0, along rows and columns.
    origin_um : (float, float)
        Row and column of QuPath's (0, 0).
    extent_um : (float, float)
        Height and width of the slide.
    """

    pixel_size_um: tuple[float, float]
    origin_um: tuple[float, float]
    extent_um: tuple[float, float]

    @classmethod
    def of(cls, slide: Slide) -> Self:
        """Return a slide's, whose origin is the corner of its scanned part where it has one."""
        origin = (0.0, 0.0) if slide.bounds_um is None else slide.bounds_um[:2]
        return cls(slide.pixel_size_um, origin, slide.extent_um)

    def to_um(self, points_xy: Points) -> Points:
        """Turn pixels (x, y, …), (N, 2 or more), into µm (row, col), (N, 2)."""
        return points_xy[:, 1::-1] * self.pixel_size_um + self.origin_um

    def to_xy(self, points_um: Points) -> Points:
        """Turn µm (row, col), (N, 2), into pixels (x, y), (N, 2)."""
        pixels: Points = (points_um - self.origin_um) / self.pixel_size_um
        return pixels[:, ::-1]

    def touches(self, annotation: Annotation) -> bool:
        """Say whether the box around an area shares a place with the slide."""
        top, left, bottom, right = annotation.box_um()
        return bottom > 0 and right > 0 and top < self.extent_um[0] and left < self.extent_um[1]


class _BadFeatureError(Exception):
    """Why a feature, or a polygon of one, is left out."""


def read_annotations(path: Path, grid: QuPathGrid) -> list[Annotation]:
    """Read areas that QuPath exported; points, lines and features without a place are passed over.

    A feature or a polygon that is bad or lies outside the slide is left out and named in a warning to the log, which
    the command line prints. So is a class that is no text; its area stays.

    Parameters
    ----------
    path : Path
        A .geojson file.
    grid : QuPathGrid
        Of the slide that was annotated.

    Raises
    ------
    OptionError
        If the file can't be read, is no GeoJSON or holds no area of the slide.
    """
    try:
        features = _features(read_json(path, MOST_BYTES, MOST_VALUES))
    except OSError as error:
        raise OptionError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from error
    except ValueError as error:
        raise OptionError(f"{path.name} is no GeoJSON: {error}.", _EXPORT_AGAIN) from error
    areas, notes = _sort_out(features, grid)
    if not areas:
        what = f" of the slide: feature {notes[0]}" if notes else ""
        raise OptionError(
            f"{path.name} holds no annotated area{what}.", "Export annotations of this slide, not detections or points."
        )
    _warn(path, notes)
    return areas


def _features(content: Any) -> list[Any]:
    """List the features of a FeatureCollection, a Feature, a bare geometry or, as older QuPath writes it, a list.

    Collections within collections are read as if their features were the outer one's.
    """
    known = isinstance(content, dict) and (
        isinstance(content.get("features"), list) or isinstance(content.get("type"), str)
    )
    if not known and not isinstance(content, list):
        raise ValueError("it has neither features nor a geometry")
    features: list[Any] = []
    left = content[::-1] if isinstance(content, list) else [content]
    while left:
        part = left.pop()
        inner = part.get("features") if isinstance(part, dict) and part.get("type") != "Feature" else None
        if isinstance(inner, list):
            left += reversed(inner)
        else:
            features.append(part)
    return features


def _sort_out(features: Sequence[Any], grid: QuPathGrid) -> tuple[list[Annotation], list[str]]:
    """Return the areas that lie on the slide, and for each feature that loses something its number, name and why."""
    areas, notes = [], []
    for number, feature in enumerate(features, start=1):
        lost: list[str] = []
        try:
            area = _annotation(feature, grid, lost)
            if area.polygons and not grid.touches(area):
                height, width = grid.extent_um
                raise _BadFeatureError(f"lies outside the slide, which is {height:.0f} × {width:.0f} µm")
        except _BadFeatureError as error:
            notes.append(f"{number}{_name(feature)} {error}; it is left out")
            continue
        notes += [f"{number}{_name(feature)} {what}" for what in lost]
        if area.polygons:
            areas.append(area)
    return areas, notes


def _warn(path: Path, notes: Sequence[str]) -> None:
    for note in notes[:_FEATURES_NAMED]:
        _log.warning("%s: feature %s.", printable(path.name), note)
    if len(notes) > _FEATURES_NAMED:
        _log.warning(
            "%s: %d more features are left out or lose something.", printable(path.name), len(notes) - _FEATURES_NAMED
        )


def _name(feature: Any) -> str:
    """Name a feature by its name or its id, in quotation marks, where it has one."""
    properties = feature.get("properties") if isinstance(feature, dict) else None
    named = properties.get("name") if isinstance(properties, dict) else None
    name = named or (feature.get("id") if isinstance(feature, dict) else None)
    return f" “{printable(name, 80)}”" if isinstance(name, str) else ""


def _annotation(feature: Any, grid: QuPathGrid, lost: list[str]) -> Annotation:
    """Read a feature; what it loses without being left out is added to `lost`."""
    if not isinstance(feature, dict):
        raise _BadFeatureError("is no object")
    if "geometry" not in feature and isinstance(feature.get("type"), str) and feature["type"] != "Feature":
        feature = {"geometry": feature}  # a list of bare geometries
    polygons = [polygon for part in _areas(feature.get("geometry")) for polygon in _polygons(part) if polygon]
    read = []
    for number, rings in enumerate(polygons, start=1):
        try:
            read.append(tuple(_ring(ring, grid) for ring in rings))
        except _BadFeatureError as error:
            if len(polygons) == 1:
                raise
            lost.append(f"{error} in polygon {number} of {len(polygons)}; that polygon is left out")
    if polygons and not read:
        raise _BadFeatureError("has no polygon that can be read")
    label = _label(feature.get("properties"))
    if label is None:
        lost.append("has a class that is no text; its area has no class")
    return Annotation(label or "", tuple(read))


def _areas(geometry: Any) -> Iterator[dict[str, Any]]:
    """List the polygons and multipolygons of a geometry, whose collections may be nested; null holds none."""
    left = [] if geometry is None else [geometry]
    while left:
        part = left.pop()
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "GeometryCollection" and isinstance(part.get("geometries"), list):
            left += reversed(part["geometries"])
        elif kind in _AREAS:
            yield part
        elif kind in ("Feature", "FeatureCollection"):
            raise _BadFeatureError(f"has a {kind} where a geometry belongs")
        elif kind not in _NO_AREAS:
            raise _BadFeatureError("has a geometry of a kind that RFC 7946 lacks")


def _polygons(geometry: dict[str, Any]) -> list[list[Any]]:
    """List a geometry's polygons, each a list of rings."""
    coordinates = geometry.get("coordinates")
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    if not isinstance(polygons, list) or not all(isinstance(polygon, list) for polygon in polygons):
        raise _BadFeatureError("has coordinates that are no list of rings")
    return polygons


def _ring(ring: Any, grid: QuPathGrid) -> Points:
    points = _positions(ring)
    if points.ndim != 2 or points.shape[1] < 2 or points.dtype.kind not in "iuf":
        raise _BadFeatureError("has a ring that is no list of positions")
    if len(np.unique(points[:, :2], axis=0)) < 3:
        raise _BadFeatureError("has a ring of fewer than three points")
    if not (np.abs(points[:, :2]) <= _FARTHEST_PX).all():  # NaN is not either
        raise _BadFeatureError("has coordinates that are no place on a slide")
    return grid.to_um(points.astype(np.float64))


def _positions(ring: Any) -> npt.NDArray[Any]:
    """Make an array of a ring's positions, some of which may have a third number; of another shape if it has none."""
    try:
        return np.asarray(ring)
    except ValueError:  # lists of different lengths
        pass
    try:
        return np.asarray([position[:2] for position in ring])
    except (ValueError, TypeError):
        return np.zeros(0)


def _label(properties: Any) -> str | None:
    """Read the class as QuPath writes it: {"name": …}, {"names": […]}, or text; None where it is no text."""
    named = properties.get("classification") if isinstance(properties, dict) else None
    ways = [named.get("names"), named.get("name")] if isinstance(named, dict) else [named]
    for way in ways:
        parts: list[Any] = way if isinstance(way, list) else [way]
        if parts and all(isinstance(part, str) for part in parts):
            return printable(": ".join(parts), _LONGEST_LABEL)
    return "" if all(way is None or way == [] for way in ways) else None


def write_squares(
    path: Path, corners_um: Points, side_um: float, grid: QuPathGrid, properties: Sequence[dict[str, Any]]
) -> None:
    """Write squares as annotations that QuPath can import.

    Parameters
    ----------
    path : Path
    corners_um : (N, 2) float64
        Upper-left corners, µm.
    side_um : float
        Size of the squares.
    grid : QuPathGrid
        Of the slide.
    properties : sequence of dict
        For each square: ``label`` becomes its class, all else a measurement.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    unit_square = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]], np.float64)
    features = []
    for corner, about in zip(corners_um, properties, strict=True):
        ring = np.round(grid.to_xy(corner + side_um * unit_square), 3).tolist()
        shown: dict[str, Any] = {"objectType": "annotation"}
        if about.get("label"):
            shown["classification"] = {"name": about["label"]}
        shown["measurements"] = {name: value for name, value in about.items() if name != "label"}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "geometry": geometry, "properties": shown})
    try:
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}).", "Choose another place.") from error
