"""The jobs that can be started from the window: which verb, what is asked first, what open layers tell of it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY
from napari_pathsrgan.plugin.viewer.pixel_size_dialog import remembered_mpp

if TYPE_CHECKING:
    import napari

    from napari_pathsrgan.plugin.jobs.form_rows import Pick

Known = dict[str, list[str]]
"""What is known of options before the user says anything: key → one value for each row with that key."""

_POWERS = (1.465, 0.586, 0.293)
_COARSEST = 1.465 * 1.15


@dataclass(frozen=True)
class Asked:
    """A row at the top of a form.

    Attributes
    ----------
    key : str
        Of the option; several rows may share one that takes several values.
    label : str
    pick : str
        See `job_rows.Pick`.
    blank : str
        Name in the job's own folder that is taken when nothing is given.
    told : str
        Help in other words than the command line's.
    """

    key: str
    label: str
    pick: Pick = ""
    blank: str = ""
    told: str = ""


@dataclass(frozen=True)
class JobPlan:
    """A kind of job.

    Attributes
    ----------
    name : str
        In the menu.
    verb : str
    about : str
        What it is for.
    asked : tuple of Asked
        What is asked first; all other options of the verb follow under *More settings*.
    preset : dict
        Values that differ from the verb's defaults.
    known : callable
        What the open layers tell.
    """

    name: str
    verb: str
    about: str
    asked: tuple[Asked, ...]
    preset: dict[str, str] = field(default_factory=dict)
    known: Callable[[napari.Viewer], Known] = lambda _: {}


def _slides(viewer: napari.Viewer) -> list[tuple[Path, float]]:
    """Slides that are open, as files and their pixel sizes, µm; the selected layers' first."""
    layers = [layer for layer in viewer.layers if SLIDE_KEY in layer.metadata]
    layers.sort(key=lambda layer: layer not in viewer.layers.selection)
    found = [(Path(layer.metadata[SLIDE_KEY]["path"]), float(layer.metadata[SLIDE_KEY]["mpp"])) for layer in layers]
    return list(dict.fromkeys(found))


def _know_scans(viewer: napari.Viewer) -> Known:
    scans = ["", "", ""]
    slides = _slides(viewer)
    for place, mpp in enumerate(_POWERS):
        near = [path for path, own in slides if abs(math.log(own / mpp)) < math.log(1.35)]
        scans[place] = str(near[0]) if near else ""
    first = next(filter(None, scans), "")
    out = _beside(Path(first), "-pairs.zarr") if first else ""
    return {"scans": scans, "out": [out], **_known_mpp(slides, scans)}


def _known_mpp(slides: list[tuple[Path, float]], scans: list[str]) -> Known:
    """Pixel sizes that the user has told, since the files don't."""
    told = {str(path): mpp for path, mpp in slides if remembered_mpp(path) is not None}
    keys = ("mpp_low", "mpp_mid", "mpp_high")
    return {key: [f"{told[scan]:g}"] for key, scan in zip(keys, scans, strict=True) if scan in told}


def _know_slide(viewer: napari.Viewer) -> Known:
    slides = [(path, mpp) for path, mpp in _slides(viewer) if mpp <= _COARSEST]
    if not slides:
        return {}
    path, mpp = max(slides, key=lambda slide: slide[1])  # of several scans, the one that gains most
    known = {"slide": [str(path)], "out": [_beside(path, "-20x.ome.zarr")]}
    if remembered_mpp(path) is not None:
        known["mpp"] = [f"{mpp:g}"]
    return known


def _know_pairs(viewer: napari.Viewer) -> Known:
    """The pairs file that is open, or the newest one that a job has made."""
    from napari_pathsrgan.jobs.listing import JobList
    from napari_pathsrgan.jobs.spec import State
    from napari_pathsrgan.plugin.registration.registration_widget import RegistrationWidget

    pairs: Path | None = None
    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, RegistrationWidget) and widget.pairs is not None:
            pairs = widget.pairs.path
    if pairs is None:
        made = (job.out for job in JobList().read() if job.record.spec.verb == "register" and job.state is State.DONE)
        pairs = next((out for out in made if out is not None and out.exists()), None)
    return {} if pairs is None else {"pairs": [str(pairs)], "out": [_beside(pairs, "-model")]}


def _beside(path: Path, ending: str) -> str:
    """A name beside a file, with a number where it is taken; empty where nothing can be written there."""
    stem = path.name.split(".")[0]
    for magnification in ("-4x", "-10x", "-20x", "_4x", "_10x", "_20x", "-pairs"):
        stem = stem.removesuffix(magnification)
    if stem in ("4x", "10x", "20x"):
        stem = path.parent.name
    if not os.access(path.parent, os.W_OK):
        return ""
    wanted, number = path.parent / f"{stem}{ending}", 1
    while wanted.exists():
        number += 1
        first, dot, rest = ending.partition(".")
        wanted = path.parent / f"{stem}{first}-{number}{dot}{rest}"
    return str(wanted)


_TRAINING = (
    Asked("pairs", "Pairs", "pairs", told="The pairs file that a registration has written."),
    Asked("out", "Run folder", "save", "model", "Where the training keeps its checkpoints; its name is the model's."),
)

PLANS = (
    JobPlan(
        "Register slides",
        "register",
        "Three scans of one glass slide, at 4×, 10× and 20×, become matched patches to train on.",
        (
            Asked("scans", "4× scan", "slide", told="About 1.465 µm/px."),
            Asked("scans", "10× scan", "slide", told="About 0.586 µm/px."),
            Asked("scans", "20× scan", "slide", told="About 0.293 µm/px."),
            Asked("out", "Pairs file", "save", "pairs.zarr", "Written to; one that exists is added to."),
        ),
        known=_know_scans,
    ),
    JobPlan(
        "Train a model",
        "train",
        "A network learns from pairs what a slide looks like at 10× and 20×. It takes hours, best on a graphics card.",
        _TRAINING,
        {"recipe": "laptop"},
        known=_know_pairs,
    ),
    JobPlan(
        "Fine-tune on my scanner",
        "train",
        "A model that exists learns on from pairs of your own scanner. It needs less data and time than a new one.",
        (_TRAINING[0], Asked("init_from", "Begin with"), *_TRAINING[1:]),
        {"recipe": "laptop", "init_from": "lite"},
        known=_know_pairs,
    ),
    JobPlan(
        "Super-resolve whole slide",
        "upscale",
        "Computes the 10× and 20× views of a whole slide and writes them as OME-Zarr. Computed, not for diagnosis.",
        (
            Asked("slide", "Slide", "slide"),
            Asked("out", "OME-Zarr", "save", "slide-20x.ome.zarr", "Folder to write, ending in .ome.zarr."),
            Asked("model", "Model"),
        ),
        known=_know_slide,
    ),
)
