"""Have the C library keep the memory that every window needs again, rather than give it back and fetch it anew."""

from __future__ import annotations

import contextlib
import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
"""glibc's names for them, see mallopt(3)."""


def keep_memory() -> None:
    """Raise glibc's thresholds in this process; nothing happens where there is another C library.

    A network's features are tens of MB, which glibc maps and unmaps one by one: thousands of page faults a window
    (`inference.process` does the same by the environment of the process that it starts).
    Threads of the network share one arena, or each would keep what only some of them need at a time: ours, measured
    with `benchmarks/tile_loops.py` on 8,960 × 8,960 px of 20×: a peak of 1157 instead of 1561 MiB.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_THRESHOLD, 1 << 25)
        mallopt(_TRIM_THRESHOLD, 1_000_000_000)
        mallopt(_TOP_PAD, 1 << 26)
        mallopt(_ARENA_MAX, 1)
