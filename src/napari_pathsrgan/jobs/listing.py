"""All jobs there are, as they are now, and how they are described.

Reading often costs little: a file is read again only if it has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from napari_pathsrgan.errors import DamagedJobError, JobError
from napari_pathsrgan.jobs.process import is_elsewhere, supervises
from napari_pathsrgan.jobs.progress import Progress, read_last_progress, read_progress
from napari_pathsrgan.jobs.record import (
    PROGRESS,
    RECORD,
    JobRecord,
    State,
    damaged,
    damaged_record,
    job_number,
    jobs_home,
    read_record,
    stop_requested,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A job at one moment.

    Attributes
    ----------
    folder : Path
    record : JobRecord
        What its folder says.
    state : State
        How it goes, after a look at its process.
    progress : Progress, optional
        How far it is, where it has reported that.
    """

    folder: Path
    record: JobRecord
    state: State
    progress: Progress | None = None

    @property
    def id(self) -> str:
        """Its folder's name: its number and command."""
        return self.folder.name

    @property
    def number(self) -> int:
        """Its number: the newer, the higher."""
        return job_number(self.folder)

    @property
    def out(self) -> Path | None:
        """Where its result goes, as far as its options say."""
        out = self.record.options.get("out")
        return Path(self.record.cwd, out) if isinstance(out, str) and out else None


class JobList:
    """Reads a folder of jobs again and again.

    Parameters
    ----------
    home : Path, optional
        `jobs_home` by default.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or jobs_home()
        self._records: _Cached[JobRecord | None] = _Cached(lambda path: _read_or_damaged(path.parent))
        self._progress: _Cached[Progress | None] = _Cached(read_progress)
        self._last_progress: _Cached[Progress | None] = _Cached(read_last_progress)

    def read(self) -> list[Job]:
        """List the jobs there are, the newest first, among them those whose record is damaged."""
        try:
            folders = [path for path in self.home.iterdir() if job_number(path)]
        except OSError:
            return []
        for cached in (self._records, self._progress, self._last_progress):
            cached.forget_all_but(folders)
        jobs = []
        for folder in sorted(folders, key=lambda path: (job_number(path), path.name), reverse=True):
            record = self._record(folder)
            if record is not None:
                progress = self._progress if record.state.active else self._last_progress
                jobs.append(Job(folder, record, current_state(folder, record), _or_none(progress, folder / PROGRESS)))
        return jobs

    def _record(self, folder: Path) -> JobRecord | None:
        """Give a folder's record; None for a folder that has none yet."""
        try:
            return self._records.get(folder / RECORD)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return damaged_record(str(damaged(folder, error)))


class _Cached(Generic[T]):
    """Contents of files, and a signature that changes with them."""

    def __init__(self, read: Callable[[Path], T]) -> None:
        self._read = read
        self._found: dict[Path, tuple[tuple[int, int, int, int], T]] = {}

    def get(self, path: Path) -> T:
        """Give what a file holds; OSError where there is none."""
        about = path.stat()
        # Compared, never ordered: a clock put back makes a file look older, not the same.
        signature = (about.st_mtime_ns, about.st_size, about.st_ino, about.st_mode)
        known = self._found.get(path)
        if known is None or known[0] != signature:
            known = self._found[path] = signature, self._read(path)
        return known[1]

    def forget_all_but(self, folders: list[Path]) -> None:
        there = set(folders)
        self._found = {path: found for path, found in self._found.items() if path.parent in there}


def _or_none(cached: _Cached[Progress | None], path: Path) -> Progress | None:
    try:
        return cached.get(path)
    except OSError:
        return None


def current_state(folder: Path, record: JobRecord) -> State:
    """How a job really goes: its process may have died without recording it."""
    if not record.state.active:
        return record.state
    asked = stop_requested(folder)
    if not supervises(record.process, folder):
        return State.STOPPED if asked else State.INTERRUPTED
    return State.STOPPING if asked else record.state


def read_job(folder: Path) -> Job:
    """Read one job; JobError if there is none."""
    record = read_record(folder)
    return Job(folder, record, current_state(folder, record), read_progress(folder / PROGRESS))


def find_job(reference: str, home: Path | None = None) -> Job:
    """Find a job by its number or its folder's name.

    Raises
    ------
    JobError
        If there is none.
    """
    for job in JobList(home).read():
        if reference == job.id or (reference.isdigit() and int(reference) == job.number):
            return job
    raise JobError(f"There is no job “{reference}”.", "List them with `pathsrgan jobs list`.")


def _read_or_damaged(folder: Path) -> JobRecord | None:
    try:
        return read_record(folder)
    except DamagedJobError as error:
        return damaged_record(str(error))
    except JobError:
        return None


# ---------------------------------------------------------------------- descriptions


def timestamp() -> str:
    """The time, for people."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def duration(seconds: float) -> str:
    """Write a time with two units at most: 40 s, 12 min, 1 h 10 min, 2 d 3 h."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def breakable(text: str) -> str:
    """Let lines break after slashes, commas, underscores and dots: names of files are wider than a dock."""
    return re.sub(r"[/,_\\]|\.(?=[a-zA-Z])", "\\g<0>\u200b", text)


def describe_progress(job: Job) -> str:
    """Describe how far a job is: what it does, the share done and the time left; for one that ended, the result."""
    progress = job.progress
    if job.state in (State.FAILED, State.DAMAGED):
        return job.record.problem
    if job.state is State.QUEUED:
        mark = job.record.process
        return f"waiting{f' on {mark.host}' if is_elsewhere(mark) else ''}"
    if progress is None:
        return job.record.problem if job.state is State.INTERRUPTED else ""
    if job.state is State.DONE:
        return f"took {duration(progress.seconds)}"
    parts = [progress.task]
    if progress.total > 0:
        parts.append(f"{100 * progress.share:.0f} %")
    if job.state is State.RUNNING and progress.left_s is not None:
        parts.append(f"{duration(progress.left_s)} left")
    problem = job.record.problem if job.state is State.INTERRUPTED else ""
    return f"{problem} {' · '.join(filter(None, parts))}".strip()
