"""A job's folder: job.json, progress.jsonl, log.txt and result/, each written so that no reader sees half of it.

Nothing in it is ever waited for: whoever looks takes what is there. The folder may go at any moment.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import platformdirs

from napari_pathsrgan.errors import JobError
from napari_pathsrgan.jobs.spec import JobRecord

RECORD, PROGRESS, LOG, RESULT_FOLDER, STOP = "job.json", "progress.jsonl", "log.txt", "result", "stop"
_RESERVE = ".reserve"
_RESERVED_BYTES = 32 * 1024
"""Room kept for the last words of a job, so that they can be written when the disk is full."""

_LOG_TAIL_BYTES = 64 * 1024
_RECORD_BYTES = 4 * 1024 * 1024
"""More than the longest record: a command line is shorter."""


def jobs_home() -> Path:
    """Folder of the jobs; ``PATHSRGAN_JOBS`` overrides it."""
    told = os.environ.get("PATHSRGAN_JOBS")
    return Path(told) if told else platformdirs.user_data_path("napari-pathsrgan") / "jobs"


def read_record(folder: Path) -> JobRecord:
    """Read what a job's folder says.

    Raises
    ------
    JobError
        If there is no job, or one of another version.
    """
    try:
        return JobRecord.from_json(json.loads(read_end(folder / RECORD, _RECORD_BYTES)[0]))
    except FileNotFoundError as error:
        raise JobError(f"There is no job {folder.name}.", "List them with `pathsrgan jobs list`.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise JobError(f"The job {folder.name} can't be read.", "Remove its folder.") from error


def write_record(folder: Path, record: JobRecord) -> None:
    """Write what a job's folder says, whole or not at all; never makes the folder.

    Raises
    ------
    OSError
        If the disk is full or the folder is gone.
    """
    partial = folder / f".{RECORD}.{os.getpid()}"
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(record.to_json(), file, indent=1, ensure_ascii=False, default=str)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / RECORD)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def reserve_room(folder: Path) -> None:
    """Keep some room on the disk for the job's last words."""
    (folder / _RESERVE).write_bytes(os.urandom(_RESERVED_BYTES))


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
        If it can't be read.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        end = os.lseek(file, 0, os.SEEK_END)
        start = os.lseek(file, max(0, end - most_bytes), os.SEEK_SET)
        return os.read(file, end - start), start == 0
    finally:
        os.close(file)
