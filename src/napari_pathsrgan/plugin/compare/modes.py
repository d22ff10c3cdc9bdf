"""Compare modes: how images of one place are compared, one object per mode.

A new mode is one `CompareMode`, given to `register_compare_mode` before the dock opens. The dock's list, the keys, the
canvas and the labels follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from napari_pathsrgan.plugin.compare.difference import difference_layer

if TYPE_CHECKING:
    from napari.layers import Image


class Handle(Enum):
    """What the mouse moves on the canvas: it is the place that the regions of a mode are measured from."""

    NONE = "none"
    DIVIDER = "divider"
    """An upright line, dragged sideways."""
    LENS = "lens"
    """A circle that follows the cursor; Alt and the wheel change its size."""


@dataclass(frozen=True)
class Label:
    """Text in a pane's upper corner.

    Attributes
    ----------
    text : str
    width_px : float
        What there is for it, margins included.
    right : bool
        In the right upper corner instead of the left.
    """

    text: str
    width_px: float
    right: bool = False


Labels = Callable[[Sequence[str], float, float], list[Label]]
"""Labels of the canvas: (label of each image, width of the canvas in pixels, x of the handle as a share of it)."""


def label_first(names: Sequence[str], width_px: float, _x: float) -> list[Label]:
    """Label the canvas with the first image's name."""
    return [Label(names[0], width_px)]


@dataclass(frozen=True)
class CompareMode:
    """How images are compared.

    Attributes
    ----------
    name : str
        In the dock's list.
    key : str
        Key that chooses it, as napari writes keys.
    tip : str
        What one sees and does, in a line.
    sides : tuple of str
        What each image that is compared is called in the dock. There are as many images as names, at most two; without
        any, all images are shown in panes side by side.
    regions : tuple of str
        GLSL condition per image: where on the canvas it is seen. ``offset`` is the vec2 of pixels from the handle, to
        the right and upwards; ``radius`` is the lens's. Images without a condition are seen everywhere.
    handle : Handle
    can_hold : bool
        Whether a key that is held shows the second image alone.
    labels : callable
        See `Labels`.
    derive : callable (first, second) -> Image, optional
        Makes a layer that is shown in place of the two.
    """

    name: str
    key: str
    tip: str
    sides: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    handle: Handle = Handle.NONE
    can_hold: bool = False
    labels: Labels = label_first
    derive: Callable[[Image, Image], Image] | None = None

    @property
    def n_images(self) -> int:
        """Number of images on the canvas; 0 for all, in panes."""
        return len(self.sides)

    @property
    def in_panes(self) -> bool:
        """Whether each image has a pane of its own."""
        return not self.sides


_MODES: dict[str, CompareMode] = {}


def register_compare_mode(mode: CompareMode) -> CompareMode:
    """Add a mode to the end of the list.

    Raises
    ------
    ValueError
        If its name or key is another mode's.
    """
    if any(mode.name == other.name or mode.key == other.key for other in _MODES.values()):
        raise ValueError(f"There is a compare mode “{mode.name}”, or one with the key {mode.key}. Choose others.")
    _MODES[mode.name] = mode
    return mode


def remove_compare_mode(mode: CompareMode) -> None:
    """Undo `register_compare_mode`."""
    del _MODES[mode.name]


def compare_modes() -> tuple[CompareMode, ...]:
    """List all modes."""
    return tuple(_MODES.values())


def _label_halves(names: Sequence[str], width_px: float, x: float) -> list[Label]:
    return [Label(names[0], width_px * x), Label(names[1], width_px * (1 - x), right=True)]


def _label_lens(names: Sequence[str], width_px: float, _x: float) -> list[Label]:
    return [Label(names[0], width_px / 2), Label(f"in the lens · {names[1]}", width_px / 2, right=True)]


SIDE_BY_SIDE = register_compare_mode(CompareMode("Side by side", "Shift+B", "one pane each, one camera (default)"))
ONE = register_compare_mode(CompareMode("One at a time", "Shift+O", "one image alone", ("Image",)))
SWIPE = register_compare_mode(
    CompareMode(
        "Swipe",
        "Shift+S",
        "drag the divider; a double-click centres it",
        ("Left", "Right"),
        regions=("offset.x < 0.0", "offset.x >= 0.0"),
        handle=Handle.DIVIDER,
        can_hold=True,
        labels=_label_halves,
    )
)
LENS = register_compare_mode(
    CompareMode(
        "Lens",
        "Shift+E",
        "the other image in a round window at the cursor; Alt and wheel change its size",
        ("Around", "In the lens"),
        regions=("dot(offset, offset) >= radius * radius", "dot(offset, offset) < radius * radius"),
        handle=Handle.LENS,
        can_hold=True,
        labels=_label_lens,
    )
)
FLICKER = register_compare_mode(
    CompareMode(
        "Flicker",
        "Shift+F",
        "hold the key to see the other image",
        ("First", "Held"),
        regions=("true", "false"),
        can_hold=True,
    )
)
DIFFERENCE = register_compare_mode(
    CompareMode(
        "Difference",
        "Shift+D",
        "how much the two differ, in grey levels, of what is on screen",
        ("First", "Minus"),
        regions=("false", "false"),
        derive=difference_layer,
    )
)
