"""Image layers that napari draws from previews, while their data are exact.

Two arrays stand behind each level of such a layer. ``layer.data`` holds the exact one: whoever indexes it, converts it,
saves or splits the layer gets computed pixels, or a sentence where they are too many. Its attribute ``preview`` is the
other one, which never computes; napari's slicing, and nothing else, is given that. No array checks who is asking.

What is overridden of napari's slicing is private there (as of 0.9.2); `tests/plugin/layers/test_preview_layer.py` fails
in words if a later napari slices in another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from napari.layers._multiscale_data import MultiScaleData
from napari.layers.image.image import _ImageSlicingState

from napari_pathsrgan.errors import LayerTooLargeError

LARGEST_COPY_PX = 2**28
"""Pixels of a layer that are read into memory in one go: 768 MiB of RGB."""


class Levels(MultiScaleData):
    """Levels of a layer that stands for its finest level wherever it is taken for one array.

    napari's own class gives the coarsest level, or a TypeError, depending on how it is asked.

    Raises
    ------
    LayerTooLargeError
        When converted to an array that would not fit into memory.
    """

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read the finest level."""
        rows, cols = self.shape[:2]
        if rows * cols > LARGEST_COPY_PX:
            raise LayerTooLargeError(
                f"This layer has {rows} × {cols} px, too many to be copied into memory.",
                "Use a region of it or one of its coarser levels, or the file itself.",
            )
        return np.array(np.asarray(self[0]), dtype, copy=copy)

    def __deepcopy__(self, memo: dict[int, Any]) -> Levels:
        """Share the arrays: they are read-only, and stand for files that are open."""
        return Levels(list(self))


class ScanLevels(Levels):
    """Levels of a slide's own layer, and of no copy of it."""


class PreviewImage(Image):
    """A layer whose exact levels have previews to be drawn.

    Parameters
    ----------
    levels : sequence of arrays
        Exact pixels, finest first, each with an attribute ``preview`` of the same shape.
    **parameters
        Of `napari.layers.Image`.
    """

    def __init__(self, levels: Sequence[Any], **parameters: Any) -> None:
        super().__init__(Levels(levels), multiscale=True, **parameters)

    @property
    def _type_string(self) -> str:
        """What napari, its writers and menus take the layer for."""
        return "image"

    def as_layer_data_tuple(self) -> tuple[Levels, dict[str, Any], str]:
        """Describe a copy of the layer: its levels, exact and in memory.

        napari copies, splits, stacks and saves layers by this.

        Raises
        ------
        LayerTooLargeError
            If the levels are too large to be computed while the window waits.
        """
        _, state, kind = super().as_layer_data_tuple()
        return Levels([np.asarray(level) for level in self.data]), {**state, "metadata": {}}, kind

    def _get_layer_slicing_state(self, data: Any, cache: bool) -> _ImageSlicingState:
        return _PreviewSlicing(self, data, cache)

    def _reset_thumbnail_level_data(self) -> None:
        super()._reset_thumbnail_level_data()
        levels = self._data
        self._level_materializer = lambda level: np.asarray(preview(levels[level]))


class _PreviewSlicing(_ImageSlicingState):
    """Slices previews in place of exact levels; slicing is all that drawing takes."""

    def _make_slice_request_internal(self, **parts: Any) -> Any:
        request = super()._make_slice_request_internal(**parts)
        return replace(request, data_at_data_level=preview(request.data_at_data_level))


def preview(level: Any) -> Any:
    """Find what is drawn of a level: its preview, or itself where it has none."""
    return getattr(level, "preview", level)
