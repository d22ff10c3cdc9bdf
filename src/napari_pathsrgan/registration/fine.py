"""Every patch matched on its own, and kept if it is sure: three scans of one slide become a table of patches."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.registration.coarse import (
    CoarseOffset,
    Overview,
    find_offset,
    foreground_share,
    read_overview,
)
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.correlation import absorption
from napari_pathsrgan.registration.offset_field import OffsetField
from napari_pathsrgan.registration.patch import Found, locate, window_of
from napari_pathsrgan.registration.placing import matrix_of, place, refuse_other_scale, turned_like
from napari_pathsrgan.registration.turned import Scan, TurnedSlide
from napari_pathsrgan.slides.computed import refuse_computed

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide

__all__ = ["PATCH_FIELDS", "Registration", "register_slides"]

Points = npt.NDArray[np.float64]
Table = npt.NDArray[np.void]

LR_PX, MR_PX, HR_PX = 128, 256, 512
MPP_HR = 0.293
_MPP_TOLERANCE, _RATIO_TOLERANCE = 0.03, 2e-3
_LOW_MPP = (0.9, 1.9)
_NOISE_UM, _SLOPE_ERROR = 0.02, 5e-4
"""Error of a match at the place of its structure, µm, and of the slope that carries it to the centre, µm per µm (ours,
measured on phantoms of 2 mm whose scans are stretched by 1 %)."""
_DRIFT_UM = 40.0
"""Offsets drift by less than this over a slide."""

PATCH_FIELDS = np.dtype(
    [
        ("row_um", "f8"),
        ("col_um", "f8"),
        ("offset_row_um_10x", "f8"),
        ("offset_col_um_10x", "f8"),
        ("offset_row_um_20x", "f8"),
        ("offset_col_um_20x", "f8"),
        ("correlation_10x", "f4"),
        ("correlation", "f4"),
        ("second_ratio", "f4"),
        ("foreground", "f4"),
        ("mr_row_px", "i8"),
        ("mr_col_px", "i8"),
        ("hr_row_px", "i8"),
        ("hr_col_px", "i8"),
        ("scanner", "i2"),
    ]
)
"""A patch: its upper-left corner in the 4× scan, µm; where the 10× and the 20× scan show the same, relative to that
(METHOD § 0: position there = position here + offset); how well it matched; and the first pixel cut from the finer
scans. Where the slide was put in again, positions in the 4× and the 10× scan are those after turning them as the 20×
scan lies. The 20× pixels lie exactly there; the 10× ones up to a quarter of a pixel beside, as their grid is their own.
At last the number of the simulated 4× scanner, 0 for the perfect one; `SCANNED` where the scan is real."""

SCANNED = -1


@dataclass(frozen=True)
class Registration:
    """What `register_slides` found.

    Attributes
    ----------
    low, mid, high : Slide
        The scans.
    low_as_high, mid_as_high : Scan
        The 4× and the 10× scan as the 20× scan lies, turned where the slide was put in again: the table's positions
        are relative to these.
    config : RegistrationConfig
    coarse_10x, coarse_20x : CoarseOffset
        How the scans lie as a whole.
    patches : structured array of `PATCH_FIELDS`
        Accepted patches, row by row.
    labels : (N,) array of str
        Class of the annotation each patch lies in; empty without one.
    tried : int
        Foreground patches inside all three scans.
    rejected : dict of str to int
        How many of them were left out, and why.
    notes : tuple of str
        What a user should know, such as a search that had to be widened.
    """

    low: Slide
    mid: Slide
    high: Slide
    low_as_high: Scan
    mid_as_high: Scan
    config: RegistrationConfig
    coarse_10x: CoarseOffset
    coarse_20x: CoarseOffset
    patches: Table
    labels: npt.NDArray[np.str_]
    tried: int
    rejected: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def accepted_share(self) -> float:
        """Accepted among the foreground patches tried."""
        return len(self.patches) / max(self.tried, 1)


@dataclass(frozen=True)
class _Candidate:
    hr_px: npt.NDArray[np.int64]
    label: str


@dataclass(frozen=True)
class _Matched:
    candidate: _Candidate
    mr_px: npt.NDArray[np.int64]
    in_mid: Found
    in_high: Found


Label = Callable[[Points], list[str | None]]


def register_slides(
    low: Slide,
    mid: Slide,
    high: Slide,
    config: RegistrationConfig | None = None,
    progress: Callable[[float, float], None] | None = None,
    label: Label | None = None,
) -> Registration:
    """Match 4×, 10× and 20× scans of one slide patch by patch (Ma et al. 2020, § III-B).

    Parameters
    ----------
    low, mid, high : Slide
        At about 1.465, 0.586 and 0.293 µm/px.
    config : RegistrationConfig, optional
        The defaults otherwise.
    progress : callable (done, total), optional
        Called with patches matched.
    label : callable, optional
        Given (N, 2) patch centres in the low scan, µm, says each one's class; None leaves a patch out.

    Raises
    ------
    ComputedSlideError
        If one is a computed image or a map.
    DifferentSlidesError
        If the scans show different slides, or nothing but background, or a pixel size is wrong.
    OptionError
        If a pixel size does not fit.
    """
    config = config or RegistrationConfig()
    for scan in (low, mid, high):
        refuse_computed(scan.path, scan.computed)
    _check_mpps(low, mid, high)
    view = _view(low, mid, high, config)
    candidates = _candidates(view, config, label)
    counts: Counter[str] = Counter()
    matched: list[_Matched] = []

    def match(candidate: _Candidate) -> _Matched:
        return _match(view, candidate, config.fine_search_um)

    with ThreadPoolExecutor(config.threads) as pool:
        for done, found in enumerate(pool.map(match, candidates), 1):
            reason = _reject(found, config)
            if reason:
                counts[reason] += 1
            else:
                matched.append(found)
            if progress:
                progress(done, len(candidates))
    empty = counts.pop("too few cells", 0)
    patches, labels = _accept(matched, mid.mpp, high.mpp, config, counts)
    notes = tuple(found.note for found in view.coarse if found.note)
    for note in notes:
        logging.getLogger(__name__).info(note)
    return Registration(
        low, mid, high, view.low, view.mid, config, *view.coarse, patches, labels, len(candidates) - empty,
        dict(counts), notes,
    )  # fmt: skip


@dataclass(frozen=True)
class _View:
    """Three scans as the 20× one lies, and how the 4× scan is displaced against the 10× and the 20× one."""

    low: Scan
    mid: Scan
    high: Slide
    seen: Overview
    coarse: tuple[CoarseOffset, CoarseOffset]

    @property
    def fields(self) -> tuple[OffsetField, OffsetField]:
        return self.coarse[0].field, self.coarse[1].field


def _view(low: Slide, mid: Slide, high: Slide, config: RegistrationConfig) -> _View:
    """Find how the scans lie, and turn the coarser two as the finest."""
    seen = read_overview(low)
    against_mid, against_high = (place(low, other, seen, config) for other in (mid, high))
    refuse_other_scale(against_high, high)
    turned_mid = turned_like(mid, matrix_of(against_high.scan) @ np.linalg.inv(matrix_of(against_mid.scan)))
    to_mid = against_mid.coarse
    if against_high.scan is not low or turned_mid is not mid or against_mid.scan is not low:
        to_mid = replace(find_offset(against_high.scan, turned_mid, against_high.seen, config), note=to_mid.note)
    return _View(against_high.scan, turned_mid, high, against_high.seen, (to_mid, against_high.coarse))


def _check_mpps(low: Slide, mid: Slide, high: Slide) -> None:
    if abs(high.mpp / MPP_HR - 1) > _MPP_TOLERANCE:
        raise OptionError(
            f"{high.path.name} has pixels of {high.mpp:.4g} µm, but a 20× scan has {MPP_HR} µm.",
            "Give the 20× scan as the third file, or give its pixel size with --mpp-high if the file is wrong.",
        )
    if abs(mid.mpp / (2 * high.mpp) - 1) > _RATIO_TOLERANCE:
        raise OptionError(
            f"{mid.path.name} has pixels of {mid.mpp:.4g} µm, not twice those of {high.path.name} ({high.mpp:.4g} µm).",
            "Give the 10× scan as the second file, or give its pixel size with --mpp-mid if the file is wrong.",
        )
    if not _LOW_MPP[0] <= low.mpp <= _LOW_MPP[1]:
        raise OptionError(
            f"{low.path.name} has pixels of {low.mpp:.4g} µm, but a 4× scan has about 1.465 µm.",
            "Give the 4× scan as the first file, or give its pixel size with --mpp-low if the file is wrong.",
        )


def _low_corner(corner_um: Points, side_um: float, field: OffsetField) -> Points:
    """Where the low scan is thought to show what lies at corners of a finer scan; (N, 2) to (N, 2), µm."""
    place = corner_um - field.at(corner_um)
    for _ in range(2):
        place = corner_um - field.at(place + side_um / 2)
    return place


def _candidates(view: _View, config: RegistrationConfig, label: Label | None) -> list[_Candidate]:
    """Places on the 20× scan's pixel grid that all scans show and that seem to hold cells, row by row."""
    low, mid, high, seen, fields = view.low, view.mid, view.high, view.seen, view.fields
    side_um = HR_PX * high.mpp
    axes = [np.arange(1, size - HR_PX, config.stride_px) for size in high.level_shapes[0]]
    corners = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    # The field is asked for few places only: what a slide's size costs must be next to nothing.
    about = corners * high.mpp - np.median(fields[1].at(fields[1].places_um), axis=0)
    corners = corners[foreground_share(seen, about - _DRIFT_UM, side_um + 2 * _DRIFT_UM) > 0]
    if len(corners) == 0:
        return []
    in_low = _low_corner(np.asarray(corners * high.mpp, np.float64), side_um, fields[1])
    in_mid = in_low + fields[0].at(in_low + side_um / 2)
    margin = config.fine_search_um + 2 * low.mpp
    inside = _inside(low, in_low, side_um, margin) & _inside(mid, in_mid, side_um, margin)
    inside &= foreground_share(seen, in_low, side_um) >= 0.3 * config.least_foreground
    labels: list[str | None] = [""] * len(corners) if label is None else label(_own(low, in_low + side_um / 2))
    inside &= np.array([name is not None for name in labels])
    chosen = np.flatnonzero(inside)
    if config.max_patches is not None and len(chosen) > config.max_patches:
        chosen = np.sort(np.random.default_rng([config.seed, 1]).permutation(chosen)[: config.max_patches])
    return [_Candidate(corners[index], labels[index] or "") for index in chosen]


def _inside(scan: Scan, corners_um: Points, side_um: float, margin_um: float) -> npt.NDArray[np.bool_]:
    """Whether squares lie within a scan, (N, 2) upper-left corners to (N,)."""
    if isinstance(scan, TurnedSlide):
        return scan.contains(corners_um, side_um, margin_um)
    ends = corners_um + side_um <= np.array(scan.extent_um) - margin_um
    return np.asarray(((corners_um >= margin_um) & ends).all(axis=1))


def _own(scan: Scan, places_um: Points) -> Points:
    """Positions in the scan as it was made."""
    return scan.similarity.undo(places_um) if isinstance(scan, TurnedSlide) else places_um


def _match(view: _View, candidate: _Candidate, reach: float) -> _Matched:
    low, mid, high, fields, background = view.low, view.mid, view.high, view.fields, view.seen.background
    side_um = HR_PX * high.mpp
    corner = _low_corner(np.asarray(candidate.hr_px[None] * high.mpp, np.float64), side_um, fields[1])[0]
    window = window_of(low, corner, side_um, reach + 4.0)
    pixels = high.read_level(0, int(candidate.hr_px[0]), int(candidate.hr_px[1]), HR_PX, HR_PX)
    patch = cv2.resize(absorption(pixels), (MR_PX, MR_PX), interpolation=cv2.INTER_AREA)
    in_high = locate(np.asarray(patch, np.float32), 2 * high.mpp, window, corner, reach, background)
    mr_px = np.rint((corner + fields[0].at((corner + side_um / 2)[None])[0]) / mid.mpp).astype(np.int64)
    pixels = mid.read_level(0, int(mr_px[0]), int(mr_px[1]), MR_PX, MR_PX)
    in_mid = locate(absorption(pixels), mid.mpp, window, corner, reach, background)
    return _Matched(candidate, mr_px, in_mid, in_high)


def _reject(found: _Matched, config: RegistrationConfig) -> str:
    both = (found.in_mid, found.in_high)
    if min(one.foreground for one in both) < config.least_foreground:
        return "too few cells"
    if min(one.correlation for one in both) < config.least_correlation:
        return "low correlation"
    if max(one.second_ratio for one in both) > config.most_second_ratio:
        return "second peak"
    return ""


def _accept(
    matched: list[_Matched], mid_mpp: float, high_mpp: float, config: RegistrationConfig, counts: Counter[str]
) -> tuple[Table, npt.NDArray[np.str_]]:
    """Keep the patches that fit their neighbours, with offsets as at the patches' centres."""
    if not matched:
        return np.empty(0, PATCH_FIELDS), np.empty(0, np.str_)
    corners = [
        np.array([found.mr_px for found in matched]) * mid_mpp,
        np.array([found.candidate.hr_px for found in matched]) * high_mpp,
    ]
    founds = [[found.in_mid for found in matched], [found.in_high for found in matched]]
    half = HR_PX * high_mpp / 2
    offsets, fits = [], np.ones(len(matched), bool)
    for corner, found in zip(corners, founds, strict=True):
        offset = corner - np.array([one.corner_um for one in found])
        levers = np.array([one.lever_um for one in found])
        places = np.array([one.corner_um for one in found]) + half
        central = offset
        for _ in range(2):
            drift = OffsetField(places, central)
            central = offset - np.einsum("nijk,njk->ni", levers, drift.slopes(places))
        drift = OffsetField(places, central)
        fits &= drift.deviations_um <= max(config.most_deviation_um, 5 * drift.scatter_um)
        offsets.append(_settled(central, levers, drift))
    if fits.sum() < len(fits):
        counts["unlike its neighbours"] = int((~fits).sum())
    chosen = np.flatnonzero(fits)
    table = np.empty(len(chosen), PATCH_FIELDS)
    for row, index in enumerate(chosen):
        table[row] = tuple(_record(matched[index], offsets[0][index], offsets[1][index], mid_mpp, high_mpp))
    return table, np.array([matched[index].candidate.label for index in chosen], np.str_)


def _settled(measured: Points, levers: Points, drift: OffsetField) -> Points:
    """Weigh what was measured against what the neighbours say, each by its variance.

    Where all cells lie in one corner the patch's centre is extrapolated, and neighbours know better.
    """
    own = _NOISE_UM**2 + _SLOPE_ERROR**2 * (levers**2).sum(axis=(1, 2, 3))
    share = 1 / (1 + own / max(drift.scatter_um, 2 * _NOISE_UM) ** 2)
    return np.asarray(drift.expected_um + share[:, None] * (measured - drift.expected_um))


def _record(found: _Matched, to_mid: Points, to_high: Points, mid_mpp: float, high_mpp: float) -> Iterator[float]:
    """A row of `PATCH_FIELDS`. Of the 20× pixels at or just after the place, those that meet the 10× grid best."""
    hr_px, mr_px = found.candidate.hr_px.copy(), np.empty(2, np.int64)
    for axis in range(2):
        wanted = [(hr_px[axis] + step) * high_mpp - to_high[axis] + to_mid[axis] for step in (0, 1)]
        beside = [abs(place / mid_mpp - round(place / mid_mpp)) for place in wanted]
        step = int(beside[1] < beside[0])
        hr_px[axis] += step
        mr_px[axis] = round(wanted[step] / mid_mpp)
    yield from hr_px * high_mpp - to_high
    yield from (*to_mid, *to_high)
    yield from (found.in_mid.correlation, found.in_high.correlation)
    yield max(found.in_mid.second_ratio, found.in_high.second_ratio)
    yield min(found.in_mid.foreground, found.in_high.foreground)
    yield from (*mr_px, *hr_px)
    yield SCANNED
