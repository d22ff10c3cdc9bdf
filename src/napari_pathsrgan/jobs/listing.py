"""All jobs there are, as they are now. Looking often costs little: a file is read again only if it has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from napari_pathsrgan.errors import DamagedJobError, JobError
from napari_pathsrgan.jobs.folder import PROGRESS, RECORD, damaged, job_number, jobs_home, read_record, stop_requested
from napari_pathsrgan.jobs.process import keeps_job
from napari_pathsrgan.jobs.progress import Progress, read_last_progress, read_progress
from napari_pathsrgan.jobs.spec import JobRecord, State, damaged_record

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
        What is true of it, its process seen to.
    progress : Progress, optional
        How far it is, where it has told.
    """

    folder: Path
    record: JobRecord
    state: State
    progress: Progress | None = None

    @property
    def id(self) -> str:
        """Its folder's name: its number and verb."""
        return self.folder.name

    @property
    def number(self) -> int:
        """Its number: the newer, the higher."""
        return job_number(self.folder)

    @property
    def out(self) -> Path | None:
        """Where its result goes, as far as its options say."""
        told = self.record.spec.config.get("out")
        return Path(self.record.spec.cwd, told) if isinstance(told, str) and told else None


class JobList:
    """Looks at a folder of jobs again and again.

    Parameters
    ----------
    home : Path, optional
        `jobs_home` by default.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or jobs_home()
        self._records: _Known[JobRecord | None] = _Known(lambda path: _read_or_damaged(path.parent))
        self._progress: _Known[Progress | None] = _Known(read_progress)
        self._last_progress: _Known[Progress | None] = _Known(read_last_progress)

    def read(self) -> list[Job]:
        """List the jobs there are, the newest first, among them those whose record is damaged."""
        try:
            folders = [path for path in self.home.iterdir() if job_number(path)]
        except OSError:
            return []
        for known in (self._records, self._progress, self._last_progress):
            known.forget_all_but(folders)
        jobs = []
        for folder in sorted(folders, key=lambda path: (job_number(path), path.name), reverse=True):
            record = self._record(folder)
            if record is not None:
                told = self._progress if record.state.active else self._last_progress
                jobs.append(Job(folder, record, true_state(folder, record), _or_none(told, folder / PROGRESS)))
        return jobs

    def _record(self, folder: Path) -> JobRecord | None:
        """Give a folder's record; None for a folder that has none yet."""
        try:
            return self._records.get(folder / RECORD)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return damaged_record(str(damaged(folder, error)))


class _Known(Generic[T]):
    """What files were found to hold, and a signature that tells whether they still do."""

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


def _or_none(known: _Known[Progress | None], path: Path) -> Progress | None:
    try:
        return known.get(path)
    except OSError:
        return None


def true_state(folder: Path, record: JobRecord) -> State:
    """Tell how a job really goes: its process may have died without saying so."""
    if not record.state.active:
        return record.state
    asked = stop_requested(folder)
    if not keeps_job(record.process, folder):
        return State.STOPPED if asked else State.INTERRUPTED
    return State.STOPPING if asked else record.state


def look_at(folder: Path) -> Job:
    """Look at one job; JobError if there is none."""
    record = read_record(folder)
    return Job(folder, record, true_state(folder, record), read_progress(folder / PROGRESS))


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
