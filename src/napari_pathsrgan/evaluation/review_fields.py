"""Fields to rate, each in every method: bicubic, models and the real scan, from pairs; or without it, from slides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.evaluation.metrics import PatchModel, psnr, ssim
from napari_pathsrgan.evaluation.on_pairs import BICUBIC, REAL, choose_rows
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.review.design import Design, PatchSet, draw_stratified, foreground_strata
from napari_pathsrgan.slides.foreground import estimate_slide_background, foreground_weight
from napari_pathsrgan.slides.resample import enlarge

if TYPE_CHECKING:
    from napari_pathsrgan.inference.exact_levels import Runner
    from napari_pathsrgan.registration.pairs import PairsFile
    from napari_pathsrgan.slides.annotation import Annotation
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.types import Pixels

LR_PX, HR_PX = 128, 512
_MOST_PROBES = 3000
"""Places looked at on a slide: of more, enough are found."""
_SPARE = 6
"""Times as many candidates as fields, for the draw to choose among."""


def fields_of_pairs(
    pairs: PairsFile,
    models: Mapping[str, PatchModel],
    design: Design,
    split: str = "test",
    least_foreground: float = 0.2,
) -> Iterator[PatchSet]:
    """Draw fields from registered pairs: bicubic, each model and the real 20× scan.

    Drawn evenly over classes and over how much of a patch is cells.

    Parameters
    ----------
    pairs : PairsFile
    models : mapping of str to PatchModel
        By the name they go by in the results.
    design : Design
    split : {"test", "train", "all"}
    least_foreground : float
        Patches with a smaller share of cells are left out.

    Yields
    ------
    PatchSet
        ``design.fields_needed`` of them, of 512 × 512 pixels at 0.293 µm/px.

    Raises
    ------
    OptionError
        If there are too few.
    """
    table = pairs.table
    rows = choose_rows(pairs, split, None)
    rows = rows[table["foreground"][rows] >= least_foreground]
    strata = foreground_strata(table["label"][rows].tolist(), table["foreground"][rows].astype(np.float64))
    for index in draw_stratified(strata, design.fields_needed, design.seed):
        row = int(rows[index])
        lr, _, hr = pairs[row]
        images: dict[str, Pixels] = {BICUBIC: enlarge(lr, 4), REAL: hr}
        images |= {name: model.apply(lr)[1] for name, model in models.items()}
        measures = {
            name: {"psnr": psnr(image, hr), "ssim": ssim(image, hr)} for name, image in images.items() if name != REAL
        }
        yield PatchSet(f"row {row}", images, str(table["label"][row]), str(table["slide"][row]), measures)


@dataclass(frozen=True)
class Area:
    """What of a slide may be shown.

    Attributes
    ----------
    slide : Slide
    annotations : sequence of Annotation
        Areas with their classes; the whole slide without any.
    region_um : (row, col, height, width), optional
        A rectangle in µm.
    """

    slide: Slide
    annotations: Sequence[Annotation] = ()
    region_um: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class _Place:
    area: Area
    row: int
    col: int
    label: str
    foreground: float


def fields_of_slides(
    areas: Sequence[Area], models: Mapping[str, Runner], design: Design, least_foreground: float = 0.2
) -> Iterator[PatchSet]:
    """Draw fields from slides: bicubic and each model, as the window shows them. There is no real scan to compare with.

    Parameters
    ----------
    areas : sequence of Area
        4× scans.
    models : mapping of str to Runner
        By the name they go by in the results.
    design : Design
    least_foreground : float
        Places with a smaller share of cells are left out.

    Yields
    ------
    PatchSet
        ``design.fields_needed`` of them, of 512 × 512 pixels at 0.293 µm/px.

    Raises
    ------
    OptionError
        If there are too few places with cells, or no model.
    PathSRGANError
        If a slide does not suit a model; see `SuperResolvedSlide`.
    """
    if not models:
        raise OptionError("Without a model there is only bicubic: nothing to compare.", "Give models with --models.")
    # Slides that don't suit a model are told before anything is drawn.
    computed = {id(area): {name: SuperResolvedSlide(area.slide, one) for name, one in models.items()} for area in areas}
    rng = np.random.default_rng(design.seed)
    wanted = max(1, _SPARE * design.fields_needed // len(areas))
    places = [
        place
        for area in areas
        for place in _places(area, next(iter(models.values())).card.mpp_in, wanted, least_foreground, rng)
    ]
    foreground = np.array([place.foreground for place in places])
    strata = [
        (place.area.slide.path.name, *stratum)
        for place, stratum in zip(places, foreground_strata([p.label for p in places], foreground), strict=True)
    ]
    for index in draw_stratified(strata, design.fields_needed, design.seed):
        place = places[index]
        where = (0, 4 * place.row, 4 * place.col, HR_PX, HR_PX)
        seen = computed[id(place.area)]
        images: dict[str, Pixels] = {BICUBIC: next(iter(seen.values())).read_bicubic(*where)}
        images |= {name: one.read(*where) for name, one in seen.items()}
        name = place.area.slide.path.name
        yield PatchSet(f"{name} row {where[1]} col {where[2]}", images, place.label, name)


def _places(area: Area, mpp: float, wanted: int, least_foreground: float, rng: np.random.Generator) -> Iterator[_Place]:
    """Look at places of the model's own grid at random, so that each costs one piece of network."""
    rows, cols = (length // LR_PX for length in area.slide.grid_shape(mpp))
    corners = np.stack(np.unravel_index(rng.permutation(rows * cols), (rows, cols)), axis=1) * LR_PX
    centres = (corners + LR_PX / 2) * mpp
    labels = _labels(area, centres)
    background = estimate_slide_background(area.slide, mpp)
    found = 0
    for index in [at for at, label in enumerate(labels) if label is not None][:_MOST_PROBES]:
        row, col = (int(part) for part in corners[index])
        image = area.slide.read_grid(mpp, row, col, LR_PX, LR_PX)
        foreground = float((foreground_weight(image, background) > 0.5).mean())
        if foreground >= least_foreground:
            yield _Place(area, row, col, labels[index] or "", foreground)
            found += 1
            if found == wanted:
                return


def _labels(area: Area, centres_um: np.ndarray) -> list[str | None]:
    from napari_pathsrgan.slides.annotation import label_places

    labels: list[str | None] = [""] * len(centres_um)
    if area.annotations:
        labels = label_places(area.annotations, centres_um)
    if area.region_um is not None:
        top, left, height, width = area.region_um
        for index, (row, col) in enumerate(centres_um):
            if not (top <= row < top + height and left <= col < left + width):
                labels[index] = None
    return labels
