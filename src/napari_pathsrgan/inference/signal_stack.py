"""A thread's alternate signal stack, kept from libraries that change it and later take its memory away."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator


class _Stack(ctypes.Structure):
    """``stack_t`` of sigaltstack(2) on Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Give the thread its alternate signal stack back at the end of the block; on other systems do nothing.

    OpenVINO's plugin for CPUs sets one of its own in whichever thread loads it, and unmaps it when the plugin goes.
    Python takes its signals there: Ctrl-C or SIGTERM would then end the program by SIGSEGV.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    sigaltstack = ctypes.CDLL(None).sigaltstack
    before = _Stack()
    known = sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            sigaltstack(ctypes.byref(before), None)
