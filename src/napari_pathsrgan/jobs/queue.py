"""The queue: jobs are added, stopped, resumed and removed, and wait for their device.

Jobs of one device run one after the other, in the order they were queued. No process runs the queue. Each job has its
process from the beginning; those that wait look whether they are the first in the queue, and take the device's lock,
which the system releases however its holder ends.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_pathsrgan.errors import JobError, OutputError
from napari_pathsrgan.jobs.listing import Job, JobList, current_state, read_job, timestamp
from napari_pathsrgan.jobs.process import GO, is_elsewhere, kill_tree, mark_process, start_supervisor, supervises
from napari_pathsrgan.jobs.record import (
    RESULT,
    RESULT_FOLDER,
    JobRecord,
    State,
    job_number,
    jobs_home,
    request_stop,
    reserve_room,
    versions_here,
    withdraw_stop,
    write_record,
)
from napari_pathsrgan.private_files import private_folder

AT_ONCE_VARIABLE = "PATHSRGAN_JOBS_AT_ONCE"
"""Environment variable with how many jobs may run on a device at the same time; 1 by default."""

_LOOK_AGAIN_S = 0.25
_PATIENCE_S = 20.0
_MOST_NUMBER, _MOST_POSITION = 10**8, 2**52
_GIVEN_ONCE = {"command", "options", "title", "device", "cwd", "versions", "created"}


def queue_job(
    command: str, options: Mapping[str, Any], title: str, device: str = "cpu", cwd: Path | None = None
) -> Job:
    """Queue a command; it starts at once where its device is free, and outlives whoever queued it.

    Parameters
    ----------
    command : str
        Name of the command.
    options : mapping
        All its options as JSON; ``{result}`` in them stands for the job's own folder for results.
    title : str
        What the user knows it by.
    device : str
        The device that it needs, see `queue_of`.
    cwd : Path, optional
        Folder that relative paths start from; the current one by default.

    Returns
    -------
    Job

    Raises
    ------
    OutputError
        If the jobs' folder can't be written.
    """
    home = jobs_home()
    try:
        private_folder(home)
        with _alone(home):
            jobs = JobList(home).read()
            folder = _make_folder(home, command)
            try:
                private_folder(folder / RESULT_FOLDER)
                values = {
                    "command": command,
                    "options": _filled_in(dict(options), str(folder / RESULT_FOLDER)),
                    "title": title,
                    "device": queue_of(device),
                    "cwd": str(cwd or Path.cwd()),
                    "versions": versions_here(),
                    "created": timestamp(),
                }
                _start(folder, values | {"position": _next_position(jobs)})
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    except OSError as error:
        raise OutputError(
            f"The job can't be started in {home}: {error.strerror or error}.",
            "Free some space, or set PATHSRGAN_JOBS to another folder.",
        ) from error
    return read_job(folder)


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
    if not read_job(job.folder).state.active:
        raise JobError(f"The job {job.id} is not running.", "Nothing has to be stopped.")
    try:
        request_stop(job.folder)
    except OSError as error:
        raise JobError(f"The job {job.id} can't be stopped: {error}.", "Remove its folder.") from error
    if at_once and supervises(job.record.process, job.folder):
        kill_tree(job.record.process)


def resume_job(job: Job) -> Job:
    """Resume a job, with the same options, at the end of the queue.

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
            current = read_job(job.folder)
            if not current.state.resumable:
                raise JobError(f"The job {job.id} is {current.state}.", "Only a job that has stopped can be resumed.")
            withdraw_stop(job.folder)
            again = current.record.model_dump(include=_GIVEN_ONCE)
            _start(job.folder, again | {"position": _next_position(JobList(home).read())})
    except OSError as error:
        raise OutputError(
            f"The job {job.id} can't be started: {error.strerror or error}.", "Free some space and try again."
        ) from error
    return read_job(job.folder)


def remove_job(job: Job) -> None:
    """Remove a job with its log and what lies in its own result folder.

    Raises
    ------
    JobError
        If it is running, or parts of it can't be removed.
    """
    state = current_state(job.folder, job.record)
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


def _start(folder: Path, values: Mapping[str, Any]) -> None:
    """Start the job's process, write its identity into the record, and only then let it run.

    Parameters
    ----------
    folder : Path
    values : mapping
        What the record holds beside the state and the process.
    """
    reserve_room(folder)
    process = start_supervisor(folder)
    assert process.stdin is not None
    try:
        mark = mark_process(process.pid)
        if mark is None:
            raise OSError("the process ended at once")
        write_record(folder, JobRecord.queued(**values, process=mark))
        process.stdin.write(GO)
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()  # without GO it ends by itself


def _make_folder(home: Path, command: str) -> Path:
    numbers = {job_number(path) for path in home.iterdir()}
    # A stranger's folder may have the highest number there is.
    highest = max((number for number in numbers if number < _MOST_NUMBER), default=0)
    number = next(number for number in itertools.count(highest + 1) if number not in numbers)
    folder = home / f"{number:04d}-{command.replace(' ', '-')}"
    folder.mkdir(mode=0o700)
    return private_folder(folder)


def _next_position(jobs: Sequence[Job]) -> int:
    """Give a position behind all jobs that wait or run; what a finished one had does not matter any more."""
    return 1 + max(
        (job.record.position for job in jobs if job.state.active and job.record.position < _MOST_POSITION), default=0
    )


def _filled_in(value: Any, result: str) -> Any:
    """Give JSON that a record may hold: with the job's own folder, and without infinity, which strict JSON lacks."""
    if isinstance(value, dict):
        return {name: _filled_in(part, result) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled_in(part, result) for part in value]
    if isinstance(value, str):
        return value.replace(RESULT, result)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep others from queueing and resuming at the same moment."""
    try:
        with FileLock(home / ".commands.lock", timeout=_PATIENCE_S, mode=0o600):
            yield
    except Timeout as error:
        raise JobError("Another window is starting jobs.", "Try again in a moment.") from error


# ---------------------------------------------------------------------- waiting for a device


def queue_of(device: str) -> str:
    """Name the queue of a device, without asking torch: "cpu", "cuda:0" or "mps".

    Parameters
    ----------
    device : str
        As it is given to a command: auto, cpu, cuda, cuda:1 or mps.
    """
    device = _best_device() if device == "auto" else device
    return "cuda:0" if device == "cuda" else re.sub(r"[^A-Za-z0-9_:.-]", "_", device)[:64] or "cpu"


def _best_device() -> str:
    if shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists():
        return "cuda"
    return "mps" if sys.platform == "darwin" and os.uname().machine == "arm64" else "cpu"


@contextmanager
def device_of(folder: Path) -> Iterator[None]:
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
    """Take a place on the device if this job is the first in its queue; give the lock."""
    listed = jobs.read()
    mine = next((job for job in listed if job.folder == folder), None)
    if mine is None:
        return None
    device, place = mine.record.device, mine.record.position
    for other in listed:
        waits = other.state is State.QUEUED and other.record.device == device
        waits = waits and not is_elsewhere(other.record.process)  # that machine has devices of its own
        if waits and other.record.position < place:
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
    allowed = os.environ.get(AT_ONCE_VARIABLE, "")
    return max(1, int(allowed)) if allowed.isdigit() else 1
