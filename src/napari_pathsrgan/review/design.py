"""What a review shows: which patches are drawn, and what each rater sees in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import OptionError

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

Mode = Literal["single", "pair"]

GREY = 128
"""Grey level of the window around every image: neutral, and half as bright as a slide's background."""

_QUESTIONS = {
    "single": "How good is this image? Judge whether it is clear and whether its texture looks natural.",
    "pair": "Which of the two images is better: clearer, and more natural in its texture?",
}
MAX_TEXT = 4000
"""Characters of a title or a question."""


@dataclass(frozen=True)
class Design:
    """How a review is made up.

    Attributes
    ----------
    title : str
        What raters see above the first page.
    mode : {"single", "pair"}
        One image at a time, rated 1 to 5, or two of the same field, of which the better is chosen.
    patches : int
        Fields to rate, each in every method.
    repeats : int
        Images that each rater sees a second time, not knowing, to measure how consistent they are.
    warm_up : int
        Images to get used to it before the first that counts; of other fields.
    anchors : int
        Examples each of 1 and of 5 on the first page; of other fields.
    question : str
        What raters are asked; by default the paper's clarity and natural texture (Ma et al. 2020, § IV).
    zoom : int
        Screen pixels per image pixel, the same for every rater.
    seed : int
        Of what is drawn.
    """

    title: str = "Review"
    mode: Mode = "single"
    patches: int = 20
    repeats: int = 6
    warm_up: int = 3
    anchors: int = 2
    question: str = ""
    zoom: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"patches": 1, "repeats": 0, "warm_up": 0, "anchors": 0, "zoom": 1, "seed": 0}.items():
            value = getattr(self, name)
            if value < least:
                raise OptionError(f"A review can't have {name} {value}.", f"Give at least {least}.")
        if not self.title.isprintable() or not all(one.isprintable() or one in "\n\t" for one in self.question):
            raise OptionError("The title or the question has characters that can't be shown.", "Leave them out.")
        if max(len(self.title), len(self.question)) > MAX_TEXT:
            raise OptionError(f"The title or the question is longer than {MAX_TEXT} characters.", "Shorten it.")

    @property
    def fields_needed(self) -> int:
        """Fields to draw: to rate, to warm up and to show as examples; none is used twice."""
        return self.patches + self.warm_up + (self.anchors if self.mode == "single" else 0)

    @property
    def asked(self) -> str:
        """The question, or the one that belongs to the mode."""
        return self.question or _QUESTIONS[self.mode]


@dataclass(frozen=True)
class PatchSet:
    """One field as every method shows it.

    Attributes
    ----------
    name : str
        Tells it from every other, for the organiser alone.
    images : mapping of str to (H, W, 3) uint8
        By method; all of one size.
    label : str
        Class of the cells in it; empty without one.
    slide : str
    measures : mapping of str to mapping of str to float
        By method, what was measured against the real image: ``psnr`` (dB), ``ssim``.
    """

    name: str
    images: Mapping[str, Pixels]
    label: str = ""
    slide: str = ""
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def draw_stratified(strata: Sequence[Any], count: int, seed: int) -> list[int]:
    """Draw so that every stratum has as equal a share as it has members for.

    Parameters
    ----------
    strata : sequence of hashable, (N,)
        Which stratum each candidate belongs to.
    count : int
        How many to draw.
    seed : int

    Returns
    -------
    list of int
        Distinct indices in random order.

    Raises
    ------
    OptionError
        If there are fewer candidates.
    """
    if len(strata) < count:
        raise OptionError(
            f"The review needs {count} fields with cells, for rating, warm-up and examples, but there are"
            f" {len(strata)}.",
            "Give more slides or regions, or ask for fewer with --patches, --warm-up or --anchors.",
        )
    rng = np.random.default_rng(seed)
    members: dict[Any, list[int]] = {}
    for index in rng.permutation(len(strata)).tolist():
        members.setdefault(strata[index], []).append(index)
    drawn: list[int] = []
    while len(drawn) < count:
        # A turn for every stratum; their order changes from turn to turn, so that the last one cut short is nobody's.
        turn = [own.pop() for own in members.values() if own]
        drawn += [turn[place] for place in rng.permutation(len(turn))][: count - len(drawn)]
    return drawn


def foreground_strata(labels: Sequence[str], foreground: npt.NDArray[np.floating[Any]]) -> list[tuple[str, int]]:
    """Sort candidates by class and by how much of them is cells: the lower, middle or upper third.

    Parameters
    ----------
    labels : sequence of str, (N,)
    foreground : (N,) float
        Share of cells, 0 to 1.

    Returns
    -------
    list of (str, int)
        For `draw_stratified`.
    """
    if len(labels) == 0:
        return []
    thirds = np.searchsorted(np.quantile(foreground, (1 / 3, 2 / 3)), foreground)
    return list(zip(map(str, labels), thirds.tolist(), strict=True))
