"""A home for jobs, and jobs that count."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_pathsrgan.errors import JobError
from napari_pathsrgan.jobs import process
from napari_pathsrgan.jobs.listing import Job, JobList, look_at
from napari_pathsrgan.jobs.orders import queue_job, stop_job

PATIENCE_S = 30.0
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home for jobs; what still runs in the end is killed."""
    home = tmp_path / "jobs"
    monkeypatch.setenv("PATHSRGAN_JOBS", str(home))
    monkeypatch.setenv("PATHSRGAN_MODELS", str(tmp_path / "models"))
    yield home
    for job in JobList(home).read():
        if job.state.active:
            try:
                stop_job(job, at_once=True)
            except JobError:
                continue


@pytest.fixture
def quick(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with jobs whose verbs are those of `worker`."""
    monkeypatch.setattr(process, "WORKER", (sys.executable, str(WORKER)))
    return home


@pytest.fixture
def count(quick: Path) -> Callable[..., Job]:
    """Queue a job that counts."""

    def queue(steps: int, out: str = "{result}") -> Job:
        return queue_job(["phantom", "count", str(steps), "--out", out], {"out": out}, f"Count to {steps}")

    return queue


def until(job: Job, condition: Callable[[Job], Any], patience_s: float = PATIENCE_S) -> Job:
    """Wait for something to become true of a job."""
    end = time.monotonic() + patience_s
    while not condition(seen := look_at(job.folder)):
        assert time.monotonic() < end, f"{seen.state}, {seen.progress}, {seen.record.problem}"
        time.sleep(0.02)
    return seen
