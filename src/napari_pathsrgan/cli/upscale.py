"""The verb upscale: a slide's computed views, of all of it or of a region, into a file."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, Token

from napari_pathsrgan.cli.options import ModelOptions
from napari_pathsrgan.cli.report import Json, progress, tell, thousands
from napari_pathsrgan.errors import OptionError

if TYPE_CHECKING:
    from napari_pathsrgan.inference.tile_filler import Filled

RegionUm = tuple[float, float, float, float]
INCOMPLETE, INTERRUPTED = 3, 130
_MPX = 1e6


def _parse_region(_: Any, tokens: Sequence[Token]) -> RegionUm | Path:
    text = tokens[0].value
    try:
        row, col, height, width = (float(part) for part in text.split(","))
    except ValueError as error:
        if Path(text).suffix.lower() in (".geojson", ".json"):
            return Path(text)
        raise OptionError(
            f"The region “{text}” is not four numbers and no GeoJSON file.",
            "Give it as ROW,COL,HEIGHT,WIDTH in µm, such as 0,0,500,500, or the .geojson file of annotations.",
        ) from error
    return row, col, height, width


@Parameter(name="*")
@dataclass(frozen=True)
class UpscaleOptions:
    """What of a slide is computed, and how.

    Parameters
    ----------
    region : (row, col, height, width) or Path, optional
        Part of the slide: ROW,COL,HEIGHT,WIDTH in µm from its upper-left corner, or a GeoJSON file of annotations; all
        of it otherwise.
    blend : bool
        Add windows that overlap by 64 px up with weights, as the paper does, instead of computing exact tiles.
    compression : {"jpeg", "lossless"}
        Of a TIFF.
    sharded : bool
        Pack the OME-Zarr into few files once it is complete; it can't be filled further then.
    """

    region: Annotated[
        RegionUm | Path | None,
        Parameter(converter=_parse_region, n_tokens=1, metavar="ROW,COL,HEIGHT,WIDTH|FILE.geojson"),
    ] = None
    blend: bool = False
    compression: Literal["jpeg", "lossless"] = "jpeg"
    sharded: bool = False
    looking: ModelOptions = field(default_factory=ModelOptions)


_NO_UPSCALE_OPTIONS = UpscaleOptions()


def upscale(
    slide: Path, out: Path, /, *, options: UpscaleOptions = _NO_UPSCALE_OPTIONS, json: Json = False
) -> int | None:
    """Write a slide's computed 20× and 10× views, and its own coarser ones.

    A run that was stopped goes on where it stopped when it is given the same names again. Ends with code 3 where parts
    of the slide could not be read: the rest is there, and the parts are listed.

    Parameters
    ----------
    slide
        A slide file with pixels at least as fine as a 4× scan.
    out
        Folder to write, ending in .ome.zarr; or file, ending in .ome.tiff.
    """
    from napari_pathsrgan.slides.open_slide import open_slide

    looking = options.looking
    with open_slide(slide, looking.mpp) as opened, _terminating_as_interrupting():
        from napari_pathsrgan.inference.allocator import keep_memory
        from napari_pathsrgan.inference.engine import load_model
        from napari_pathsrgan.inference.finished import is_tiff, write_finished
        from napari_pathsrgan.inference.super_resolved import super_resolve
        from napari_pathsrgan.inference.whole_slide import write_whole_slide

        keep_memory()
        computed = super_resolve(opened, load_model(looking.model, looking.device, looking.precision))
        if computed.resampling_note:
            print(computed.resampling_note, file=sys.stderr)
        began = time.perf_counter()
        try:
            with progress("Computing", (_MPX, "Mpx")) as told:
                write: Callable[..., Filled] = write_whole_slide
                if is_tiff(out) or options.sharded:
                    write = partial(write_finished, compression=options.compression)
                done = write(computed, out, options.region, blend=options.blend, progress=told)
        except KeyboardInterrupt:
            print(f"Stopped. {out.name} is not complete; the same command goes on with it.", file=sys.stderr)
            return INTERRUPTED
    record = _describe(out, options.region, done, time.perf_counter() - began)
    tell(record, _in_words(record), json)
    for row, col, height, width in done.unreadable:
        print(
            f"The slide cannot be read at {row:.0f},{col:.0f},{height:.0f},{width:.0f} µm: that part is missing.",
            file=sys.stderr,
        )
    return INCOMPLETE if done.unreadable else None


def _describe(out: Path, region: RegionUm | Path | None, done: Filled, seconds: float) -> dict[str, Any]:
    return {
        "out": str(out),
        "region": region,
        "tiles": done.tiles,
        "written": done.written,
        "glass_tiles": done.glass_tiles,
        "redundancy": done.redundancy,
        "seconds": seconds,
        "unreadable_um": done.unreadable,
    }


def _in_words(record: dict[str, Any]) -> list[str]:
    written, there = record["written"], record["tiles"] - record["written"]
    cost = f"{thousands(record['glass_tiles'])} of them glass, {record['redundancy']:.2f} computed per pixel kept."
    lines = [f"Written: {record['out']}", f"{thousands(written)} tiles in {record['seconds']:.0f} s, {cost}"]
    if there:
        lines.append(f"{thousands(there)} tiles were there already, or could not be made.")
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
