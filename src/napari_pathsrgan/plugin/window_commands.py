"""Commands that open the window: view, demo, and review's rate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field

from napari_pathsrgan.commands.command import POSITIONAL, Command, Options, PathTo
from napari_pathsrgan.commands.options import ModelOptions
from napari_pathsrgan.commands.output import print_result


class ViewOptions(ModelOptions):
    """What is shown.

    Attributes
    ----------
    file : Path
        A slide file, or a pairs file.
    """

    file: Annotated[Path, POSITIONAL, PathTo("slide")]


def view(options: ViewOptions, _: bool) -> None:
    """Browse a slide: as scanned, at 10× and at 20×, side by side. Or judge the registrations in a pairs file."""
    from napari_pathsrgan.plugin.main_window import view as open_window

    open_window(options.file, options.mpp, options.model, options.device, options.precision, options.backend)


class DemoOptions(Options):
    """Where the demonstration is kept.

    Attributes
    ----------
    out : Path
        Folder to make; it must not exist.
    """

    out: Annotated[Path, PathTo("new")] = Path("demo")


def demo(options: DemoOptions, as_json: bool) -> None:
    """Make a synthetic slide, look at it in three panes, and keep the image and what was computed."""
    from napari_pathsrgan.plugin.demo import run_demo

    written = run_demo(options.out, lambda line: print(line, file=sys.stderr))
    print_result({"written": written}, list(map(str, written)), as_json)


class RateOptions(Options):
    """Who rates what.

    Attributes
    ----------
    review : Path
        The file from the organiser.
    rater : str
        A pseudonym: your own, and always the same.
    resume : bool
        Go on where this rater stopped.
    """

    review: Annotated[Path, POSITIONAL, PathTo("file")]
    rater: str
    resume: bool = Field(default=False, alias="continue")


def rate(options: RateOptions, _: bool) -> None:
    """Rate the images of a review, one after the other, with the keys 1 to 5."""
    from napari_pathsrgan.plugin.review.rating_window import rate as open_window

    open_window(options.review, options.rater, options.resume)


VIEW = Command(name="view", options=ViewOptions, run=view, prints_json=False)
DEMO = Command(name="demo", options=DemoOptions, run=demo)
RATE = Command(name="review rate", options=RateOptions, run=rate, prints_json=False)
