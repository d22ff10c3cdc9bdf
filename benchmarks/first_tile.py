"""How soon a view is sharp after it settles, and whether a slide's size matters.

A real window, one pane of 1920 × 1080 px with SR-20× at 0.293 µm per screen pixel, over cells without background
between them; the process is warm, no tile of the places visited is cached. The same on a slide of 4,000 px and of
100,000 px a side, opened in turns. Seconds count from the camera's jump to the redraw that shows the tiles.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from browsing import MPP_20, Browser, browser, some_large_screen
from measure import Figure, command, paired_ratio
from sample_slides import HUGE_PX, SLIDES_OPTION, SMALL_PX, cells_origin_um, sample_slide

from napari_pathsrgan.plugin.layers.view_kinds import SR_20

_FIRST_UM = (190.0, 310.0)
"""Centre of the first view, from the corner of the place with cells: the whole view lies on cells."""
_PITCH_UM = (770.0, 1020.0)
"""From view to view: with the ring of tiles that is fetched ahead, none has a tile of another."""


def visit(window: Browser, side_px: int, place: int) -> tuple[float, float, int]:
    """Jump to a place and wait until it is sharp.

    Returns
    -------
    first_s, all_s : float
        Seconds to the first sharp tile, and to the last.
    drawings : int
        How often the canvas was drawn until the first.
    """
    origin = cells_origin_um(side_px)
    row, col = divmod(place, 3)
    window.rest()
    window.look(origin + _FIRST_UM[0] + row * _PITCH_UM[0], origin + _FIRST_UM[1] + col * _PITCH_UM[1], MPP_20)
    before = window.drawings
    first = window.work(lambda: window.drawn > 0)
    drawings = window.drawings - before
    rest = window.work(lambda: window.drawn == window.session.progress()[1])
    return first, first + rest, drawings


def measure(options: argparse.Namespace) -> list[Figure]:
    """Open the two slides in turns and visit the same places on both."""
    paths = {side_px: sample_slide(options.slides, side_px) for side_px in (SMALL_PX, HUGE_PX)}
    opened: dict[int, list[float]] = {SMALL_PX: [], HUGE_PX: []}
    first: dict[int, list[float]] = {SMALL_PX: [], HUGE_PX: []}
    whole: dict[int, list[float]] = {SMALL_PX: [], HUGE_PX: []}
    drawings: list[int] = []
    drawing: list[float] = []
    with some_large_screen():
        _open(paths[SMALL_PX])  # imports, OpenGL and the file system's cache
        for _ in range(options.turns):
            for side_px, path in paths.items():
                with browser(path, (SR_20,), show_scan=False) as window:
                    opened[side_px].append(window.opened_s)
                    visit(window, side_px, options.places)  # the first window of a size prepares the network's kernels
                    for place in range(options.places):
                        first_s, all_s, drawn = visit(window, side_px, place)
                        drawings.append(drawn)
                        first[side_px].append(first_s)
                        whole[side_px].append(all_s)
                    window.rest()
                    drawing += [window.draw() for _ in range(options.places)]
    runs = f"median of {options.turns} × {options.places} views"
    return [
        Figure("First sharp tile of SR-20× after the view settles", _median(first, SMALL_PX), "s", runs, at_most=0.3),
        Figure(
            "… of which drawing the canvas once, with nothing new and no network",
            statistics.median(drawing) / _median(first, SMALL_PX),
            "×",
            f"{1e3 * statistics.median(drawing):.0f} ms; {statistics.median(drawings):g} times until that tile is seen",
        ),
        Figure("1920 × 1080 px of SR-20× sharp", _median(whole, SMALL_PX), "s", runs, at_most=1.5),
        Figure(
            "First sharp tile, slide of 100,000 px against 4,000 px",
            paired_ratio(first[HUGE_PX], first[SMALL_PX]),
            "×",
            f"{1e3 * _median(first, HUGE_PX):.0f} against {1e3 * _median(first, SMALL_PX):.0f} ms, {runs}",
            at_most=1.3,
        ),
        Figure(
            "Whole view sharp, slide of 100,000 px against 4,000 px",
            paired_ratio(whole[HUGE_PX], whole[SMALL_PX]),
            "×",
            f"{_median(whole, HUGE_PX):.2f} against {_median(whole, SMALL_PX):.2f} s",
        ),
        Figure(
            "Opening in three panes, slide of 100,000 px against 4,000 px",
            paired_ratio(opened[HUGE_PX], opened[SMALL_PX]),
            "×",
            f"{_median(opened, HUGE_PX):.2f} against {_median(opened, SMALL_PX):.2f} s, {options.turns} turns",
            at_most=1.3,
        ),
    ]


def _median(seconds: dict[int, list[float]], side_px: int) -> float:
    return statistics.median(seconds[side_px])


def _open(path: Path) -> None:
    with browser(path):
        pass


if __name__ == "__main__":
    command(
        measure,
        SLIDES_OPTION,
        ("--turns", {"type": int, "default": 3, "help": "how often each slide is opened (%(default)s)"}),
        ("--places", {"type": int, "default": 8, "help": "views per opening, at most 11 (%(default)s)"}),
    )
