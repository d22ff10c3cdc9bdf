"""A job's folder and the record in it: what is run, with which options, and how it goes.

A folder holds job.json, progress.jsonl, log.txt and result/, each written so that no reader sees half of it. Whoever
wrote a record may be a stranger, so every value is checked: texts can be shown, and the command and its options run
nothing before the registry of commands has accepted them. Nothing in a folder is ever waited for, and the folder may
go at any moment.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
import sys
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from napari_pathsrgan.atomic_write import atomic_replace
from napari_pathsrgan.bounded_json import read_regular_file
from napari_pathsrgan.errors import DamagedJobError, JobError
from napari_pathsrgan.jobs.process import ProcessMark
from napari_pathsrgan.private_files import open_private
from napari_pathsrgan.text import printable

RECORD, PROGRESS, LOG, RESULT_FOLDER, STOP = "job.json", "progress.jsonl", "log.txt", "result", "stop"
RESULT = "{result}"
"""Stands in a job's options for its own folder ``result``."""

_RECORDED_VERSIONS = ("napari-pathsrgan", "numpy", "torch", "zarr")
_RESERVE = ".reserve"
_RESERVED_BYTES = 32 * 1024
"""Room kept on the disk, so that the end of a job can be recorded when the disk is full."""

_LOG_TAIL_BYTES = 64 * 1024
_RECORD_BYTES = 4 * 1024 * 1024
"""More than the longest record."""
_NUMBER_DIGITS = 9


class State(StrEnum):
    """How a job goes."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    """Its process ended without reporting it: killed, out of memory, or the machine was restarted."""
    FAILED = "failed"
    DONE = "done"
    DAMAGED = "damaged record"
    """Its folder's record can't be read. It can only be removed."""

    @property
    def active(self) -> bool:
        """Whether there is a process that works at it, or waits to."""
        return self in (State.QUEUED, State.RUNNING, State.STOPPING)

    @property
    def resumable(self) -> bool:
        """Whether it can be resumed."""
        return self in (State.STOPPED, State.INTERRUPTED, State.FAILED)


def _absolute(text: str) -> str:
    if "\0" in text or not Path(text).is_absolute():
        raise ValueError("is not an absolute path")
    return text


def _sound(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("holds a number that is not finite")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("holds a NUL character")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _sound(part)
    return value


def _written_state(state: State) -> State:
    if state in (State.STOPPING, State.DAMAGED):
        raise ValueError(f"{state} is never written")
    return state


_Line = Annotated[str, Field(max_length=10_000), AfterValidator(printable)]


class JobRecord(BaseModel):
    """What ``job.json`` holds.

    Attributes
    ----------
    layout : int
        Version of the record's form.
    command : str
        Name of the command that it runs.
    options : dict
        All options of the command as JSON; checked by the command before it runs.
    title : str
        What the user knows it by.
    device : str
        Whose queue it waits in, see `queue.queue_of`.
    cwd : str
        Folder that relative paths among the options start from.
    versions : dict
        Of the packages that decide what comes out.
    created, started, ended : str
        ISO 8601 or empty; for people only, since clocks are put back.
    state : State
        As last written: never stopping; a look at the process can tell that it was interrupted since. Damaged where
        this stands for a record that can't be read.
    position : int
        In the queue: lower ones come first.
    process : ProcessMark
        That waits or works.
    code : int, optional
        Exit code of the command.
    problem : str
        The error it failed with, or what is known of how it was interrupted.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    layout: Literal[2]
    command: str = Field(pattern=r"^[a-z][a-z -]{0,60}$")
    options: Annotated[dict[str, Any], AfterValidator(_sound)]
    title: _Line
    device: str = Field(pattern=r"^[A-Za-z0-9_:.-]{1,64}$")
    cwd: Annotated[str, Field(max_length=200_000), AfterValidator(_absolute)]
    versions: dict[_Line, _Line]
    created: _Line
    state: Annotated[State, AfterValidator(_written_state)]
    position: int = Field(ge=0, lt=2**53)
    process: ProcessMark
    started: _Line
    ended: _Line
    code: int | None = Field(gt=-(2**31), lt=2**31)
    problem: _Line

    @classmethod
    def queued(cls, **values: Any) -> JobRecord:
        """Make the record of a job that begins, or begins again."""
        return cls(layout=2, state=State.QUEUED, started="", ended="", code=None, problem="", **values)

    def changed(self, **values: Any) -> JobRecord:
        """Give a record with other values."""
        return self.model_copy(update=values)


def parse_record(content: bytes) -> JobRecord:
    """Read a record from JSON.

    Raises
    ------
    ValueError
        With a few words on the first thing that is wrong.
    """
    try:
        return JobRecord.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(printable(f"{place}: {first['msg']}" if place else first["msg"], 200)) from None


def damaged_record(problem: str) -> JobRecord:
    """Make what is shown in place of a record that can't be read."""
    nobody = ProcessMark.model_construct(pid=0, started="", host="")
    return JobRecord.model_construct(
        layout=2, command="", options={}, title="Damaged record", device="", cwd="", versions={}, created="",
        state=State.DAMAGED, position=0, process=nobody, started="", ended="", code=None, problem=problem,
    )  # fmt: skip


def versions_here() -> dict[str, str]:
    """Versions of Python and of the packages that decide what comes out."""
    found = {"python": sys.version.split()[0]}
    for name in _RECORDED_VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


# ---------------------------------------------------------------------- the folder


def jobs_home() -> Path:
    """Folder of the jobs; ``PATHSRGAN_JOBS`` overrides it."""
    chosen = os.environ.get("PATHSRGAN_JOBS")
    return Path(chosen).absolute() if chosen else platformdirs.user_data_path("napari-pathsrgan") / "jobs"


def job_number(folder: Path) -> int:
    """Number that a folder's name begins with; 0 where it is no job's."""
    digits = folder.name.partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _NUMBER_DIGITS else 0


def read_record(folder: Path) -> JobRecord:
    """Read what a job's folder says.

    Raises
    ------
    JobError
        If there is no job.
    DamagedJobError
        If what it says is no record, or of another version.
    """
    try:
        return parse_record(read_regular_file(folder / RECORD, _RECORD_BYTES))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise JobError(f"There is no job {folder.name}.", "List them with `pathsrgan jobs list`.") from error
    except (OSError, ValueError) as error:
        raise damaged(folder, error) from error


def damaged(folder: Path, error: Exception) -> DamagedJobError:
    """Make the error for a job whose record can't be read."""
    reason = printable(str(getattr(error, "strerror", None) or error), 200)
    return DamagedJobError(
        f"The record of the job {printable(folder.name, 80)} is damaged ({reason}).",
        f"Remove it with `pathsrgan jobs remove {job_number(folder)}`.",
    )


def write_record(folder: Path, record: JobRecord) -> None:
    """Write what a job's folder says, whole or not at all; never makes the folder.

    Raises
    ------
    OSError
        If the disk is full or the folder is gone.
    """
    with atomic_replace(folder / RECORD) as partial, open_private(partial, "x") as file:
        json.dump(record.model_dump(), file, indent=1, ensure_ascii=False, default=str)
        file.flush()
        os.fsync(file.fileno())


def reserve_room(folder: Path) -> None:
    """Keep some room on the disk for recording the end of the job."""
    with open_private(folder / _RESERVE, "wb") as file:
        file.write(os.urandom(_RESERVED_BYTES))


def free_room(folder: Path) -> None:
    """Give the room back that was kept."""
    with contextlib.suppress(OSError):
        (folder / _RESERVE).unlink(missing_ok=True)


def is_there(folder: Path) -> bool:
    """Whether the job has not been removed."""
    return (folder / RECORD).exists()


def request_stop(folder: Path) -> None:
    """Ask the job to stop: its process looks for this several times a second."""
    (folder / STOP).touch()


def stop_requested(folder: Path) -> bool:
    """Whether it was asked to stop."""
    return (folder / STOP).exists()


def withdraw_stop(folder: Path) -> None:
    """Forget that it was asked to stop."""
    (folder / STOP).unlink(missing_ok=True)


def log_tail(folder: Path, most_lines: int = 200) -> str:
    """The last lines of what the command has printed; empty where there is nothing."""
    try:
        end, _ = read_end(folder / LOG, _LOG_TAIL_BYTES)
    except OSError:
        return ""
    return "\n".join(end.decode("utf-8", "replace").splitlines()[-most_lines:])


def read_end(path: Path, most_bytes: int) -> tuple[bytes, bool]:
    """Read the end of a file, unbuffered.

    Beside a window at work every call to the system costs a reader its turn, and a list of jobs has hundreds of files.

    Returns
    -------
    bytes
        At most `most_bytes`.
    bool
        Whether that is the whole file.

    Raises
    ------
    OSError
        If it can't be read, or is no regular file.
    """
    file = open_regular(path)
    try:
        end = os.fstat(file).st_size
        start = os.lseek(file, max(0, end - most_bytes), os.SEEK_SET)
        return os.read(file, end - start), start == 0
    finally:
        os.close(file)


def open_regular(path: Path) -> int:
    """Open a regular file to read; OSError for anything else, such as a pipe, which would have to be waited for."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file
