"""The command that makes a review: from pairs, from slides, or from a folder of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from napari_pathsrgan.commands.command import POSITIONAL, Command, Options, PathTo
from napari_pathsrgan.commands.options import Region
from napari_pathsrgan.commands.output import print_result, progress
from napari_pathsrgan.errors import OptionError

if TYPE_CHECKING:
    from napari_pathsrgan.evaluation.review_fields import Area
    from napari_pathsrgan.inference.engine import Engine
    from napari_pathsrgan.review.design import Design, PatchSet

    MakeSets = Callable[[Design], Iterator[PatchSet]]


class NewOptions(Options):
    """What is shown to raters, and how.

    Attributes
    ----------
    review : Path
        The raters' file to write, such as study.review; its key goes to a folder that only you can read.
    sources : tuple of Path
        A pairs file; a folder with a folder of images for each method; or 4× slides.
    models : tuple of str
        Names from `pathsrgan models list`, .safetensors files or trainings' folders; not for a folder of images.
    patches : int
        Fields to rate, each in every method.
    mode : {"single", "pair"}
        Rate one image at a time from 1 to 5, or choose the better of two.
    repeats : int
        Images that each rater sees a second time, to measure how consistent they are.
    warm_up : int
        Practice images to get used to it, which are not counted.
    anchors : int
        Examples each of 1 and of 5 on the first page.
    worst : str, optional
        Method that the examples of 1 are taken from; bicubic where there is a real scan.
    best : str, optional
        Method that the examples of 5 are taken from; real where there is a real scan.
    title : str
        What raters see above the first page.
    question : str
        What they are asked; by default about clarity and natural texture.
    zoom : int
        Screen pixels per image pixel, the same for every rater.
    split : {"test", "train", "all"}
        Which slides of a pairs file.
    least_foreground : float
        Leave out places with a smaller share of cells than this.
    annotations : Path, optional
        QuPath's GeoJSON on the slide, or a folder of one named after each slide: only places inside areas, by class.
    region : (row, col, height, width), optional
        Part of the slides as ROW,COL,HEIGHT,WIDTH in µm; all of them otherwise.
    mpp : float, optional
        Pixel size of slides that don't say it, µm.
    key : Path, optional
        Where the organiser's key goes; a folder that only you can read otherwise.
    seed : int
        Of what is drawn.
    device : str
        auto, cpu, cuda, cuda:1 or mps.
    precision : {"auto", "fp32", "bf16", "fp16"}
        auto takes what is fastest here and gives the same pixels.
    """

    review: Annotated[Path, POSITIONAL, PathTo("new", "Reviews (*.review)")]
    sources: Annotated[tuple[Path, ...], POSITIONAL, PathTo("slide")] = ()
    models: tuple[str, ...] = ("lite",)
    patches: int = Field(default=20, ge=1)
    mode: Literal["single", "pair"] = "single"
    repeats: int = Field(default=6, ge=0)
    warm_up: int = Field(default=3, ge=0)
    anchors: int = Field(default=2, ge=0)
    worst: str | None = None
    best: str | None = None
    title: str = "Review"
    question: str = ""
    zoom: int = Field(default=1, ge=1)
    split: Literal["test", "train", "all"] = "test"
    least_foreground: float = 0.2
    annotations: Annotated[Path | None, PathTo("file", "GeoJSON (*.geojson *.json)")] = None
    region: Region = None
    mpp: float | None = None
    key: Annotated[Path | None, PathTo("new")] = None
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


def new(options: NewOptions, as_json: bool) -> None:
    """Make a review: a file to give to raters, and a key that stays with you and knows whose image is whose."""
    from napari_pathsrgan.review.design import Design
    from napari_pathsrgan.review.key import new_key_path
    from napari_pathsrgan.review.study import write_study

    design = Design(
        options.title, options.mode, options.patches, options.repeats, options.warm_up, options.anchors,
        options.question, options.zoom, options.seed,
    )  # fmt: skip
    key_file = options.key or new_key_path(options.review)
    with ExitStack() as opened:
        source = _source(options.sources, options, opened)
        extremes = (options.worst, options.best) if options.worst and options.best else source.extremes
        design = design if extremes else replace(design, anchors=0)
        with progress("Making images") as report:
            key = write_study(options.review, key_file, design, source.sets(design), extremes, source.made, report)
    rated = sum(entry.use == "rating" for entry in key.images.values())
    record = {"review": options.review, "key": key_file, "methods": key.methods, "images": rated}
    lines = [
        f"{rated} images of {design.patches} fields by {', '.join(key.methods)}",
        f"For raters: {options.review}",
        f"For you alone: {key_file}",
    ]
    print_result(record, lines, as_json)


@dataclass(frozen=True)
class _Source:
    """What was given: what makes fields of it, the methods for examples of 1 and 5, and where all comes from."""

    sets: MakeSets
    extremes: tuple[str, str] | None
    made: dict[str, Any]


def _source(paths: tuple[Path, ...], options: NewOptions, opened: ExitStack) -> _Source:
    from napari_pathsrgan.registration.pairs import PairsFile, is_pairs_file
    from napari_pathsrgan.review.folder import fields_of_folder, is_folder_of_methods

    if not paths:
        raise OptionError("There is nothing to make a review of.", "Give a pairs file, slides or a folder of images.")
    first = paths[0]
    of_pairs = len(paths) == 1 and is_pairs_file(first)
    if len(paths) == 1 and not of_pairs and is_folder_of_methods(first):
        return _Source(partial(fields_of_folder, first), None, {"folder": first.name})
    if of_pairs:
        from napari_pathsrgan.evaluation.on_pairs import BICUBIC, REAL
        from napari_pathsrgan.evaluation.review_fields import fields_of_pairs

        pairs = PairsFile(first)
        engines = _engines(options)
        made: dict[str, Any] = {"pairs": first.name, "simulated": any(slide["simulated"] for slide in pairs.slides)}
        made["models"] = {name: engine.card.weights_hash for name, engine in engines.items()}
        sets = partial(fields_of_pairs, pairs, engines, split=options.split, least_foreground=options.least_foreground)
        return _Source(sets, (BICUBIC, REAL), made)
    from napari_pathsrgan.evaluation.review_fields import fields_of_slides

    areas = [_area(path, options, opened, len(paths) > 1) for path in paths]
    engines = _engines(options)
    made = {"slides": {area.slide.path.name: area.slide.fingerprint for area in areas}}
    made["models"] = {name: engine.card.weights_hash for name, engine in engines.items()}
    return _Source(partial(fields_of_slides, areas, engines, least_foreground=options.least_foreground), None, made)


def _engines(options: NewOptions) -> dict[str, Engine]:
    from napari_pathsrgan.models.zoo import model_card

    names = [model_card(reference).name for reference in options.models]
    for name in names:
        if names.count(name) > 1 or name in ("bicubic", "real"):
            raise OptionError(f"Two methods are called “{name}”.", "Give models whose cards have names of their own.")
    from napari_pathsrgan.inference.engine import load_model

    engines = [load_model(reference, options.device, options.precision) for reference in options.models]
    return dict(zip(names, engines, strict=True))


def _area(path: Path, options: NewOptions, opened: ExitStack, several: bool) -> Area:
    from napari_pathsrgan.evaluation.review_fields import Area
    from napari_pathsrgan.slides.geojson import QuPathGrid, read_annotations
    from napari_pathsrgan.slides.open_slide import open_slide

    slide = opened.enter_context(open_slide(path, options.mpp))
    file = options.annotations
    if file is not None and file.is_dir():
        file = file / f"{path.stem}.geojson"
    elif file is not None and several:
        raise OptionError(
            f"{file.name} can't belong to several slides.", "Give a folder with a .geojson named after each slide."
        )
    return Area(slide, () if file is None else read_annotations(file, QuPathGrid.of(slide)), options.region)


COMMAND = Command(name="review new", options=NewOptions, run=new)
