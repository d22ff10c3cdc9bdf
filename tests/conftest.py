"""What all tests share: jobs in a home of their own, and which tests need a CUDA device."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.jobs.worker import COUNT, queue_count

from napari_pathsrgan.commands.registry import registered
from napari_pathsrgan.errors import JobError
from napari_pathsrgan.jobs import process
from napari_pathsrgan.jobs.listing import Job, JobList
from napari_pathsrgan.jobs.queue import stop_job

COUNTING_WORKER = Path(__file__).parent / "jobs" / "worker.py"


os.environ["NAPARI_CONFIG"] = (
    ""  # before napari is imported: windows are laid out the same, whatever the user's is like
)


# What a property costs depends on what else the machine does; no test of one is about time.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda"):
        import torch  # here, or tests of the window's process would find it loaded

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture
def jobs_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
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
def quick_jobs(jobs_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, with jobs that count, see `jobs/worker.py`."""
    monkeypatch.setattr(process, "WORKER", (sys.executable, str(COUNTING_WORKER)))
    with registered(COUNT):
        yield jobs_home


@pytest.fixture
def count(quick_jobs: Path) -> Callable[..., Job]:
    """Queue a job that counts."""

    def queue(steps: int, out: str = "{result}") -> Job:
        return queue_count(steps, out, title=f"Count to {steps}")

    return queue


def delete_in_use(folder: Path) -> None:
    """Delete a folder that another process still writes into: what it adds meanwhile takes another round."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
