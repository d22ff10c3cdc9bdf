"""How two scans lie on each other as a whole: foreground patches vote, and the search widens until they agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import DifferentSlidesError
from napari_pathsrgan.registration.correlation import Plane, absorption, masked_correlation, match, strongest
from napari_pathsrgan.registration.offset_field import OffsetField
from napari_pathsrgan.registration.turned import slide_of
from napari_pathsrgan.slides.foreground import estimate_slide_background

if TYPE_CHECKING:
    from napari_pathsrgan.registration.config import RegistrationConfig
    from napari_pathsrgan.registration.turned import Scan

Points = npt.NDArray[np.float64]

OVERVIEW_MPP = 9.376
"""Whole slides are compared at 1/16 of the 10× grid, which errs by 5 of its pixels at most (METHOD § 10, measured)."""

CELL_ABSORPTION = 0.085
"""Absorbed share above that of the background from which a pixel counts as cells (4 to 8 times a scan's noise)."""

_OVERVIEW_PX, _FINER_OVERVIEW_PX = 640, 1600
_VOTE_MPP, _VOTE_PX = 4.688, 64
_CHECK_MPP, _CHECK_PX = 1.465, 128
_TOGETHER_UM = 18.0
"""Votes this close are for the same displacement: the offset drifts by a few µm over a slide."""
_LEAST_VOTE, _LEAST_CHECK = 0.4, 0.6


@dataclass(frozen=True)
class Overview:
    """A low scan seen as a whole.

    Attributes
    ----------
    mpp : float
        Pixel size, µm.
    absorption : (H, W) float32
        Absorbed share of the light.
    background : float
        Absorption of the empty background.
    """

    mpp: float
    absorption: Plane
    background: float

    @property
    def foreground(self) -> npt.NDArray[np.bool_]:
        """(H, W) bool: where there are cells."""
        return self.absorption > self.background + CELL_ABSORPTION


@dataclass(frozen=True)
class CoarseOffset:
    """How a scan lies against the low one.

    Attributes
    ----------
    offset_um : (row, col)
        What lies at p in the low scan lies at p + offset in the other, µm: the median over the slide.
    field : OffsetField
        The same from place to place of the low scan.
    agreeing, asked : int
        Patches that found this offset, and all.
    correlation : float
        Median correlation of those that agree, at 1.465 µm/px.
    searched_um : float
        How far from (0, 0) was looked in the end.
    note : str
        Where the search had to be widened, how far; else empty.
    """

    offset_um: tuple[float, float]
    field: OffsetField
    agreeing: int
    asked: int
    correlation: float
    searched_um: float
    note: str


@dataclass(frozen=True)
class _Patches:
    """Patches of the low scan that vote.

    Attributes
    ----------
    places : (N, 2) float64
        Their centres, µm.
    templates : list of ((64, 64) float32, (2,) int)
        Their absorption at 4.688 µm/px, and its first pixel.
    """

    places: Points
    templates: list[tuple[Plane, npt.NDArray[np.intp]]]

    @classmethod
    def of(cls, low: Scan, seen: Overview, config: RegistrationConfig) -> _Patches:
        places = _places(low, seen, config)
        return cls(places, [_square(low, place, _VOTE_MPP, _VOTE_PX) for place in places])

    @property
    def needed(self) -> int:
        """How many must agree."""
        return max(3, round(0.15 * len(self.places)))


def read_overview(slide: Scan, most_px: int = _OVERVIEW_PX) -> Overview:
    """See a slide as a whole, at a cost that does not grow with its size."""
    mpp = max(OVERVIEW_MPP, max(slide.extent_um) / most_px)
    plane = absorption(slide.read_grid(mpp, 0, 0, *slide.grid_shape(mpp)))
    white = estimate_slide_background(slide_of(slide), slide.mpp).white
    background = float(np.percentile(plane, 1)) if white is None else 1 - float(white[1]) / 255
    return Overview(mpp, plane, background)


def find_offset(low: Scan, other: Scan, seen: Overview, config: RegistrationConfig) -> CoarseOffset:
    """Find how `other` lies against `low` (Ma et al. 2020, § III-B; METHOD § 10 a–e).

    Parameters
    ----------
    low, other : Scan
        The 4× scan and a finer one.
    seen : Overview
        Of the low scan.
    config : RegistrationConfig

    Raises
    ------
    DifferentSlidesError
        If there is nothing but background, or no displacement that enough patches agree on.
    """
    patches = _Patches.of(low, seen, config)
    near = _confirm(low, other, patches, np.zeros(2), config.coarse_search_um)
    if near is not None:
        return near
    searched = max(*low.extent_um, *other.extent_um)
    found, best = _search_everywhere(low, other, patches, 5, (_OVERVIEW_PX, _FINER_OVERVIEW_PX))
    if found is not None:
        note = (
            f"{other.path.name}: too few patches agreed within ±{config.coarse_search_um:.0f} µm, so the search was"
            f" widened to the whole slide (±{searched:.0f} µm)."
        )
        return replace(found, note=note)
    raise DifferentSlidesError(
        f"{low.path.name} and {other.path.name} do not seem to show the same slide: over the whole slide"
        f" (±{searched:.0f} µm) no displacement was confirmed by {patches.needed} of {len(patches.places)} patches;"
        f" the overviews correlate by {best:.2f} at best.",
        "Check that the scans belong together and that their pixel sizes are right (--mpp-low, --mpp-mid, --mpp-high).",
    )


def find_offset_anywhere(low: Scan, other: Scan, seen: Overview, config: RegistrationConfig) -> CoarseOffset | None:
    """Find how scans lie by their overviews alone, at two of the displacements at which those are most alike."""
    return _search_everywhere(low, other, _Patches.of(low, seen, config), 2, (_OVERVIEW_PX,))[0]


def confirm_offset(
    low: Scan, other: Scan, seen: Overview, config: RegistrationConfig, guess_um: Points, search_um: float
) -> CoarseOffset | None:
    """Find how scans lie close to a guess; None if too few patches agree."""
    return _confirm(low, other, _Patches.of(low, seen, config), guess_um, search_um)


def _search_everywhere(
    low: Scan, other: Scan, patches: _Patches, peaks: int, sides_px: tuple[int, ...]
) -> tuple[CoarseOffset | None, float]:
    """Compare overviews of rising size at every displacement, and confirm the best; and how alike they were."""
    best, searched = 0.0, max(*low.extent_um, *other.extent_um)
    for most_px in sides_px:
        mpp = max(OVERVIEW_MPP, searched / most_px)
        ours, theirs = (absorption(slide.read_grid(mpp, 0, 0, *slide.grid_shape(mpp))) for slide in (low, other))
        surface, zero = masked_correlation(theirs, ours)
        for row, col, correlation in strongest(surface, peaks):
            best = max(best, correlation)
            guess = (np.array([row, col]) - zero) * mpp
            found = _confirm(low, other, patches, guess, max(5 * mpp, 50.0))
            if found is not None:
                return replace(found, searched_um=searched), best
        if mpp == OVERVIEW_MPP:
            break
    return None, best


def _places(low: Scan, seen: Overview, config: RegistrationConfig) -> Points:
    """Centres of patches of the low scan that hold cells, drawn at random, µm."""
    step_um = 0.5 * _VOTE_PX * _VOTE_MPP
    border = 0.5 * _CHECK_PX * _CHECK_MPP
    axes = [np.arange(border, extent - border + 1e-6, step_um) for extent in low.extent_um]
    if min(map(len, axes)) == 0:
        raise DifferentSlidesError(
            f"{low.path.name} is only {min(low.extent_um):.0f} µm wide: too small to register.", "Give the whole scan."
        )
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    share = foreground_share(seen, lattice - border / 2, border)
    rng = np.random.default_rng([config.seed, 0])
    for least in (0.15, 0.03, 0.005):
        good = lattice[share >= least]
        if len(good) >= config.coarse_patches // 2 or (least == 0.005 and len(good) >= 3):
            return np.asarray(rng.permutation(good)[: config.coarse_patches])
    raise DifferentSlidesError(
        f"{low.path.name} shows next to nothing but background ({100 * float(seen.foreground.mean()):.2f} % cells):"
        " there is nothing to register by.",
        "Choose a slide with cells, or check that its focus and exposure are right.",
    )


def foreground_share(seen: Overview, corners_um: Points, side_um: float) -> Points:
    """Share of cells in squares of the low scan: (N, 2) upper-left corners in µm to (N,)."""
    mask = seen.foreground
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    sums[1:, 1:] = mask.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    first = np.floor(corners_um / seen.mpp).astype(np.intp)
    last = np.ceil((corners_um + side_um) / seen.mpp).astype(np.intp)
    (top, left), (bottom, right) = (np.clip(ends, 0, mask.shape).T for ends in (first, last))
    area = np.maximum((bottom - top) * (right - left), 1)
    return np.asarray((sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]) / area)


def _square(slide: Scan, centre_um: Points, mpp: float, side_px: int) -> tuple[Plane, npt.NDArray[np.intp]]:
    """Absorption of a square around a place, and its first pixel on the slide-wide grid."""
    corner = np.rint(centre_um / mpp - side_px / 2).astype(np.intp)
    return absorption(slide.read_grid(mpp, int(corner[0]), int(corner[1]), side_px, side_px)), corner


def _find_square(
    other: Scan, template: tuple[Plane, npt.NDArray[np.intp]], guess_um: Points, search_um: float, mpp: float
) -> tuple[Points, float]:
    """Offset of one patch and its correlation; correlation 0 where it is not in the image."""
    plane, corner = template
    reach = int(np.ceil(search_um / mpp))
    side = plane.shape[0]
    start = corner + np.rint(guess_um / mpp).astype(np.intp) - reach
    rows, cols = other.grid_shape(mpp)
    if (start + 2 * reach + side <= 0).any() or start[0] >= rows or start[1] >= cols:
        return np.zeros(2), 0.0
    window = absorption(other.read_grid(mpp, int(start[0]), int(start[1]), side + 2 * reach, side + 2 * reach))
    peak = match(plane, window)
    return (start + np.array([peak.row, peak.col]) - corner) * mpp, peak.correlation if peak.inside else 0.0


def _confirm(low: Scan, other: Scan, patches: _Patches, guess_um: Points, search_um: float) -> CoarseOffset | None:
    """Let all patches vote around a guess, and check the winner where pixels are fine; None if too few agree."""
    places, needed = patches.places, patches.needed
    found = [_find_square(other, template, guess_um, search_um, _VOTE_MPP) for template in patches.templates]
    votes, correlations = np.array([vote for vote, _ in found]), np.array([correlation for _, correlation in found])
    voters = np.flatnonzero(correlations >= _LEAST_VOTE)
    if len(voters) < needed:
        return None
    apart = np.linalg.norm(votes[voters, None] - votes[None, voters], axis=2)
    together = voters[apart[int((apart < _TOGETHER_UM).sum(axis=1).argmax())] < _TOGETHER_UM]
    if len(together) < needed:
        return None
    middle = np.median(votes[together], axis=0)
    # All patches are asked again: one that voted wrongly among many cells may well find its place now.
    checks = [_square(low, place, _CHECK_MPP, _CHECK_PX) for place in places]
    checked = [_find_square(other, check, middle, _TOGETHER_UM, _CHECK_MPP) for check in checks]
    offsets, correlations = (
        np.array([offset for offset, _ in checked]),
        np.array([correlation for _, correlation in checked]),
    )
    sure = np.flatnonzero(correlations >= _LEAST_CHECK)
    if len(sure) < needed:
        return None
    kept = sure[OffsetField(places[sure], offsets[sure], 1.5).weights > 0]
    if len(kept) < needed:
        return None
    field = OffsetField(places[kept], offsets[kept], 1.5)
    row, col = np.median(offsets[kept], axis=0)
    confidence = float(np.median(correlations[kept]))
    return CoarseOffset((float(row), float(col)), field, len(kept), len(places), confidence, search_um, "")
