"""The row of panes on the canvas: the scan on the left, then what was computed from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari_pathsrgan.plugin.compare.modes import SIDE_BY_SIDE
from napari_pathsrgan.plugin.layers.names import NAME_KEY, safe_name
from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY, is_scan
from napari_pathsrgan.plugin.viewer.overview_map import hide_measures, show_measures

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_pathsrgan.plugin.compare.comparison import Comparison

_LONGEST_STEM = 16


class Panes:
    """The panes of one viewer, arranged anew where something has changed: napari rebuilds its canvas for each touch.

    Parameters
    ----------
    viewer : napari.Viewer
    comparison : Comparison
        Whether there is one pane each, or all lie on one another.
    beside : callable (source) -> layers
        What is shown to the right of a slide's own layer, from left to right.
    """

    def __init__(
        self, viewer: napari.Viewer, comparison: Comparison, beside: Callable[[Layer], Sequence[Layer]]
    ) -> None:
        self._viewer = viewer
        self._comparison = comparison
        self._beside = beside
        self._arrangement: Any = None  # as it was last seen to

    def sources(self) -> list[Layer]:
        """The slides' own layers."""
        return [layer for layer in self._viewer.layers if is_scan(layer)]

    def lay_out(self) -> bool:
        """Arrange and name the panes; says whether anything had to be done."""
        slides = [(source, [source, *self._beside(source)]) for source in self.sources()]
        in_panes = self._comparison.mode.in_panes
        visible = [layer.visible for _, layers in slides for layer in layers]
        arrangement = (slides, visible, len(self._viewer.layers), in_panes) if slides else None
        if arrangement == self._arrangement:
            return False
        self._arrangement = arrangement
        if slides:
            self._set_grid([layers for _, layers in slides], in_panes)
            for source, layers in slides:
                for layer in layers:
                    _name(layer, source.metadata[SLIDE_KEY]["name"] if len(slides) > 1 else "")
            show_measures(self._viewer)
        return bool(slides)

    def merge(self) -> None:
        """Go back to one pane, before layers are added: napari builds all panes anew for each that comes to several."""
        self._comparison.set_mode(SIDE_BY_SIDE)
        self._viewer.canvas.grid.enabled = False
        self._arrangement = None

    def leave(self) -> None:
        """Leave the canvas as it was found."""
        self._viewer.canvas.grid.enabled = False
        hide_measures(self._viewer)

    def _set_grid(self, slides: Sequence[Sequence[Layer]], in_panes: bool) -> None:
        """Give each slide a row where the rows are equally long; else all share one."""
        grid = self._viewer.canvas.grid
        lengths = {sum(layer.visible for layer in layers) for layers in slides}
        ours = sum(len(layers) for layers in slides)
        rows = len(slides) if len(lengths) == 1 and ours == len(self._viewer.layers) else 1
        grid.shape = (max(1, rows), -1)
        grid.stride = 1
        grid.spacing = 2
        grid.enabled = in_panes


def _name(layer: Layer, slide_name: str) -> None:
    given = layer.metadata.get(NAME_KEY, "")
    slide_name = safe_name(slide_name)
    short = slide_name if len(slide_name) <= _LONGEST_STEM else slide_name[: _LONGEST_STEM - 1] + "…"
    wanted = f"{short} · {given}" if short else given
    if given and given in layer.name and re.sub(r" \[\d+\]$", "", layer.name) != wanted:  # else the user renamed it
        layer.name = wanted
