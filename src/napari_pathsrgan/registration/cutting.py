"""From scans to rows of a pairs file: LR sampled once from the low scan, MR and HR the finer scans' own pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathsrgan.errors import OptionError, PathSRGANError, SlideNotFoundError
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, Label, register_slides
from napari_pathsrgan.registration.pairs import PairsFile, Planned, Table, Triplet, append
from napari_pathsrgan.registration.splitting import Split, split_of
from napari_pathsrgan.registration.stored_pairs import read_attributes
from napari_pathsrgan.registration.turned import Scan, Similarity, TurnedSlide, slide_of
from napari_pathsrgan.registration.turns import is_turned, read_turns, turns_of
from napari_pathsrgan.slides.computed import refuse_computed
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.resample import resample_region

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.types import Pixels

_DECIDING = ("numpy", "opencv-python-headless", "scipy")
"""Parts whose version may move an offset's last digit."""


def provenance(low: Slide, mid: Slide, high: Slide, config: RegistrationConfig) -> dict[str, Any]:
    """Say how pairs are made, in plain values: the same words for the same pixels."""
    scans = {"4x": low, "10x": mid, "20x": high}
    return {
        "fingerprints": {power: slide.fingerprint for power, slide in scans.items()},
        "files": {power: slide.path.name for power, slide in scans.items()},
        "readers": {power: slide.reader for power, slide in scans.items()},
        "mpp": {power: slide.mpp for power, slide in scans.items()},
        "config": config.model_dump(mode="json", exclude={"threads"}),
        "versions": {part: _version(part) for part in ("napari-pathsrgan", *_DECIDING)},
    }


def _beside(slide: Slide, pairs: Path) -> str:
    """Where a scan is as seen from the pairs file, so that both may move together; or at all, from another drive."""
    try:
        return Path(os.path.relpath(slide.path.resolve(), pairs.resolve().parent)).as_posix()
    except ValueError:
        return slide.path.resolve().as_posix()


def open_scans(pairs: PairsFile, index: int, magnification: int) -> tuple[Slide, Slide]:
    """Open the scans that a slide's pairs were cut from.

    Parameters
    ----------
    pairs : PairsFile
    index : int
        Of the slide in ``pairs.slides``.
    magnification : int
        10 or 20.

    Returns
    -------
    (Slide, Slide)
        The 4× scan, and the one registered to it. The caller closes them.

    Raises
    ------
    OptionError
        If the pairs were made from single images.
    SlideNotFoundError
        If a scan is gone, or another file is in its place.
    PathSRGANError
        If a scan cannot be read.
    """
    entry = pairs.slides[index]
    if entry["simulated"]:
        raise OptionError(
            f"The pairs of {entry['name']} were made from single images: there are no scans to compare.",
            "Choose a slide that was scanned three times.",
        )
    if is_turned(entry["found"], magnification):
        raise OptionError(
            f"{entry['name']} was put in again for its {magnification}× scan and lay turned: the scans cannot be shown"
            " on each other yet.",
            "Look at its pairs, or choose a slide that was scanned without taking it out.",
        )
    opened: list[Slide] = []
    try:
        for power in ("4x", f"{magnification}x"):
            path = (pairs.path.resolve().parent / entry["found"]["scans"][power]).resolve()
            if not path.exists():
                raise SlideNotFoundError(
                    f"The {power[:-1]}× scan of {entry['name']} is not where it was registered: {path} is missing.",
                    "Put it back, or register the slide again from where it is now.",
                )
            opened.append(open_slide(path, entry["made"]["mpp"][power]))
            refuse_computed(opened[-1].path, opened[-1].computed)
            if opened[-1].fingerprint != entry["made"]["fingerprints"][power]:
                raise SlideNotFoundError(
                    f"{path.name} is not the file any more that {entry['name']} was registered with.",
                    "Put that one back, or register the slide again.",
                )
    except PathSRGANError:
        for slide in opened:
            slide.close()
        raise
    return opened[0], opened[1]


def _version(part: str) -> str:
    try:
        return version(part)
    except ModuleNotFoundError:  # another build of OpenCV, or a source tree that is not installed
        return "unknown"


def cut_patch(low: Scan, mid: Scan, high: Slide, patch: Table) -> Triplet:
    """Cut one patch from three scans.

    Parameters
    ----------
    low, mid : Scan
        As the 20× scan lies: turned where the slide was put in again.
    high : Slide
    patch : structured scalar of `fine.PATCH_FIELDS`

    Returns
    -------
    tuple of (128, 128, 3), (256, 256, 3) and (512, 512, 3) uint8
        The 4× scan's pixels are interpolated once, for zoom, turn and shift together (METHOD § 0). The 10× pixels are
        untouched, but where that scan is turned; the 20× pixels always.
    """
    hr = high.read_level(0, int(patch["hr_row_px"]), int(patch["hr_col_px"]), HR_PX, HR_PX)
    mr = mid.read_level(0, int(patch["mr_row_px"]), int(patch["mr_col_px"]), MR_PX, MR_PX)
    corner = np.array([patch["row_um"], patch["col_um"]], np.float64)
    step = high.mpp * HR_PX / LR_PX  # four of the pixels it is to become, whatever the scanner makes of 0.293
    if isinstance(low, TurnedSlide):
        return low.sample(corner, step, (LR_PX, LR_PX)), mr, hr
    return _sampled(slide_of(low), corner, step), mr, hr


def _sampled(low: Slide, corner_um: npt.NDArray[np.float64], step_um: float) -> Pixels:
    def read(row: int, col: int, height: int, width: int) -> Pixels:
        return low.read_level(0, row, col, height, width)

    shift = (float(corner_um[0]) / low.pixel_size_um[0], float(corner_um[1]) / low.pixel_size_um[1])
    return resample_region(read, low.level_shapes[0], low.pixel_size_um, step_um, 0, 0, LR_PX, LR_PX, shift)


def _as_found(slide: Slide, turn: Similarity | None) -> Scan:
    return slide if turn is None else TurnedSlide(slide, turn.matrix)


def register_into(
    path: Path,
    low: Slide,
    mid: Slide,
    high: Slide,
    config: RegistrationConfig | None = None,
    split: Split | None = None,
    label: Label | None = None,
    labels_from: str = "",
    progress: Callable[[float, float], None] | None = None,
) -> int:
    """Register three scans and append their patches to a pairs file; goes on where a killed run stopped.

    Parameters
    ----------
    path : Path
        The pairs file.
    low, mid, high : Slide
    config : RegistrationConfig, optional
    split : {"train", "test", "place"}, optional
        By default one slide in six is for testing; "place" keeps one end of the slide for it.
    label : callable, optional
        See `fine.register_slides`.
    labels_from : str
        What the labels came from, such as a hash of the annotations: part of how the pairs were made.
    progress : callable (done, total), optional
        Called with patches matched, then patches written.

    Returns
    -------
    int
        The slide's number of patches.
    """
    config = config or RegistrationConfig()
    made = provenance(low, mid, high, config)
    if labels_from:
        made["annotations"] = labels_from

    def plan() -> Planned:
        found = register_slides(low, mid, high, config, progress, label)
        return Planned(
            found.patches,
            found.labels,
            {
                "tried": found.tried,
                "rejected": found.rejected,
                "notes": list(found.notes),
                "offset_um_10x": list(found.coarse_10x.offset_um),
                "offset_um_20x": list(found.coarse_20x.offset_um),
                "turned": turns_of(found),
                "scans": {"4x": _beside(low, path), "10x": _beside(mid, path), "20x": _beside(high, path)},
            },
        )

    views: list[Scan] = []

    def cut(patch: Table) -> Triplet:
        if not views:  # a run that goes on has not registered the scans itself
            found = next(slide["found"] for slide in read_attributes(path)["slides"] if slide["made"] == made)
            views.extend(_as_found(slide, turn) for slide, turn in zip((low, mid), read_turns(found), strict=True))
        return cut_patch(views[0], views[1], high, patch)

    name = high.path.stem if high.path.stem != "20x" else high.path.parent.name
    return append(path, name, made, split or split_of(low.fingerprint), plan, cut, progress=progress)
