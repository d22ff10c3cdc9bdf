"""Which areas of a super-resolved pyramid hold computed pixels; everything else in it is white on every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

RectangleUm = tuple[float, float, float, float]
"""(row, col, height, width) in µm from the slide's upper-left corner."""


@dataclass(frozen=True)
class ComputedAreas:
    """The areas of an output that are computed.

    Attributes
    ----------
    complete : bool
        Whether that is the whole slide.
    rectangles_um : tuple of (row, col, height, width)
        In µm from the slide's upper-left corner; they do not overlap.
    """

    complete: bool = False
    rectangles_um: tuple[RectangleUm, ...] = ()

    @classmethod
    def from_record(cls, record: Any) -> Self:
        """Read what `record` wrote.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is something else.
        """
        return cls(bool(record["complete"]), tuple(_rectangle(sides) for sides in record["rectangles_um"]))

    @classmethod
    def from_words(cls, words: str) -> Self:
        """Read what `in_words` wrote; ValueError if it is something else."""
        if words in ("all", "none"):
            return cls(complete=words == "all")
        return cls(False, tuple(_rectangle(part.split(",")) for part in words.split(";") if part.strip()))

    def in_words(self) -> str:
        """Return one line of ASCII: "all", "none", or each rectangle's row, col, height, width in µm."""
        return "all" if self.complete else "; ".join(map(_in_words, self.rectangles_um)) or "none"

    def record(self) -> dict[str, Any]:
        """Return the areas as plain values for JSON."""
        return {"complete": self.complete, "rectangles_um": [list(sides) for sides in self.rectangles_um]}


def _in_words(rectangle: RectangleUm) -> str:
    return ",".join(f"{side:.9g}" for side in rectangle)


def _rectangle(sides: Sequence[Any]) -> RectangleUm:
    row, col, height, width = (float(side) for side in sides)
    return row, col, height, width
