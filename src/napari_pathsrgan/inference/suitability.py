"""Whether a model can work on a slide, by the model's card. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pathsrgan.errors import CardMismatchError, SlideTooCoarseError
from napari_pathsrgan.slides.computed import refuse_computed
from napari_pathsrgan.slides.foreground import REACH_PX

if TYPE_CHECKING:
    from napari_pathsrgan.models.card import ModelCard
    from napari_pathsrgan.slides.slide import Slide

COARSEST_RATIO = 1.15
"""How much coarser than the scans a model was made for a slide may be."""
_NOMINAL_MAGNIFICATION_UM = 5.86
"""Camera pixel of the paper's scanners: magnification times µm per pixel."""


def refuse_unsuitable(slide: Slide, card: ModelCard) -> None:
    """Raise the error that says why a model can't work on a slide, if it can't.

    Parameters
    ----------
    slide : Slide
    card : ModelCard

    Raises
    ------
    ComputedSlideError
        If the slide is a computed image or a map.
    CardMismatchError
        If the model's pixel sizes contradict each other, or it has too little context.
    SlideTooCoarseError
        If the slide was scanned more coarsely than the model can make sense of.
    """
    refuse_computed(slide.path, slide.computed)
    card.check_ratios()
    if slide.mpp > card.mpp_scan * COARSEST_RATIO:
        raise SlideTooCoarseError(
            f"{slide.path.name} has {slide.mpp:.3g} µm/px, about "
            f"{_NOMINAL_MAGNIFICATION_UM / slide.mpp:.2g}×; the model “{card.name}” needs a scan of "
            f"{card.mpp_scan:g} µm/px (4×) or finer.",
            "Scan the slide at 4× or more, or give its true pixel size with --mpp.",
        )
    if card.halo_lr_px < REACH_PX:
        raise CardMismatchError(
            f"The model “{card.name}” asks for {card.halo_lr_px} px of context, less than the {REACH_PX} px that "
            "finding background takes.",
            f"Set halo_lr_px on its card to {REACH_PX} or more.",
        )
