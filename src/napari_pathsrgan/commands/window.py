"""Verbs that open the window: view, demo, and review's rate. The only ones that load napari or Qt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from napari_pathsrgan.commands.options import ModelOptions
from napari_pathsrgan.commands.report import Json, tell

_USUAL = ModelOptions()


def view(file: Path, /, *, options: ModelOptions = _USUAL) -> None:
    """Browse a slide: as scanned, at 10× and at 20×, side by side. Or judge the registrations in a pairs file.

    Parameters
    ----------
    file
        A slide file, or a pairs file.
    """
    from napari_pathsrgan.plugin.main_window import view as open_window

    open_window(file, options.mpp, options.model, options.device, options.precision, options.backend)


def demo(*, out: Path = Path("demo"), json: Json = False) -> None:
    """Make a synthetic slide, look at it in three panes, and keep the picture and what was computed.

    Parameters
    ----------
    out
        Folder to make; it must not exist.
    """
    from napari_pathsrgan.plugin.demo import run_demo

    written = run_demo(out, lambda line: print(line, file=sys.stderr))
    tell({"written": written}, list(map(str, written)), json)


def rate(
    review: Path, /, *, rater: str, go_on: Annotated[bool, Parameter(name="--continue", negative=())] = False
) -> None:
    """Rate the pictures of a review, one after the other, with the keys 1 to 5.

    Parameters
    ----------
    review
        The file from the organiser.
    rater
        A pseudonym: your own, and always the same.
    go_on
        Go on where this rater stopped.
    """
    from napari_pathsrgan.plugin.review.rating_window import rate as open_window

    open_window(review, rater, go_on)
