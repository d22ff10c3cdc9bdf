"""Whether the window keeps up while tiles arrive: gaps between heartbeats of its main thread during a pan.

The same pan at constant speed, in turns: three panes that get sharp as it goes, and the plain 4× layer alone in the
same window. Every turn goes along a line where no tile is cached. A timer of 5 ms is the heart.
"""

from __future__ import annotations

import argparse
import time

from browsing import Browser, browser, some_large_screen
from measure import Figure, command, percentile
from qtpy.QtCore import Qt, QTimer
from sample_slides import CELLS_PX, SCAN_MPP, SLIDES_OPTION, SMALL_PX, cells_origin_um, sample_slide

from napari_pathsrgan.plugin.layers.view_kinds import SR_10, SR_20

_HEARTBEAT_MS = 5
_STEP_MS = 16
"""How often the hand that pans moves."""
_SCREEN_MPP = 0.4
_MARGIN_UM = 150.0
"""How far the pan's ends keep from the edge of the place with cells."""


class Heart:
    """Notes the gaps between the main thread's turns."""

    def __init__(self) -> None:
        self.gaps_ms: list[float] = []
        self._last: float | None = None
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        """Begin to beat."""
        self._last = None
        self._timer.start(_HEARTBEAT_MS)

    def stop(self) -> None:
        """Stop; the gaps so far remain."""
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.gaps_ms.append(1e3 * (now - self._last))
        self._last = now


def pan(window: Browser, row_um: float, seconds: float) -> list[float]:
    """Pan once over the cells along a row, and return the gaps between heartbeats, ms."""
    begin = cells_origin_um(SMALL_PX) + _MARGIN_UM
    length = CELLS_PX * SCAN_MPP - 2 * _MARGIN_UM
    window.look(row_um, begin, _SCREEN_MPP)
    window.work(at_least_s=1.0)
    heart, hand = Heart(), QTimer()
    hand.setTimerType(Qt.TimerType.PreciseTimer)
    began = time.perf_counter()

    def move() -> None:
        share = min(1.0, (time.perf_counter() - began) / seconds)
        window.viewer.scene.camera.center = (row_um, begin + share * length)

    hand.timeout.connect(move)
    hand.start(_STEP_MS)
    heart.start()
    window.work_in_event_loop(seconds)
    heart.stop()
    hand.stop()
    return heart.gaps_ms


def measure(options: argparse.Namespace) -> list[Figure]:
    """Pan in turns over three panes and over the scan alone."""
    path = sample_slide(options.slides, SMALL_PX)
    computed: list[float] = []
    plain: list[float] = []
    arrived = 0
    with some_large_screen(), browser(path, (SR_10, SR_20)) as window:
        layers = [layer for layer, _ in window.shown.views.values()]
        spacing = (CELLS_PX * SCAN_MPP - 2 * _MARGIN_UM) / (2 * options.turns + 1)
        for turn in range(options.turns):
            for number, (gaps, shown) in enumerate(((computed, True), (plain, False))):
                for layer in layers:
                    layer.visible = shown
                window.session.compute.cache.clear()
                row_um = cells_origin_um(SMALL_PX) + _MARGIN_UM + (2 * turn + number + 1) * spacing
                gaps.extend(pan(window, row_um, options.seconds))
                arrived += len(window.session.compute.cache) if shown else 0
    runs = f"{options.turns} × {options.seconds:g} s each, in turns"
    return [
        Figure(
            "Heartbeat gaps, three panes against the plain 4× layer: p99",
            percentile(computed, 99) / percentile(plain, 99),
            "×",
            f"{percentile(computed, 99):.0f} against {percentile(plain, 99):.0f} ms, {runs}",
            at_most=1.5,
        ),
        *(
            Figure(
                f"… {name}",
                of(computed) / of(plain),
                "×",
                f"{of(computed):.0f} against {of(plain):.0f} ms",
            )
            for name, of in (("p50", lambda gaps: percentile(gaps, 50)), ("longest", max))
        ),
        Figure("Tiles that arrived during the pans over three panes", arrived, "", "in the cache when each ended"),
    ]


if __name__ == "__main__":
    command(
        measure,
        SLIDES_OPTION,
        ("--seconds", {"type": float, "default": 20.0, "help": "length of a pan (%(default)s)"}),
        ("--turns", {"type": int, "default": 3, "help": "pans of each kind (%(default)s)"}),
    )
