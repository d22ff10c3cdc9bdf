"""Verbs that open the window: view, demo. The only ones that load napari."""

from __future__ import annotations

import sys
from pathlib import Path

from napari_pathsrgan.cli.options import ModelOptions
from napari_pathsrgan.cli.report import Json, tell

_USUAL = ModelOptions()


def view(file: Path, /, *, options: ModelOptions = _USUAL) -> None:
    """Browse a slide: as scanned, at 10× and at 20×, side by side. Or judge the registrations in a pairs file.

    Parameters
    ----------
    file
        A slide file, or a pairs file.
    """
    from napari_pathsrgan.plugin.main_window import view as open_window

    open_window(file, options.mpp, options.model, options.device, options.precision)


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
