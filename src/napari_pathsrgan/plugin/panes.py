"""The row of panes on the canvas: the scan on the left, then what was computed of it, each with its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

NAME_KEY = "pathsrgan_name"
"""Metadata of our layers: the name they were given, without the slide's."""
_LONGEST_STEM = 16


def lay_out_panes(viewer: napari.Viewer, slides: Sequence[tuple[str, Sequence[Layer]]], side_by_side: bool) -> None:
    """Arrange and name the panes.

    Parameters
    ----------
    viewer : napari.Viewer
    slides : sequence of (name, layers)
        Each slide's layers in the order of their panes, its own first.
    side_by_side : bool
        One pane each, a row per slide where the rows are equally long; or all on one another.
    """
    grid = viewer.canvas.grid
    lengths = {sum(layer.visible for layer in layers) for _, layers in slides}
    ours = sum(len(layers) for _, layers in slides)
    rows = len(slides) if len(lengths) == 1 and ours == len(viewer.layers) else 1
    grid.shape = (max(1, rows), -1)
    grid.stride = 1
    grid.spacing = 2
    grid.enabled = side_by_side
    for name, layers in slides:
        for layer in layers:
            _name(layer, name if len(slides) > 1 else "")


def unlay_panes(viewer: napari.Viewer) -> None:
    """Go back to one pane."""
    viewer.canvas.grid.enabled = False


def _name(layer: Layer, slide_name: str) -> None:
    given = layer.metadata.get(NAME_KEY, "")
    short = slide_name if len(slide_name) <= _LONGEST_STEM else slide_name[: _LONGEST_STEM - 1] + "…"
    wanted = f"{short} · {given}" if short else given
    if given and given in layer.name and re.sub(r" \[\d+\]$", "", layer.name) != wanted:  # else the user renamed it
        layer.name = wanted
