"""A slide seen through a model: its exact pixels, and their export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.inference.exact_levels import ExactLevels
from napari_pathsrgan.inference.whole_slide import write_whole_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pathsrgan.inference.exact_levels import Runner
    from napari_pathsrgan.inference.tile_writer import WriteSummary
    from napari_pathsrgan.slides.slide import Slide


class SuperResolvedSlide(ExactLevels):
    """A slide seen through a model; see `ExactLevels` for the parameters, `levels` and `read`."""

    def export(
        self,
        path: Path | str,
        region: tuple[float, float, float, float] | Path | None = None,
        *,
        blend: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> WriteSummary:
        """Fill an OME-Zarr with what is missing, see `inference.whole_slide.write_whole_slide`."""
        return write_whole_slide(self, Path(path), region, blend=blend, progress=progress)


def super_resolve(slide: Slide, model: Runner, skip_background: bool = True) -> SuperResolvedSlide:
    """See a slide through a model; nothing is computed yet.

    Parameters
    ----------
    slide : Slide
        From `open_slide`.
    model : Runner
        From `load_model`.
    skip_background : bool
        Whether empty background takes the bicubic path, which costs no network run.

    Returns
    -------
    SuperResolvedSlide

    Raises
    ------
    SlideTooCoarseError, CardMismatchError
        If the model can't work on this slide.
    """
    return SuperResolvedSlide(slide, model, skip_background)
