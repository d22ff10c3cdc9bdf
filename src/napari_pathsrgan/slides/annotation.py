"""Annotated areas of a slide: polygons in µm with a class, and which places lie inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import OptionError

Points = npt.NDArray[np.float64]

_PAIRS_AT_ONCE = 1 << 20
"""Pairs of an edge and a place looked at together; bounds memory."""
_MOST_PAIRS = 2_000_000_000
"""Pairs looked at for one ring, some 40 s: only a ring made to take long has more."""


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

    def box_um(self) -> tuple[float, float, float, float]:
        """Return the rows and columns that it spans: top, left, bottom, right in µm."""
        points = np.concatenate([rings[0] for rings in self.polygons])
        (top, left), (bottom, right) = points.min(axis=0), points.max(axis=0)
        return float(top), float(left), float(bottom), float(right)


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

    Raises
    ------
    OptionError
        If an outline is too intricate.
    """
    labels: list[str | None] = [None] * len(places_um)
    for annotation in annotations:
        for index in np.flatnonzero(annotation.holds(places_um)):
            labels[index] = annotation.label
    return labels


def _crossings(ring: Points, places: Points) -> npt.NDArray[np.int64]:
    """How many of a ring's edges a ray from each place towards larger columns crosses.

    Places are sorted by row, so that an edge is compared with the places between its two rows alone.
    """
    order = np.argsort(places[:, 0], kind="stable")
    rows, cols = places[order].T
    start, end = ring, np.roll(ring, -1, axis=0)
    span = np.sort(np.stack([start[:, 0], end[:, 0]]), axis=0)
    first, last = np.searchsorted(rows, span[0], "left"), np.searchsorted(rows, span[1], "left")
    count = np.zeros(len(places), np.int64)
    for edge, place in _pairs(first, last):
        (row_a, col_a), (row_b, col_b) = start[edge].T, end[edge].T
        at = col_a + (rows[place] - row_a) / (row_b - row_a) * (col_b - col_a)
        count += np.bincount(place[cols[place] < at], minlength=len(places))
    crossings = np.empty_like(count)
    crossings[order] = count
    return crossings


def _pairs(
    first: npt.NDArray[np.intp], last: npt.NDArray[np.intp]
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """List (edge, place) for each place from an edge's first to before its last, some at a time."""
    ends = np.cumsum(last - first)
    total = int(ends[-1])
    if total > _MOST_PAIRS:
        raise OptionError("An annotated outline crosses itself too often.", "Simplify it in QuPath.")
    for begin in range(0, total, _PAIRS_AT_ONCE):
        pair = np.arange(begin, min(begin + _PAIRS_AT_ONCE, total))
        edge = np.searchsorted(ends, pair, "right")
        yield edge, first[edge] + pair - (ends[edge] - (last - first)[edge])
