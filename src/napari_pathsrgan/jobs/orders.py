"""What can be asked of jobs: queue one, stop it, have it go on, remove it."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_pathsrgan.errors import JobError, OptionError, OutputError
from napari_pathsrgan.jobs.folder import (
    RESULT_FOLDER,
    job_number,
    jobs_home,
    request_stop,
    reserve_room,
    withdraw_stop,
    write_record,
)
from napari_pathsrgan.jobs.listing import Job, JobList, look_at, true_state
from napari_pathsrgan.jobs.process import GO, is_elsewhere, keeps_job, kill_tree, mark_process, start_keeper
from napari_pathsrgan.jobs.spec import RESULT, VERBS, JobRecord, JobSpec, State, usual_title, versions_here
from napari_pathsrgan.jobs.turns import device_of
from napari_pathsrgan.jobs.words import now
from napari_pathsrgan.private_files import private_folder

_PATIENCE_S = 20.0
_MOST_NUMBER, _MOST_TURN = 10**8, 2**52


def queue_job(
    argv: Sequence[str], config: Mapping[str, Any] | None = None, title: str = "", cwd: Path | None = None
) -> Job:
    """Queue a verb; it starts at once where its device is free, and goes on when whoever asked is gone.

    Parameters
    ----------
    argv : sequence of str
        What follows ``pathsrgan``; ``{result}`` in it stands for the job's own folder for results.
    config : mapping, optional
        The same understood, to be kept with the job.
    title : str
        What the user knows it by.
    cwd : Path, optional
        Folder that paths are seen from; the current one by default.

    Returns
    -------
    Job

    Raises
    ------
    OptionError
        If the verb is none that can be a job.
    OutputError
        If the jobs' folder can't be written.
    """
    if not argv or argv[0] not in VERBS:
        raise OptionError(f"“{argv[0] if argv else ''}” is no verb for a job.", f"Choose one of {', '.join(VERBS)}.")
    home = jobs_home()
    try:
        private_folder(home)
        with _alone(home):
            jobs = JobList(home).read()
            folder = _make_folder(home, argv[0])
            try:
                private_folder(folder / RESULT_FOLDER)
                result = str(folder / RESULT_FOLDER)
                spec = JobSpec(
                    argv=tuple(word.replace(RESULT, result) for word in argv),
                    title=title or usual_title(tuple(argv)),
                    device=device_of(argv),
                    cwd=str(cwd or Path.cwd()),
                    config=_replaced(dict(config or {}), result),
                    versions=versions_here(),
                    created=now(),
                )
                _start(folder, spec, _next_turn(jobs))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    except OSError as error:
        raise OutputError(
            f"The job can't be started in {home}: {error.strerror or error}.",
            "Free some space, or set PATHSRGAN_JOBS to another folder.",
        ) from error
    return look_at(folder)


def stop_job(job: Job, at_once: bool = False) -> None:
    """Ask a job to stop at the next checkpoint; it can go on later.

    Parameters
    ----------
    job : Job
    at_once : bool
        End its processes without waiting; what it did since its last checkpoint is lost.

    Raises
    ------
    JobError
        If it isn't running or waiting.
    """
    if not look_at(job.folder).state.active:
        raise JobError(f"The job {job.id} is not running.", "Nothing has to be stopped.")
    try:
        request_stop(job.folder)
    except OSError as error:
        raise JobError(f"The job {job.id} can't be told to stop: {error}.", "Remove its folder.") from error
    if at_once and keeps_job(job.record.process, job.folder):
        kill_tree(job.record.process)


def resume_job(job: Job) -> Job:
    """Have a job go on, with the same words, at the end of the queue.

    Raises
    ------
    JobError
        If it is done, or not stopped.
    OutputError
        If its folder can't be written.
    """
    home = job.folder.parent
    try:
        with _alone(home):
            seen = look_at(job.folder)
            if not seen.state.resumable:
                raise JobError(f"The job {job.id} is {seen.state}.", "Only one that has stopped can go on.")
            withdraw_stop(job.folder)
            _start(job.folder, seen.record.spec, _next_turn(JobList(home).read()))
    except OSError as error:
        raise OutputError(
            f"The job {job.id} can't be started: {error.strerror or error}.", "Free some space and try again."
        ) from error
    return look_at(job.folder)


def remove_job(job: Job) -> None:
    """Remove a job with its log and what lies in its own result folder.

    Raises
    ------
    JobError
        If it is running, or parts of it can't be removed.
    """
    state = true_state(job.folder, job.record)
    if state.active and not is_elsewhere(job.record.process):
        raise JobError(f"The job {job.id} is {state}.", "Stop it first.")
    gone = job.folder.with_name(f".removed-{job.folder.name}")
    try:
        job.folder.replace(gone)  # out of the list in one go; deleting may take a while
    except FileNotFoundError:
        return
    except OSError:
        gone = job.folder
    _delete(gone)


def _delete(folder: Path) -> None:
    """Delete a job's folder, also one with folders that can't be entered; a link in its place goes alone."""
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        folder.chmod(0o700)
        for parent, names, _ in os.walk(folder):
            for name in names:
                if not Path(parent, name).is_symlink():
                    Path(parent, name).chmod(0o700)
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise JobError(
            f"Parts of {folder} can't be removed ({error.strerror or error}).", "Remove that folder by hand."
        ) from error


def _start(folder: Path, spec: JobSpec, turn: int) -> None:
    """Start the job's process, write who it is, and only then let it go."""
    reserve_room(folder)
    process = start_keeper(folder)
    assert process.stdin is not None
    try:
        mark = mark_process(process.pid)
        if mark is None:
            raise OSError("the process ended at once")
        write_record(folder, JobRecord(spec, State.QUEUED, turn, mark))
        process.stdin.write(GO)
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()  # without the word it ends by itself


def _make_folder(home: Path, verb: str) -> Path:
    numbers = {job_number(path) for path in home.iterdir()}
    # A stranger's folder may have the highest number there is.
    highest = max((number for number in numbers if number < _MOST_NUMBER), default=0)
    number = next(number for number in itertools.count(highest + 1) if number not in numbers)
    folder = home / f"{number:04d}-{verb}"
    folder.mkdir(mode=0o700)
    return private_folder(folder)


def _next_turn(jobs: Sequence[Job]) -> int:
    """Give a place behind all jobs that wait or run; what a finished one had does not matter any more."""
    return 1 + max((job.record.turn for job in jobs if job.state.active and job.record.turn < _MOST_TURN), default=0)


def _replaced(config: dict[str, Any], result: str) -> dict[str, Any]:
    return {name: _plain(value, result) for name, value in config.items()}


def _plain(value: Any, result: str) -> Any:
    """Give a value that a record may hold: strict JSON has no infinity."""
    if isinstance(value, str):
        return value.replace(RESULT, result)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep others from queueing and resuming at the same moment."""
    try:
        with FileLock(home / ".orders.lock", timeout=_PATIENCE_S, mode=0o600):
            yield
    except Timeout as error:
        raise JobError("Another window is starting jobs.", "Try again in a moment.") from error
