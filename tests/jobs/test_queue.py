"""What can be asked of jobs, and how they go."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from napari_pathsrgan.errors import JobError
from napari_pathsrgan.jobs.listing import Job, JobList, describe_progress, find_job, read_job
from napari_pathsrgan.jobs.queue import queue_of, remove_job, resume_job, stop_job
from napari_pathsrgan.jobs.record import State, log_tail

from .conftest import until
from .worker import queue_count


def test_a_job_runs_to_its_end(count: Callable[..., Job]) -> None:
    job = count(20)
    assert job.state is State.QUEUED
    done = until(job, lambda job: job.state is State.DONE)
    assert done.record.code == 0
    assert done.progress is not None
    assert done.progress.share == 1
    assert (done.folder / "result" / "checkpoint").read_text() == "20"
    assert done.out == done.folder / "result"
    assert {"python", "napari-pathsrgan"} <= done.record.versions.keys()
    assert describe_progress(done).startswith("took")


def test_it_has_a_session_of_its_own_and_gives_way(count: Callable[..., Job]) -> None:
    job = until(count(1000), lambda job: job.state is State.RUNNING)
    pid = job.record.process.pid
    assert os.getsid(pid) == pid
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10


def test_stop_and_resume_lose_nothing(count: Callable[..., Job]) -> None:
    job = until(count(120), lambda job: job.progress and job.progress.done > 15)
    began = time.monotonic()
    stop_job(job)
    assert read_job(job.folder).state is State.STOPPING
    stopped = until(job, lambda job: job.state is State.STOPPED)
    assert time.monotonic() - began < 2
    at = int((job.folder / "result" / "checkpoint").read_text())
    assert 15 < at < 120
    assert stopped.progress is not None
    assert stopped.progress.done <= at
    with pytest.raises(JobError, match="not running"):
        stop_job(stopped)
    resume_job(stopped)
    done = until(job, lambda job: job.state is State.DONE)
    assert f"begins at {at}" in log_tail(done.folder)
    with pytest.raises(JobError, match="is done"):
        resume_job(done)


def test_one_at_a_time_in_the_order_they_were_queued(count: Callable[..., Job]) -> None:
    first, second, third = count(60), count(5), count(5)
    until(first, lambda job: job.state is State.RUNNING)
    assert read_job(second.folder).state is read_job(third.folder).state is State.QUEUED
    assert describe_progress(read_job(second.folder)) == "waiting"
    stop_job(second)
    until(second, lambda job: job.state is State.STOPPED)
    resume_job(second)  # now behind the third
    until(third, lambda job: job.state is State.DONE)
    assert read_job(first.folder).state is State.DONE
    until(second, lambda job: job.state is State.DONE)
    rows = [(read_job(job.folder).folder / "progress.jsonl").stat().st_mtime_ns for job in (first, third, second)]
    assert rows == sorted(rows)


def test_more_at_once_where_that_is_allowed(count: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHSRGAN_JOBS_AT_ONCE", "2")
    jobs = [count(500), count(500)]
    for job in jobs:
        until(job, lambda job: job.state is State.RUNNING)


def test_a_failure_has_its_sentence(quick_jobs: Path) -> None:
    failed = until(queue_count(ending="fail"), lambda job: not job.state.active)
    assert failed.state is State.FAILED
    assert failed.record.problem == "The scans show different slides. Check the names."
    assert describe_progress(failed) == failed.record.problem
    crashed = until(queue_count(ending="crash"), lambda job: not job.state.active)
    assert crashed.state is State.FAILED
    assert "because of a defect" in crashed.record.problem
    assert "Traceback" in log_tail(crashed.folder)
    vanished = until(queue_count(ending="vanish"), lambda job: not job.state.active)
    assert vanished.state is State.INTERRUPTED
    assert vanished.record.problem == "It exited without an error message (exit code 3). See its log."


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "It was killed (SIGKILL), as the system does when memory runs out."),
        (signal.SIGSEGV, "It crashed (SIGSEGV). Its log says where."),
        (signal.SIGUSR1, "It was ended by the signal SIGUSR1."),
    ],
)
def test_what_is_known_of_a_death_is_told(quick_jobs: Path, number: int, said: str) -> None:
    job = queue_count(ending=str(int(number)))
    dead = until(job, lambda job: not job.state.active)
    assert dead.state is State.INTERRUPTED
    assert dead.record.problem.startswith(said)
    assert describe_progress(dead).startswith(said)
    assert ("worker.py" in log_tail(dead.folder)) == (number == signal.SIGSEGV)
    again = until(resume_job(dead), lambda job: not job.state.active)
    assert again.record.problem == dead.record.problem


def test_a_worker_ends_with_its_supervisor(count: Callable[..., Job]) -> None:
    job = until(count(1000), lambda job: job.state is State.RUNNING)
    supervisor = psutil.Process(job.record.process.pid)
    (worker,) = supervisor.children()
    assert worker.nice() >= 10
    supervisor.kill()
    assert not psutil.wait_procs([worker], timeout=5)[1]
    assert read_job(job.folder).state is State.INTERRUPTED


def test_a_signal_is_handed_on_and_the_checkpoint_written(count: Callable[..., Job]) -> None:
    job = until(count(1000), lambda job: job.progress and job.progress.done > 15)
    os.kill(job.record.process.pid, signal.SIGTERM)
    ended = until(job, lambda job: not job.state.active)
    assert ended.state is State.INTERRUPTED
    assert ended.record.problem == ""
    assert int((job.folder / "result" / "checkpoint").read_text()) > 15


def test_removing_takes_the_folder_away(count: Callable[..., Job]) -> None:
    job = until(count(1000), lambda job: job.state is State.RUNNING)
    with pytest.raises(JobError, match="Stop it first"):
        remove_job(job)
    stop_job(job)
    remove_job(until(job, lambda job: not job.state.active))
    assert not job.folder.exists()
    assert JobList().read() == []
    with pytest.raises(JobError, match="no job"):
        find_job(str(job.number))


@pytest.mark.parametrize(
    ("device", "queue"), [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("mps", "mps"), ("../x", ".._x")]
)
def test_each_device_has_a_queue(device: str, queue: str) -> None:
    assert queue_of(device) == queue
