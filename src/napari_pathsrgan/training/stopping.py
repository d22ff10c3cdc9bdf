"""SIGTERM and SIGINT, taken as a wish to stop at a checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def signals_to(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Hand SIGTERM and SIGINT to a function for a while; outside the main thread, where none arrive, do nothing.

    Parameters
    ----------
    handler : callable (number, frame)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
