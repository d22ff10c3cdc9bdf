"""Whose turn it is: jobs of one device run one after the other, in the order they were queued.

There is nobody who runs the queue. Each job has its process from the beginning; those that wait look whether they are
the first in line, and take the device's lock, which the system gives back however its holder ends.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from napari_pathsrgan.jobs.listing import JobList
from napari_pathsrgan.jobs.process import is_elsewhere
from napari_pathsrgan.jobs.spec import State

AT_ONCE_VARIABLE = "PATHSRGAN_JOBS_AT_ONCE"
"""Environment variable with how many jobs may run on a device at the same time; 1 by default."""

_LOOK_AGAIN_S = 0.25
_ON_CPU = ("register", "accuracy", "phantom")


def device_of(argv: Sequence[str]) -> str:
    """Name the device that a job will use, without asking torch: "cpu", "cuda:0" or "mps"."""
    if argv[0] in _ON_CPU:
        return "cpu"
    told = "auto"
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name == ("--accelerator" if argv[0] == "train" else "--device"):
            told = value or following
    if told == "auto":
        told = _best_device()
    return "cuda:0" if told == "cuda" else re.sub(r"[^A-Za-z0-9_:.-]", "_", told)[:64] or "cpu"


def _best_device() -> str:
    if shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists():
        return "cuda"
    return "mps" if sys.platform == "darwin" and os.uname().machine == "arm64" else "cpu"


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait until a job may use its device, and keep it while the block runs.

    Parameters
    ----------
    folder : Path
        Of the job.
    """
    home, jobs = folder.parent, JobList(folder.parent)
    while (lock := _take(home, jobs, folder)) is None:
        time.sleep(_LOOK_AGAIN_S)
    try:
        yield
    finally:
        lock.release()


def _take(home: Path, jobs: JobList, folder: Path) -> FileLock | None:
    """Take a place on the device if this job is the first in line; give its lock."""
    listed = jobs.read()
    mine = next((job for job in listed if job.folder == folder), None)
    if mine is None:
        return None
    device, place = mine.record.spec.device, mine.record.turn
    for other in listed:
        waits = other.state is State.QUEUED and other.record.spec.device == device
        waits = waits and not is_elsewhere(other.record.process)  # that machine has devices of its own
        if waits and other.record.turn < place:
            return None
    for number in range(places_on_a_device()):
        lock = FileLock(home / f".{device.replace(':', '-')}-{number}.{platform.node()}.lock", mode=0o600)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        return lock
    return None


def places_on_a_device() -> int:
    """How many jobs may run on a device at the same time."""
    told = os.environ.get(AT_ONCE_VARIABLE, "")
    return max(1, int(told)) if told.isdigit() else 1
