"""What an OME-Zarr says of itself: versions 0.1 to 0.5 of OME-NGFF, as axes, levels, pixel sizes and colours."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_pathsrgan.slides.pixel_size import believable_pixel_size, um_per_unit

_AXES_BEFORE_0_3 = "TCZYX"
_LETTERS = {"channel": "C", "time": "T"}
_MOST_LEVELS = 64
_EDGE_PX, _EDGE_SHARE = 2.0, 0.01
"""How far a level may be from the size that its scale asks for: writers round edges up, down and off."""
_RGB_LABEL = re.compile(r"(red|green|blue|alpha|[rgba]|(channel|ch|c|band|sample)?[\s_:-]*\d+([\s_:-].*)?)?", re.I)
_RGB_COLOURS = ("FF0000", "00FF00", "0000FF")

Factors = tuple[tuple[float, float], ...]


class ContradictionError(Exception):
    """Metadata contradicts the pixels; says how, to follow the slide's name."""


@dataclass(frozen=True)
class Multiscale:
    """One image of an OME-Zarr.

    Attributes
    ----------
    axes : str
        One letter per axis: Y, X, C, T, Z, or ? for another.
    level_paths : tuple of str
        Folder of each level, finest first.
    scales : tuple of (float, float), or None
        Pixel size of each level along rows and columns, in the axes' units; None where one is missing or is none.
    pixel_size_um : (float, float) or None
        Of level 0 along rows and columns.
    """

    axes: str
    level_paths: tuple[str, ...]
    scales: tuple[tuple[float, float], ...] | None
    pixel_size_um: tuple[float, float] | None

    @classmethod
    def read(cls, multiscale: Mapping[str, Any]) -> Multiscale:
        """Read the metadata's first multiscale; ValueError, TypeError or KeyError where it is damaged."""
        given = multiscale.get("axes")
        axes = _AXES_BEFORE_0_3 if given is None else "".join(map(_letter, given))
        if axes.count("Y") != 1 or axes.count("X") != 1 or axes.count("C") > 1:
            raise ValueError(f"its axes are {axes}")
        datasets = multiscale["datasets"]
        if not 1 <= len(datasets) <= _MOST_LEVELS:
            raise ValueError(f"it has {len(datasets)} levels")
        paths = tuple(dataset["path"] for dataset in datasets)
        if not all(isinstance(path, str) for path in paths):
            raise TypeError("a level's path is no text")
        rows, cols = axes.index("Y"), axes.index("X")
        whole = _scale(multiscale, len(axes)) or [1.0] * len(axes)
        scales = [_scale(dataset, len(axes)) for dataset in datasets]
        sizes = tuple((one[rows] * whole[rows], one[cols] * whole[cols]) for one in scales if one is not None)
        if len(sizes) < len(scales):
            return cls(axes, paths, None, None)
        units = [um_per_unit(axis.get("unit") if isinstance(axis, dict) else None) for axis in (given or axes)]
        return cls(axes, paths, sizes, _pixel_size_um(sizes[0], (units[rows], units[cols])))

    def level_factors(self, shapes: Sequence[tuple[int, int]]) -> Factors:
        """Return how much wider each level's pixels are than those of level 0, along rows and columns.

        Parameters
        ----------
        shapes : sequence of (rows, cols)
            Of the levels.

        Raises
        ------
        ContradictionError
            If levels are not in order from fine to coarse, or their sizes are not what their scales ask for.
        """
        if any(rows > above[0] or cols > above[1] for above, (rows, cols) in itertools.pairwise(shapes)):
            raise ContradictionError("has levels that are not in order from fine to coarse")
        if self.scales is None:
            return tuple((_factor(shapes[0][0], rows), _factor(shapes[0][1], cols)) for rows, cols in shapes)
        finest = self.scales[0]
        factors = tuple((row / finest[0], col / finest[1]) for row, col in self.scales)
        for level, (shape, factor) in enumerate(zip(shapes, factors, strict=True)):
            if not all(map(_fits, shapes[0], shape, factor)):
                raise ContradictionError(
                    f"has a level {level} of {shape[0]} × {shape[1]} pixels that are "
                    f"{factor[0]:.4g} × {factor[1]:.4g} times as wide as those of level 0, which has "
                    f"{shapes[0][0]} × {shapes[0][1]}"
                )
        return factors


def channel_problem(attributes: Mapping[str, Any], channels: int, interleaved: bool) -> str | None:
    """Say why channels are not the colours of an RGB image, or None where they may be.

    Parameters
    ----------
    attributes : mapping
        Of the image: "omero" describes the channels.
    channels : int
        Their number.
    interleaved : bool
        Whether they are the last axis, as colours of a camera are.
    """
    omero = attributes.get("omero")
    named = omero.get("channels") if isinstance(omero, dict) else None
    described = [one for one in named if isinstance(one, dict)] if isinstance(named, list) else []
    labels = [one["label"] for one in described if isinstance(one.get("label"), str)]
    colours = [one["color"].upper().removeprefix("#") for one in described if isinstance(one.get("color"), str)]
    foreign = [label for label in labels if not _RGB_LABEL.fullmatch(label.strip())]
    if channels == 1:
        return None
    if channels not in (3, 4) or foreign or any(map(str.__ne__, colours[:3], _RGB_COLOURS)):
        return f"holds {channels} channels{f', such as “{foreign[0]}”' if foreign else ''}, not the colours of RGB"
    if channels == 4 and not interleaved and not colours:
        return "holds 4 channels of which nothing says that they are colours"
    return None


def _letter(axis: Any) -> str:
    """Return an axis's letter; before 0.4, axes are their names alone."""
    name = axis if isinstance(axis, str) else axis["name"]
    if not isinstance(name, str):
        raise TypeError("an axis's name is no text")
    letter = name.upper()
    kind = axis.get("type") if isinstance(axis, dict) else None
    return letter if letter in ("Y", "X", "C", "T", "Z") else _LETTERS.get(str(kind), "?")


def _scale(holder: Mapping[str, Any], axes: int) -> list[float] | None:
    """Take the scale out of an object's coordinate transformations; None where none is positive and fits the axes."""
    for transformation in holder.get("coordinateTransformations") or []:
        scale = transformation.get("scale") if transformation.get("type") == "scale" else None
        if isinstance(scale, list) and len(scale) == axes:
            values = [float(value) for value in scale]
            return values if all(math.isfinite(value) and value > 0 for value in values) else None
    return None


def _pixel_size_um(scale: tuple[float, float], units: tuple[float | None, float | None]) -> tuple[float, float] | None:
    if units[0] is None or units[1] is None:
        return None
    return believable_pixel_size(scale[0] * units[0], scale[1] * units[1])


def _fits(finest: int, size: int, factor: float) -> bool:
    return abs(size - finest / factor) <= max(_EDGE_PX, _EDGE_SHARE * size)


def _factor(finest: int, size: int) -> float:
    """Guess the factor between two lengths: whole where a whole one gives the length, as levels are usually made."""
    whole = round(finest / size)
    return float(whole) if abs(size - finest / whole) < 1 else finest / size
