"""How the package starts Python processes: none imports modules from the current folder, and none outlives its parent.

A folder with slides may come from a stranger. Without precautions, ``python -m`` and ``python -c`` (which
`multiprocessing` uses) look for every module in the current folder first: a file ``psutil.py`` there would run.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_SAFE_PATH = "PYTHONSAFEPATH"
_PR_SET_PDEATHSIG = 1


def python_command(*arguments: str) -> list[str]:
    """Give the command that runs this Python without the current folder among its modules (``-P``)."""
    return [sys.executable, "-P", *arguments]


def child_environment() -> dict[str, str]:
    """Give the environment for a child: its own Python children leave out the current folder as well.

    ``PYTHONPATH`` stays, with absolute entries: an empty one stands for the current folder, and is left out.
    """
    environment = {**os.environ, _SAFE_PATH: "1"}
    entries = [str(Path(entry).absolute()) for entry in environment.pop("PYTHONPATH", "").split(os.pathsep) if entry]
    return environment | ({"PYTHONPATH": os.pathsep.join(entries)} if entries else {})


@contextlib.contextmanager
def safe_children() -> Iterator[None]:
    """Apply `child_environment` to processes that libraries start while the block runs, such as pools of workers."""
    before = {name: os.environ.get(name) for name in (_SAFE_PATH, "PYTHONPATH")}
    _set_environment({name: child_environment().get(name) for name in before})
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def end_with_parent() -> None:
    """End this `multiprocessing` child as soon as its parent has died; for the initializer of a pool.

    A pool's idle process otherwise waits for work for ever when its parent is killed.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, name="pathsrgan-parent", daemon=True).start()


def die_with_parent(parent_pid: int) -> None:
    """Have Linux kill this process when its parent dies, whatever it is doing; elsewhere do nothing.

    Linux does so when the *thread* that started the process ends: start it from one that lives as long.

    Parameters
    ----------
    parent_pid : int
        Process that started this one: if it has died already, this process ends at once.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)
