"""The ways of looking at pictures against each other."""

from __future__ import annotations

from enum import Enum

from napari_pathsrgan.plugin.compare.clip_filter import Part


class CompareMode(Enum):
    """How pictures are looked at."""

    SIDE_BY_SIDE = "Side by side"
    ONE = "One at a time"
    SWIPE = "Swipe"
    LENS = "Lens"
    FLICKER = "Flicker"
    DIFFERENCE = "Difference"

    @property
    def of_two(self) -> bool:
        """Whether two pictures lie on each other."""
        return self not in (CompareMode.SIDE_BY_SIDE, CompareMode.ONE)

    @property
    def may_hold(self) -> bool:
        """Whether a key that is held shows the second picture whole."""
        return self in (CompareMode.SWIPE, CompareMode.LENS, CompareMode.FLICKER)

    def parts(self, held: bool) -> tuple[Part, Part]:
        """Where the first and the second picture are seen; with the key held, the second everywhere."""
        if held:
            return Part.NONE, Part.ALL
        return {
            CompareMode.SWIPE: (Part.LEFT, Part.RIGHT),
            CompareMode.LENS: (Part.OUTSIDE, Part.INSIDE),
            CompareMode.FLICKER: (Part.ALL, Part.NONE),
            CompareMode.DIFFERENCE: (Part.NONE, Part.NONE),
        }.get(self, (Part.ALL, Part.ALL))
