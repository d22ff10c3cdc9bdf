"""Verbs about jobs: run, list, show, log, stop, resume, remove."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from napari_pathsrgan.commands.report import Json, columns, tell
from napari_pathsrgan.jobs.words import command_line, progress_in_words

if TYPE_CHECKING:
    from napari_pathsrgan.jobs.listing import Job

app = App(name="jobs", help="Run verbs in the background: they go on when the window or the terminal is closed.")


@app.command
def run(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)], title: str | None = None, json: Json = False
) -> None:
    """Queue a verb with its options, such as `pathsrgan jobs run train --pairs ward-3.zarr --out ward-3`.

    One job at a time runs on each device; PATHSRGAN_JOBS_AT_ONCE allows more.

    Parameters
    ----------
    command
        The verb and what follows it; {result} stands for the job's own folder for results.
    title
        What you know the job by.
    """
    from napari_pathsrgan.commands.verb_options import understand
    from napari_pathsrgan.jobs.orders import queue_job

    job = queue_job(command, understand(command), title or "")
    tell(_record(job), [f"Queued: {job.id}. Follow it with `pathsrgan jobs show {job.number}`."], json)


@app.command(name="list")
def list_jobs(*, json: Json = False) -> None:
    """List all jobs, the newest first."""
    from napari_pathsrgan.jobs.listing import JobList

    found = JobList().read()
    rows = [(str(job.number), job.state, progress_in_words(job), job.record.spec.title) for job in found]
    tell([_record(job) for job in found], columns(rows) if rows else ["No jobs."], json)


@app.command
def show(job: str, /, *, json: Json = False) -> None:
    """Show what a job does, how far it is, and with which settings.

    Parameters
    ----------
    job
        Its number.
    """
    from napari_pathsrgan.jobs.listing import find_job

    found = find_job(job)
    spec = found.record.spec
    rows = [
        ("Job", found.id),
        ("Title", spec.title),
        ("State", found.state),
        ("Progress", progress_in_words(found)),
        ("Command", command_line(spec.argv)),
        ("Seen from", spec.cwd),
        ("Folder", str(found.folder)),
        ("Queued", spec.created),
        ("Started", found.record.started),
        ("Ended", found.record.ended),
        ("Problem", found.record.problem),
        *((name, str(value)) for name, value in {**spec.config, **spec.versions}.items()),
    ]
    tell(_record(found), columns([row for row in rows if row[1]]), json)


@app.command
def log(job: str, /, *, lines: int = 50) -> None:
    """Print the end of what a job has printed.

    Parameters
    ----------
    job
        Its number.
    lines
        At most so many.
    """
    from napari_pathsrgan.jobs.folder import log_tail
    from napari_pathsrgan.jobs.listing import find_job

    print(log_tail(find_job(job).folder, lines))


@app.command
def stop(job: str, /, *, now: bool = False, json: Json = False) -> None:
    """Have a job write a checkpoint and stop.

    Parameters
    ----------
    job
        Its number.
    now
        End it without a checkpoint.
    """
    from napari_pathsrgan.jobs.listing import find_job
    from napari_pathsrgan.jobs.orders import stop_job

    found = find_job(job)
    stop_job(found, now)
    tell(_record(find_job(found.id)), [f"Stopping: {found.id}. `pathsrgan jobs resume {found.number}` goes on."], json)


@app.command
def resume(job: str, /, *, json: Json = False) -> None:
    """Have a stopped, interrupted or failed job go on where it was.

    Parameters
    ----------
    job
        Its number.
    """
    from napari_pathsrgan.jobs.listing import find_job
    from napari_pathsrgan.jobs.orders import resume_job

    found = resume_job(find_job(job))
    tell(_record(found), [f"Queued: {found.id}"], json)


@app.command
def remove(job: str, /, *, json: Json = False) -> None:
    """Remove a job, its log, and what it has written into its own result folder.

    Parameters
    ----------
    job
        Its number.
    """
    from napari_pathsrgan.jobs.listing import find_job
    from napari_pathsrgan.jobs.orders import remove_job

    found = find_job(job)
    remove_job(found)
    tell({"removed": found.id}, [f"Removed: {found.id}"], json)


@app.command(show=False)
def work(folder: Path, /) -> int:
    """Be the process of a job; started by `run` and by the window.

    Parameters
    ----------
    folder
        The job's.
    """
    from napari_pathsrgan.commands.app import run_verb
    from napari_pathsrgan.commands.verb_options import understand
    from napari_pathsrgan.jobs.worker import work as do_work

    def run(argv: Sequence[str]) -> tuple[int, str]:
        code, problem = run_verb(argv)
        if code == 0 and argv[0] == "train":
            _offer(Path(understand(argv)["out"]))
        return code, problem

    return do_work(folder, run)


def _offer(run: Path) -> None:
    """Put a trained model among the user's, so that it can be chosen by name; the run folder has it in any case."""
    from napari_pathsrgan.errors import PathSRGANError
    from napari_pathsrgan.models.zoo import add_model

    try:
        print(f"Listed as the model “{add_model(run).stem}”.")
    except PathSRGANError as error:
        print(error, file=sys.stderr)


def _record(job: Job) -> dict[str, Any]:
    progress = job.progress
    return {
        "id": _readable(job.id),
        "number": job.number,
        "folder": _readable(str(job.folder)),
        **job.record.to_json(),
        "state": str(job.state),
        "progress": None if progress is None else {**vars(progress), "share": progress.share},
    }


def _readable(name: str) -> str:
    """Give a file's name as UTF-8, also one that is none."""
    return os.fsencode(name).decode("utf-8", "replace")
