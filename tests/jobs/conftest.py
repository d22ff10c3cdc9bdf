"""Waiting for jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from napari_pathsrgan.jobs.listing import Job, read_job

PATIENCE_S = 30.0


def until(job: Job, condition: Callable[[Job], Any], patience_s: float = PATIENCE_S) -> Job:
    """Wait for something to become true of a job."""
    end = time.monotonic() + patience_s
    while not condition(seen := read_job(job.folder)):
        assert time.monotonic() < end, f"{seen.state}, {seen.progress}, {seen.record.problem}"
        time.sleep(0.02)
    return seen
