"""The command upscale: a slide's computed views, of all of it or of a region, into a file."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from napari_pathsrgan.commands.command import (
    POSITIONAL,
    Command,
    FormField,
    JobForm,
    ModelName,
    OpenLayers,
    PathTo,
    ResultWindow,
)
from napari_pathsrgan.commands.options import Area, ModelOptions
from napari_pathsrgan.commands.output import Progress, print_result, progress, thousands
from napari_pathsrgan.commands.result_paths import beside
from napari_pathsrgan.errors import OptionError

if TYPE_CHECKING:
    from napari_pathsrgan.inference.backend import BackendName, Precision
    from napari_pathsrgan.inference.engine import Engine
    from napari_pathsrgan.inference.region import Region
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.inference.tile_writer import WriteSummary
    from napari_pathsrgan.inference.whole_slide import Executor
    from napari_pathsrgan.slides.slide import Slide

INCOMPLETE, INTERRUPTED = 3, 130
_MPX = 1e6
_COARSEST_MPP = 1.465 * 1.15


class UpscaleOptions(ModelOptions):
    """What of a slide is computed, and how.

    Attributes
    ----------
    slide : Path
        A slide file with pixels at least as fine as a 4× scan.
    out : Path
        Folder to write, ending in .ome.zarr; or file, ending in .ome.tiff, or in .svs for OpenSlide.
    region : (row, col, height, width) or Path, optional
        Part of the slide: ROW,COL,HEIGHT,WIDTH in µm from its upper-left corner, or a GeoJSON file of annotations; all
        of it otherwise.
    blend : bool
        Add windows that overlap by 64 px up with weights, as the paper does, instead of computing exact tiles.
    compression : {"jpeg", "lossless"}
        Of a TIFF.
    sharded : bool
        Pack the OME-Zarr into few files once it is complete; it can't be filled further then.
    workers : int
        Have so many worker processes of this machine share the work; 0 for none.
    scheduler : str, optional
        Address of a dask scheduler whose workers do it, such as tls://10.0.0.1:8786; slide and output lie where all of
        them see the same path.
    plain_tcp : bool
        Allow a scheduler on another machine without TLS: everybody in that network can run programs as you.
    consistency : bool
        Write a map of where the computed image disagrees with the scan beside it, NAME.consistency.ome.zarr.
    consistency_against : str, optional
        Another model: the map also shows where its image differs. Takes that model's time as well.
    """

    slide: Annotated[Path, POSITIONAL, PathTo("slide")]
    out: Annotated[Path, POSITIONAL, PathTo("new")]
    region: Area = None
    blend: bool = False
    compression: Literal["jpeg", "lossless"] = "jpeg"
    sharded: bool = False
    workers: int = Field(default=0, ge=0)
    scheduler: str | None = None
    plain_tcp: bool = False
    consistency: bool = False
    consistency_against: Annotated[str | None, ModelName()] = None


def upscale(options: UpscaleOptions, as_json: bool) -> int | None:
    """Write a slide's computed 20× and 10× views, and its own coarser ones.

    A run that was stopped goes on where it stopped when it is given the same names again. Ends with code 3 where parts
    of the slide could not be read: the rest is there, and the parts are listed.
    """
    from napari_pathsrgan.atomic_write import only_writer
    from napari_pathsrgan.inference.execution import resume_execution
    from napari_pathsrgan.inference.export_checks import resolve_region
    from napari_pathsrgan.inference.finalize import partial_store
    from napari_pathsrgan.inference.super_resolved import super_resolve
    from napari_pathsrgan.models.zoo import model_card
    from napari_pathsrgan.slides.open_slide import open_slide

    out = options.out
    _check_options(options)
    with open_slide(options.slide, options.mpp) as opened, _terminating_as_interrupting():
        region = resolve_region(options.region, opened, model_card(options.model))
        backend, precision = resume_execution(partial_store(out), options.backend, options.precision)
        _check_output(options, opened, precision)
        engine = _load(options.model, options.device, precision, backend)
        computed = super_resolve(opened, engine)
        if computed.resampling_note:
            print(computed.resampling_note, file=sys.stderr)
        began = time.perf_counter()
        try:
            with progress("Computing", (_MPX, "Mpx")) as report, only_writer(out):
                done = _write(computed, out, region, options, report)
        except KeyboardInterrupt:
            print(f"Stopped. {out.name} is not complete; the same command goes on with it.", file=sys.stderr)
            return INTERRUPTED
    record = _describe(out, options.region, done, time.perf_counter() - began)
    record["deviation"] = str(engine.deviation or "") or None
    print_result(record, _in_words(record), as_json)
    for row, col, height, width in done.unreadable:
        print(
            f"The slide cannot be read at {row:.0f},{col:.0f},{height:.0f},{width:.0f} µm: that part is missing.",
            file=sys.stderr,
        )
    return INCOMPLETE if done.unreadable else None


def _check_options(options: UpscaleOptions) -> None:
    """Refuse options that are wrong whatever the slide is."""
    from napari_pathsrgan.inference.cluster import refuse_workers
    from napari_pathsrgan.inference.finalize import output_kind

    output_kind(options.out)
    if options.workers and options.scheduler:
        raise OptionError("A scheduler has workers of its own.", "Leave out --workers or --scheduler.")
    if not options.workers and options.scheduler is None:
        return
    if options.blend:
        raise OptionError("Blended windows need their neighbours, so workers can't share them.", "Leave out --blend.")
    refuse_workers(options.scheduler, options.plain_tcp)


def _check_output(options: UpscaleOptions, slide: Slide, precision: Precision) -> None:
    """Refuse what is wrong with the output and the other model: nothing of it needs a network."""
    from napari_pathsrgan.inference.export_checks import refuse_output
    from napari_pathsrgan.inference.suitability import refuse_unsuitable
    from napari_pathsrgan.models.zoo import model_card

    if precision == "int8" and (options.workers or options.scheduler):  # named, or what the store was begun in
        raise OptionError("An int8 preview is computed by one process.", "Leave out --workers, --scheduler or int8.")
    if options.consistency_against:
        refuse_unsuitable(slide, model_card(options.consistency_against))
    refuse_output(
        options.out,
        slide,
        model_card(options.model),
        precision,
        blend=options.blend,
        sharded=options.sharded,
        consistency=options.consistency or options.consistency_against is not None,
    )


def _load(model: str, device: str, precision: Precision, backend: BackendName) -> Engine:
    """Load a model; from here on torch is needed."""
    from napari_pathsrgan.inference.allocator import keep_memory
    from napari_pathsrgan.inference.engine import load_model

    keep_memory()
    return load_model(model, device, precision, backend)


def _write(
    computed: SuperResolvedSlide, out: Path, region: Region, options: UpscaleOptions, report: Progress
) -> WriteSummary:
    """Fill a store, compare it with the scan, and make the file that was asked for of it."""
    from napari_pathsrgan.inference.consistency_map import write_consistency_map
    from napari_pathsrgan.inference.export_checks import consistency_path
    from napari_pathsrgan.inference.finalize import finalize, output_kind, tiles_folder
    from napari_pathsrgan.inference.super_resolved import super_resolve
    from napari_pathsrgan.inference.whole_slide import write_whole_slide
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

    finished = output_kind(out).write_file is not None or options.sharded
    tiles = tiles_folder(out) if finished else out
    with _executor(computed, options) as executor:
        done = write_whole_slide(computed, tiles, region, blend=options.blend, executor=executor, progress=report)
    if options.consistency or options.consistency_against:
        other = None
        if options.consistency_against:
            against = _load(options.consistency_against, options.device, options.precision, options.backend)
            other = super_resolve(computed.slide, against)
        store = PyramidStore.open(tiles)
        write_consistency_map(computed, store, consistency_path(out), other, partial(report, task="Comparing"))
    if finished:
        finalize(tiles, out, options.compression, partial(report, task="Packing"))
    return done


@contextmanager
def _executor(computed: SuperResolvedSlide, options: UpscaleOptions) -> Iterator[Executor | None]:
    """Have workers ready where they were asked for."""
    if not options.workers and options.scheduler is None:
        yield None
        return
    from napari_pathsrgan.inference.cluster import Cluster, connected

    # Workers compute in the way that was found best here: else a tile would depend on who made it.
    execution = computed.runner.execution
    assert execution is not None
    with connected(options.scheduler, options.workers, options.plain_tcp) as (client, threads):
        yield Cluster(
            client,
            options.model,
            options.device,
            execution.precision,
            execution.backend,
            threads,
            options.mpp,
        )


def _describe(out: Path, region: Area, done: WriteSummary, seconds: float) -> dict[str, Any]:
    return {
        "out": str(out),
        "region": region,
        "tiles": done.tiles,
        "written": done.written,
        "background_tiles": done.background_tiles,
        "redundancy": done.redundancy,
        "seconds": seconds,
        "unreadable_um": done.unreadable,
    }


def _in_words(record: dict[str, Any]) -> list[str]:
    written, there = record["written"], record["tiles"] - record["written"]
    background, redundancy = thousands(record["background_tiles"]), record["redundancy"]
    cost = f"{background} of them background, {redundancy:.2f} computed per pixel kept."
    lines = [f"Written: {record['out']}", f"{thousands(written)} tiles in {record['seconds']:.0f} s, {cost}"]
    if there:
        lines.append(f"{thousands(there)} tiles were there already, or could not be made.")
    if record["deviation"]:
        lines.append(f"This is an int8 preview, {record['deviation']}, where it was compared with the exact image.")
    return lines


@contextmanager
def _terminating_as_interrupting() -> Iterator[None]:
    """Have SIGTERM end the block as Ctrl-C does, between two tiles."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _suggest(layers: OpenLayers) -> Mapping[str, Any]:
    """Take the open slide that gains most: the one with the coarsest pixels."""
    slides = [slide for slide in layers.slides if slide.mpp <= _COARSEST_MPP]
    if not slides:
        return {}
    slide = max(slides, key=lambda slide: slide.mpp)
    known = {"slide": slide.path, "out": beside(slide.path, "-20x.ome.zarr")}
    return known | ({"mpp": slide.mpp} if slide.mpp_given else {})


def _open_result(window: ResultWindow, out: Path) -> None:
    window.open_slide(out)


COMMAND = Command(
    name="upscale",
    options=UpscaleOptions,
    run=upscale,
    runs_as_job=True,
    device=lambda options: options.device,
    open_result=_open_result,
    forms=(
        JobForm(
            "Super-resolve whole slide",
            "Computes the 10× and 20× views of a whole slide and writes them as OME-Zarr. Computed, not for diagnosis.",
            (
                FormField("slide", "Slide"),
                FormField("out", "OME-Zarr", "Folder to write, ending in .ome.zarr.", "slide-20x.ome.zarr"),
                FormField("model", "Model"),
            ),
            suggest=_suggest,
        ),
    ),
)
