"""A job's folder: job.json, progress.jsonl, log.txt and result/, each written so that no reader sees half of it.

Nothing in it is ever waited for: whoever looks takes what is there. The folder may go at any moment.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_pathsrgan.atomic_write import atomic_replace
from napari_pathsrgan.bounded_json import read_regular_file
from napari_pathsrgan.errors import DamagedJobError, JobError
from napari_pathsrgan.jobs.stored_record import parse_record
from napari_pathsrgan.private_files import open_private
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from napari_pathsrgan.jobs.spec import JobRecord

RECORD, PROGRESS, LOG, RESULT_FOLDER, STOP = "job.json", "progress.jsonl", "log.txt", "result", "stop"
_RESERVE = ".reserve"
_RESERVED_BYTES = 32 * 1024
"""Room kept for the last words of a job, so that they can be written when the disk is full."""

_LOG_TAIL_BYTES = 64 * 1024
_RECORD_BYTES = 4 * 1024 * 1024
"""More than the longest record: a command line is shorter."""
_NUMBER_DIGITS = 9


def jobs_home() -> Path:
    """Folder of the jobs; ``PATHSRGAN_JOBS`` overrides it."""
    told = os.environ.get("PATHSRGAN_JOBS")
    return Path(told).absolute() if told else platformdirs.user_data_path("napari-pathsrgan") / "jobs"


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


def job_number(folder: Path) -> int:
    """Number that a folder's name begins with; 0 where it is no job's."""
    digits = folder.name.partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _NUMBER_DIGITS else 0


def write_record(folder: Path, record: JobRecord) -> None:
    """Write what a job's folder says, whole or not at all; never makes the folder.

    Raises
    ------
    OSError
        If the disk is full or the folder is gone.
    """
    with atomic_replace(folder / RECORD) as partial, open_private(partial, "x") as file:
        json.dump(record.to_json(), file, indent=1, ensure_ascii=False, default=str)
        file.flush()
        os.fsync(file.fileno())


def reserve_room(folder: Path) -> None:
    """Keep some room on the disk for the job's last words."""
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
    """The last lines of what the verb has printed; empty where there is nothing."""
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
    """Open a file to read; OSError for what is no regular one: others, such as a pipe, would have to be waited for."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file
