"""What a step of a drag costs when two pictures are swiped, against the other way of doing it.

In turns, in the same window: the divider moved, which tells the graphics card where to leave pixels out; one of the two
layers sliced anew, which an array that leaves pixels out would need; and the canvas drawn with nothing changed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from browsing import Browser, browser, some_large_screen
from measure import Figure, command, percentile
from qtpy.QtWidgets import QApplication
from sample_slides import SLIDES_OPTION, SMALL_PX, cells_origin_um, sample_slide

from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.layers.view_kinds import SR_20

if TYPE_CHECKING:
    from napari_pathsrgan.plugin.compare.comparison import Comparison

_SCREEN_MPP = 0.3
_MARGIN_UM = 400.0
"""From the corner of the place with cells."""


def steps(comparison: Comparison, act: Callable[[int], None], count: int) -> list[float]:
    """Act and draw so many times: ms each."""
    took = []
    for number in range(count):
        began = time.perf_counter()
        act(number)
        comparison.canvas.update()
        QApplication.processEvents()
        took.append(1e3 * (time.perf_counter() - began))
    return took


def measure(options: argparse.Namespace) -> list[Figure]:
    """Swipe, slice and draw in turns."""
    path = sample_slide(options.slides, SMALL_PX)
    with some_large_screen(), browser(path, (SR_20,)) as window:
        comparison = _compare(window)
        layer = comparison.second
        count = options.steps
        acts: dict[str, Callable[[int], None]] = {
            "swipe": lambda number: comparison.overlay.divider_moved.emit(number / count),
            "slice": lambda _: layer.refresh(thumbnail=False, extent=False, highlight=False),
            "draw": lambda _: None,
        }
        took: dict[str, list[float]] = {name: [] for name in acts}
        for _ in range(options.turns):
            for name, act in acts.items():
                took[name] += steps(comparison, act, count)
    middle = {name: percentile(times, 50) for name, times in took.items()}
    runs = f"medians of {options.turns} × {count} steps, in turns"
    return [
        Figure(
            "A step of a swipe against drawing the canvas: time",
            middle["swipe"] / middle["draw"],
            "×",
            f"{middle['swipe']:.0f} against {middle['draw']:.0f} ms, {runs}",
        ),
        Figure(
            "A step of a swipe against slicing one layer anew: time",
            middle["swipe"] / middle["slice"],
            "×",
            f"{middle['swipe']:.0f} against {middle['slice']:.0f} ms",
            at_most=1.0,
        ),
    ]


def _compare(window: Browser) -> Comparison:
    comparison = window.widget.comparison
    comparison.set_mode(modes.SWIPE)
    place = cells_origin_um(SMALL_PX) + _MARGIN_UM
    window.look(place, place, _SCREEN_MPP)
    window.work(at_least_s=3.0)
    return comparison


if __name__ == "__main__":
    command(
        measure,
        SLIDES_OPTION,
        ("--steps", {"type": int, "default": 60, "help": "steps of a drag (%(default)s)"}),
        ("--turns", {"type": int, "default": 5, "help": "drags of each kind (%(default)s)"}),
    )
