"""How a slide lay for one scan as seen from another: displaced, and where it was put in again turned, mirrored, scaled.

A displacement alone is tried first. Where none is confirmed, overviews are compared at all angles; the best are
confirmed as displacements are, so scans of different slides are refused on the same evidence. What a displacement
leaves as turn and scale is fitted to the patches that confirmed it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_pathsrgan.errors import DifferentSlidesError
from napari_pathsrgan.registration.coarse import (
    OVERVIEW_MPP,
    CoarseOffset,
    Overview,
    confirm_offset,
    find_offset,
    find_offset_anywhere,
    read_overview,
)
from napari_pathsrgan.registration.correlation import Plane, absorption
from napari_pathsrgan.registration.turned import Matrix, Scan, Similarity, TurnedSlide, slide_of

if TYPE_CHECKING:
    from napari_pathsrgan.registration.config import RegistrationConfig
    from napari_pathsrgan.slides.slide import Slide

LEAST_ANGLE_DEG, LEAST_SCALE = 0.05, 5e-4
"""A turn or scale below this is left to the offset field: it moves the corner of a patch by less than 0.1 µm."""
MOST_SCALE = 0.035
"""Scales beyond are not of one slide: a pixel size is wrong."""

_OVERVIEW_PX = 160
_FINE_PX, _WIDE_PX = 2.0, 9.0
"""Structures between these sizes, s.d. of Gaussian blurs, are compared: no noise, and not where the slide ends."""
_STEP_DEG = 3.0
_KEPT, _CONFIRMED = 6, 3
_ROUNDS = 4
_MANY = 0.5
"""Share of patches that agree from which nothing else is tried."""
_CLOSE_UM = 30.0
_LEAST_SPREAD_UM = 150.0


@dataclass(frozen=True)
class Placement:
    """How a scan lies against another.

    Attributes
    ----------
    scan : Scan
        The scan, turned as the other one where that is needed.
    seen : Overview
        Of that.
    coarse : CoarseOffset
        Its displacement.
    """

    scan: Scan
    seen: Overview
    coarse: CoarseOffset


def place(low: Slide, other: Slide, seen: Overview, config: RegistrationConfig) -> Placement:
    """Find how the low scan lies against another.

    Parameters
    ----------
    low, other : Slide
    seen : Overview
        Of the low scan.
    config : RegistrationConfig

    Raises
    ------
    DifferentSlidesError
        If the scans show different slides, or nothing but background.
    """
    try:
        moved = _settle(Placement(low, seen, find_offset(low, other, seen, config)), low, other, config)
    except DifferentSlidesError as error:
        turned = _search_turns(low, other, config) if seen.foreground.any() else None
        if turned is None:
            raise DifferentSlidesError(
                f"{error.problem} Nor does one fit the other turned or mirrored.", error.remedy
            ) from error
        return _settle(turned, low, other, config)
    if moved.coarse.agreeing >= _MANY * moved.coarse.asked:
        return moved
    # A few patches close together agree on a displacement even where the whole is turned.
    turned = _search_turns(low, other, config)
    settled = moved if turned is None else _settle(turned, low, other, config)
    return settled if settled.coarse.agreeing > moved.coarse.agreeing else moved


def refuse_other_scale(placed: Placement, other: Slide) -> None:
    """Refuse scans of which lengths differ by more than calibrations do.

    Raises
    ------
    DifferentSlidesError
    """
    scale, low = Similarity(matrix_of(placed.scan), np.zeros(2)).scale, slide_of(placed.scan)
    if abs(scale - 1) > MOST_SCALE:
        raise DifferentSlidesError(
            f"Lengths in {other.path.name} are {scale:.3f} times those in {low.path.name}: one of their pixel sizes is"
            " wrong.",
            f"Give the right one; with {other.mpp:.4g} µm there, --mpp-low {low.mpp * scale:.4g} would fit.",
        )


def turned_like(scan: Slide, matrix: Matrix) -> Scan:
    """Turn a scan, unless it is by so little that its own pixels are better."""
    return scan if _is_small(matrix) else TurnedSlide(scan, matrix)


def matrix_of(scan: Scan) -> Matrix:
    """Return how a scan was turned: (2, 2)."""
    return scan.similarity.matrix if isinstance(scan, TurnedSlide) else np.eye(2)


def _is_small(matrix: Matrix) -> bool:
    turn = Similarity(matrix, np.zeros(2))
    return not turn.mirrored and abs(turn.angle_deg) < LEAST_ANGLE_DEG and abs(turn.scale - 1) < LEAST_SCALE


def _settle(placed: Placement, low: Slide, other: Slide, config: RegistrationConfig) -> Placement:
    """Turn by what the confirmed patches show until they show no turn any more."""
    for _ in range(_ROUNDS):
        change = _fitted(placed.coarse)
        if change is None or _is_small(change.matrix):
            break
        scan = TurnedSlide(low, change.matrix @ matrix_of(placed.scan))
        middle = np.array([low.extent_um]) / 2
        before = placed.scan.similarity.apply(middle) if isinstance(placed.scan, TurnedSlide) else middle
        guess = (change.apply(before) - scan.similarity.apply(middle))[0]
        seen = read_overview(scan)
        found = confirm_offset(scan, other, seen, config, guess, _CLOSE_UM)
        if found is None:
            break
        placed = Placement(scan, seen, replace(found, note=placed.coarse.note))
    return placed


def _fitted(coarse: CoarseOffset) -> Similarity | None:
    """Fit turn, scale and displacement by least squares; None where patches lie too close together."""
    kept = coarse.field.weights > 0
    here = coarse.field.places_um[kept]
    there = here + coarse.field.offsets_um[kept]
    lever = here - here.mean(axis=0)
    if len(here) < 3 or np.sqrt((lever**2).sum(axis=1).mean()) < _LEAST_SPREAD_UM:
        return None
    source, target = (part[:, 0] + 1j * part[:, 1] for part in (lever, there - there.mean(axis=0)))
    factor = complex(np.vdot(source, target) / np.vdot(source, source))
    matrix = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return Similarity(matrix, there.mean(axis=0) - matrix @ here.mean(axis=0))


def _search_turns(low: Slide, other: Slide, config: RegistrationConfig) -> Placement | None:
    """Compare overviews at all angles, mirrored or not, and confirm the best."""
    mpp = max(OVERVIEW_MPP, max(*low.extent_um, *other.extent_um) / _OVERVIEW_PX)
    comparison = _Turns(_structure(low, mpp), _structure(other, mpp))
    circle = [(angle, 1.0, mirrored) for mirrored in (False, True) for angle in np.arange(-180, 180, _STEP_DEG)]
    best = comparison.best(circle, _KEPT, 2 * _STEP_DEG)
    for step_deg, step_scale, reach in ((0.75, 0.015, 2), (0.25, 0.005, 2)):
        around = [
            (angle + i * step_deg, scale + j * step_scale, mirrored)
            for angle, scale, mirrored in best for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)
        ]  # fmt: skip
        best = comparison.best(around, _CONFIRMED, 2 * _STEP_DEG)
    for angle, scale, mirrored in best:
        scan = TurnedSlide(low, Similarity.of(angle, scale, mirrored).matrix)
        seen = read_overview(scan)
        found = find_offset_anywhere(scan, other, seen, config)
        if found is not None:
            note = f"{other.path.name}: the slide was put in again; {low.path.name} is {scan.similarity} against it."
            return Placement(scan, seen, replace(found, note=note))
    return None


Turned = tuple[float, float, bool]
"""Angle in degrees, scale, whether mirrored."""


class _Turns:
    """Two overviews, to be compared at any turn and all displacements."""

    def __init__(self, low: Plane, other: Plane) -> None:
        self._low = low
        # Twice the longest diagonal half is enough: what lies apart further has next to nothing in common.
        diagonal = int(np.ceil(np.hypot(*low.shape)))
        self._side = fft.next_fast_len(max(diagonal, *other.shape) + min(diagonal, *other.shape) // 2, real=True)
        self._other = np.conj(fft.rfft2(other, (self._side, self._side)))
        self._canvas = diagonal

    def best(self, turns: list[Turned], count: int, apart_deg: float) -> list[Turned]:
        """List the turns at which the overviews are most alike, no two close together."""
        ranked = sorted(((self._alike(turn), turn) for turn in dict.fromkeys(turns)), reverse=True)
        kept: list[Turned] = []
        for _, turn in ranked:
            if all(turn[2] != other[2] or _apart_deg(turn[0], other[0]) >= apart_deg for other in kept):
                kept.append(turn)
            if len(kept) == count:
                break
        return kept

    def _alike(self, turn: Turned) -> float:
        matrix = Similarity.of(*turn).matrix[::-1, ::-1]
        height, width = self._low.shape
        shift = np.array([self._canvas, self._canvas]) / 2 - 0.5 - matrix @ np.array([width - 1, height - 1]) / 2
        turned = cv2.warpAffine(self._low, np.column_stack([matrix, shift]), (self._canvas, self._canvas))
        spectrum = fft.rfft2(turned, (self._side, self._side)) * self._other
        return float(fft.irfft2(spectrum, (self._side, self._side)).max() / max(np.linalg.norm(turned), 1e-9))


def _apart_deg(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


def _structure(slide: Slide, mpp: float) -> npt.NDArray[np.float32]:
    """Absorption of a slide as a whole, between two sizes of structures."""
    plane = absorption(slide.read_grid(mpp, 0, 0, *slide.grid_shape(mpp)))
    fine, wide = (cv2.GaussianBlur(plane, (0, 0), size) for size in (_FINE_PX, _WIDE_PX))
    return np.asarray(fine - wide, np.float32)
