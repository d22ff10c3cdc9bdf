"""Whether memory is bounded by the setting or grows with where one has been.

Two minutes of panning in three panes over the slide of 100,000 px a side, to and fro over a place with cells and the
background around it, never the same line twice. The memory of the window's process and of the inference process is
sampled every quarter of a second; the window's tiles are bounded to 256 MiB.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise

import psutil
from browsing import Browser, browser, some_large_screen
from measure import Figure, command
from qtpy.QtCore import QTimer
from sample_slides import HUGE_PX, SLIDES_OPTION, cells_origin_um, sample_slide

from napari_pathsrgan.plugin.layers.view_kinds import SR_10, SR_20

BOUND_MIB = 256
_MIB = 2**20
_SAMPLE_MS, _STEP_MS = 250, 33
_SCREEN_MPP = 0.4
_SPEED_UM_PER_S = 400.0
_LINE_UM, _LINE_SPACING_UM = 4000.0, 330.0
"""Length of a line, a quarter of it over background, and from line to line: more than a view is high."""
_QUARTERS = 4


class Sampler:
    """Samples the memory of both processes, and counts what goes into the tile cache."""

    def __init__(self, window: Browser) -> None:
        self._window = window
        self._own = psutil.Process()
        self.window_mib: list[float] = []
        self.inference_mib: list[float] = []
        self.cache_mib: list[float] = []
        self.tiles_mib = 0.0
        keep = window.session.compute.cache.put

        def put(key: object, tile: object) -> bool:
            self.tiles_mib += tile.nbytes / _MIB  # type: ignore[attr-defined]
            return keep(key, tile)  # type: ignore[arg-type]

        window.session.compute.cache.put = put  # type: ignore[method-assign]

    def sample(self) -> None:
        """Take one sample."""
        self.window_mib.append(self._own.memory_info().rss / _MIB)
        pid = self._window.process.pid
        self.inference_mib.append(psutil.Process(pid).memory_info().rss / _MIB if pid is not None else 0.0)
        self.cache_mib.append(self._window.session.compute.cache.nbytes / _MIB)

    def peak_mib(self, begin: int, end: int) -> float:
        """Largest sum of both processes over some samples."""
        return max(map(sum, zip(self.window_mib[begin:end], self.inference_mib[begin:end], strict=True)))


def place_um(elapsed_s: float) -> tuple[float, float]:
    """Where the camera is, on its way to and fro: row and column, µm."""
    line, along = divmod(elapsed_s * _SPEED_UM_PER_S, _LINE_UM)
    if line % 2:
        along = _LINE_UM - along
    first = cells_origin_um(HUGE_PX)
    return first + 150 + line * _LINE_SPACING_UM, first - 500 + along


def measure(options: argparse.Namespace) -> list[Figure]:
    """Pan and sample."""
    path = sample_slide(options.slides, HUGE_PX)
    with some_large_screen(), browser(path, (SR_10, SR_20), memory_bytes=BOUND_MIB * _MIB) as window:
        window.look(*place_um(0.0), _SCREEN_MPP)
        window.rest()
        sampler = Sampler(window)
        hand, clock = QTimer(), QTimer()
        began = time.perf_counter()

        def move() -> None:
            window.viewer.scene.camera.center = place_um(time.perf_counter() - began)

        hand.timeout.connect(move)
        clock.timeout.connect(sampler.sample)
        hand.start(_STEP_MS)
        clock.start(_SAMPLE_MS)
        window.work_in_event_loop(options.seconds)
        hand.stop()
        clock.stop()
    samples = len(sampler.window_mib)
    ends = [samples * part // _QUARTERS for part in range(_QUARTERS + 1)]
    peaks = [sampler.peak_mib(begin, end) for begin, end in pairwise(ends)]
    told = [
        Figure(
            f"Peak memory of both processes, {options.seconds * (part + 1) / _QUARTERS:g} s",
            peak,
            "MiB",
            f"window {max(sampler.window_mib[ends[part] : ends[part + 1]]):.0f}, "
            f"inference {max(sampler.inference_mib[ends[part] : ends[part + 1]]):.0f}, "
            f"tiles {max(sampler.cache_mib[ends[part] : ends[part + 1]]):.0f} MiB in this quarter",
        )
        for part, peak in enumerate(peaks)
    ]
    return [
        *told,
        Figure(
            "Peak memory, the last quarter of the pan against the first half",
            peaks[-1] / max(peaks[: _QUARTERS // 2]),
            "×",
            f"tiles of {sampler.tiles_mib:.0f} MiB went through a cache of {BOUND_MIB} MiB",
            at_most=1.1,
        ),
        Figure(
            "Tiles in memory against the setting",
            max(sampler.cache_mib) / BOUND_MIB,
            "×",
            f"{max(sampler.cache_mib):.0f} of {BOUND_MIB} MiB",
            at_most=1.0,
        ),
    ]


if __name__ == "__main__":
    command(
        measure,
        SLIDES_OPTION,
        ("--seconds", {"type": float, "default": 120.0, "help": "length of the pan (%(default)s)"}),
    )
