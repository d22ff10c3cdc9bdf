"""Commands about jobs: run, list, show, log, stop, resume, remove."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from napari_pathsrgan.commands.command import POSITIONAL, Command, CommandGroup, Options
from napari_pathsrgan.commands.option_text import command_line, validated
from napari_pathsrgan.commands.output import columns, print_result
from napari_pathsrgan.commands.registry import find_job_command
from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.jobs.listing import JobList, describe_progress, find_job
from napari_pathsrgan.jobs.queue import queue_job, remove_job, resume_job, stop_job
from napari_pathsrgan.jobs.record import log_tail

if TYPE_CHECKING:
    from napari_pathsrgan.jobs.listing import Job
    from napari_pathsrgan.jobs.record import JobRecord

GROUP = CommandGroup("jobs", "Run commands in the background: they go on when the window or the terminal is closed.")

_Typed = Parameter(allow_leading_hyphen=True)


def queue_command(command: Command[Any], values: Mapping[str, Any], title: str = "", cwd: Path | None = None) -> Job:
    """Queue a command as a job.

    Parameters
    ----------
    command : Command
    values : mapping
        Its options.
    title : str
        What the user knows the job by; the command and a file by default.
    cwd : Path, optional
        Folder that relative paths start from; the current one by default.

    Raises
    ------
    PathSRGANError
        If an option is wrong, or the job can't be started.
    """
    options = validated(command.options, values)
    device = "cpu" if command.device is None else command.device(options)
    return queue_job(command.name, options.model_dump(mode="json"), title or command.title(options), device, cwd)


def saved_command_line(record: JobRecord) -> str:
    """Write what a record runs as a command to copy; the reason where its options are wrong."""
    try:
        command = find_job_command(record.command)
        return command_line(command, validated(command.options, record.options))
    except PathSRGANError as error:
        return str(error)


class RunOptions(Options):
    """What is queued.

    Attributes
    ----------
    command : tuple of str
        The command and what follows it; {result} stands for the job's own folder for results.
    title : str, optional
        What you know the job by.
    """

    command: Annotated[tuple[str, ...], POSITIONAL, _Typed] = ()
    title: str | None = None


def run(options: RunOptions, as_json: bool) -> None:
    """Queue a command with its options, such as `pathsrgan jobs run train --pairs ward-3.zarr --out ward-3`.

    One job at a time runs on each device; PATHSRGAN_JOBS_AT_ONCE allows more.
    """
    from napari_pathsrgan.commands.app import parse

    name, *words = options.command or ("",)
    command = find_job_command(name)
    job = queue_command(command, parse(command, words), options.title or "")
    print_result(_record(job), [f"Queued: {job.id}. Follow it with `pathsrgan jobs show {job.number}`."], as_json)


def list_jobs(_: Options, as_json: bool) -> None:
    """List all jobs, the newest first."""
    found = JobList().read()
    rows = [(str(job.number), job.state, describe_progress(job), job.record.title) for job in found]
    print_result([_record(job) for job in found], columns(rows) if rows else ["No jobs."], as_json)


class JobOptions(Options):
    """Which job.

    Attributes
    ----------
    job : str
        Its number.
    """

    job: Annotated[str, POSITIONAL]


def show(options: JobOptions, as_json: bool) -> None:
    """Show what a job does, how far it is, and with which settings."""
    found = find_job(options.job)
    record = found.record
    rows = [
        ("Job", found.id),
        ("Title", record.title),
        ("State", found.state),
        ("Progress", describe_progress(found)),
        ("Command", saved_command_line(record) if record.command else ""),
        ("Started from", record.cwd),
        ("Folder", str(found.folder)),
        ("Queued", record.created),
        ("Started", record.started),
        ("Ended", record.ended),
        ("Problem", record.problem),
        *((name, str(value)) for name, value in {**record.options, **record.versions}.items()),
    ]
    print_result(_record(found), columns([row for row in rows if row[1]]), as_json)


class LogOptions(JobOptions):
    """Which part of the log.

    Attributes
    ----------
    lines : int
        At most so many.
    """

    lines: int = Field(default=50, ge=1)


def log(options: LogOptions, _: bool) -> None:
    """Print the end of what a job has printed."""
    print(log_tail(find_job(options.job).folder, options.lines))


class StopOptions(JobOptions):
    """How a job is stopped.

    Attributes
    ----------
    now : bool
        End it without a checkpoint.
    """

    now: bool = False


def stop(options: StopOptions, as_json: bool) -> None:
    """Have a job write a checkpoint and stop."""
    found = find_job(options.job)
    stop_job(found, options.now)
    lines = [f"Stopping: {found.id}. `pathsrgan jobs resume {found.number}` goes on."]
    print_result(_record(find_job(found.id)), lines, as_json)


def resume(options: JobOptions, as_json: bool) -> None:
    """Resume a stopped, interrupted or failed job where it was."""
    found = resume_job(find_job(options.job))
    print_result(_record(found), [f"Queued: {found.id}"], as_json)


def remove(options: JobOptions, as_json: bool) -> None:
    """Remove a job, its log, and what it has written into its own result folder."""
    found = find_job(options.job)
    remove_job(found)
    print_result({"removed": found.id}, [f"Removed: {found.id}"], as_json)


class WorkOptions(Options):
    """Whose process this is.

    Attributes
    ----------
    folder : Path
        The job's.
    """

    folder: Annotated[Path, POSITIONAL]


def work(options: WorkOptions, _: bool) -> int:
    """Be the process of a job; started by its supervisor."""
    from napari_pathsrgan.commands.app import run_saved
    from napari_pathsrgan.jobs.supervisor import work as do_work

    return do_work(options.folder, lambda record: run_saved(record.command, record.options))


def _record(job: Job) -> dict[str, Any]:
    progress = job.progress
    return {
        "id": _readable(job.id),
        "number": job.number,
        "folder": _readable(str(job.folder)),
        **job.record.model_dump(),
        "state": str(job.state),
        "progress": None if progress is None else {**vars(progress), "share": progress.share},
    }


def _readable(name: str) -> str:
    """Give a file's name as UTF-8, also one that is none."""
    return os.fsencode(name).decode("utf-8", "replace")


RUN = Command(name="jobs run", options=RunOptions, run=run)
LIST = Command(name="jobs list", options=Options, run=list_jobs)
SHOW = Command(name="jobs show", options=JobOptions, run=show)
LOG = Command(name="jobs log", options=LogOptions, run=log, prints_json=False)
STOP = Command(name="jobs stop", options=StopOptions, run=stop)
RESUME = Command(name="jobs resume", options=JobOptions, run=resume)
REMOVE = Command(name="jobs remove", options=JobOptions, run=remove)
WORK = Command(name="jobs work", options=WorkOptions, run=work, prints_json=False, hidden=True)
