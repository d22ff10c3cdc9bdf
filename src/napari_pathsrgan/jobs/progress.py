"""The progress of a command, one JSON object a line, and what a reader makes of it: share done and time left.

A line holds ``seconds`` since the command began, ``done``, ``total`` and ``task``, and any figures beside, such
as losses. Seconds are of a clock that nobody can put back; where they begin anew, the job was resumed.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_pathsrgan.bounded_json import parse_json
from napari_pathsrgan.jobs.record import open_regular, read_end
from napari_pathsrgan.private_files import open_private
from napari_pathsrgan.text import printable

PROGRESS_VARIABLE = "PATHSRGAN_PROGRESS"
"""Environment variable with the file that a command appends its progress to."""

_SHORTEST_S, _LONGEST_S = 0.25, 5.0
_TAIL_BYTES = 32 * 1024
_LINE_BYTES = 2 * 1024
"""More than the longest line."""
_READ_BYTES = 16 * 2**20
"""Of a file of figures at once; the rest follows with the next look."""
_LINE_VALUES = 10_000
_MOST = 1e15


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes
    ----------
    done, total : float
        Of the task at hand.
    task : str
        What is being done.
    seconds : float
        Since the command was started the last time.
    left_s : float, optional
        Time the task will still take at its recent speed; None until that is known.
    """

    done: float
    total: float
    task: str
    seconds: float
    left_s: float | None = None

    @property
    def share(self) -> float:
        """Part of the task that is done, 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0


class ProgressFile:
    """Appends progress to a file, some four lines a second at most and fewer the longer it takes.

    A line that can't be written is dropped: no job fails for its progress.

    Parameters
    ----------
    path : Path
        Its folder is never made: it may have been removed to be rid of the job.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()
        self._last = -_LONGEST_S
        self._task = ""

    def __call__(self, done: float, total: float, task: str = "", **figures: float) -> None:
        """Report what is done and what there is to do; lines with figures and a task's last one are always kept."""
        now = time.monotonic() - self._began
        due = now - self._last >= min(_LONGEST_S, max(_SHORTEST_S, now / 500))
        changed = bool(task) and task != self._task
        self._task = task or self._task
        if not (due or changed or figures or done >= total):
            return
        self._last = now
        row = {"seconds": round(now, 3), "done": done, "total": total, "task": self._task, **figures}
        try:
            with open_private(self.path, "a") as file:
                file.write(json.dumps(row, ensure_ascii=False, default=float) + "\n")
        except OSError:
            return


def progress_file() -> ProgressFile | None:
    """The file that the environment names to append to; None where it names none."""
    path = os.environ.get(PROGRESS_VARIABLE)
    return ProgressFile(Path(path)) if path else None


def read_progress(path: Path) -> Progress | None:
    """Read how far a job is from the end of its file; None where nothing can be read."""
    rows: list[dict[str, Any]] = []
    for row in map(_parse, _last_lines(path, _TAIL_BYTES)):
        if row is None:
            continue
        if rows and (row["seconds"] < rows[-1]["seconds"] or row["task"] != rows[-1]["task"]):
            rows.clear()  # resumed, or another task: its speed says nothing
        rows.append(row)
    if not rows:
        return None
    first, last = rows[0], rows[-1]
    advanced = last["done"] - first["done"]
    left = None
    if advanced > 0 and last["seconds"] > first["seconds"]:
        left = max(0.0, (last["total"] - last["done"]) * (last["seconds"] - first["seconds"]) / advanced)
        left = left if left < _MOST else None
    return Progress(last["done"], last["total"], last["task"], last["seconds"], left)


def read_last_progress(path: Path) -> Progress | None:
    """Read how far a job came that has ended, without the time left: one line, since there may be hundreds of jobs."""
    last = next(filter(None, map(_parse, reversed(_last_lines(path, _LINE_BYTES)))), None)
    return None if last is None else Progress(last["done"], last["total"], last["task"], last["seconds"])


def _last_lines(path: Path, most_bytes: int) -> list[bytes]:
    """Give the last whole lines; none where the file can't be read."""
    try:
        end, whole = read_end(path, most_bytes)
    except OSError:
        return []
    return end.split(b"\n")[0 if whole else 1 : -1]  # the first is cut off, the last not finished


@dataclass
class LineReader:
    """Reads a growing file of JSON lines, each line once; begins anew where the file was replaced by a shorter one.

    Parameters
    ----------
    path : Path
    """

    path: Path
    _at: int = field(default=0, init=False)
    _inode: int = field(default=0, init=False)

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """Read what is new.

        Returns
        -------
        list of dict
            Objects in the lines that were finished since.
        bool
            Whether they begin anew, and what was read before no longer counts.
        """
        try:
            read, anew = self._read_on()
        except OSError:
            return [], False
        whole = read[: read.rfind(b"\n") + 1]
        self._at += len(whole) if whole or len(read) < _READ_BYTES else len(read)  # no line is that long
        return [row for row in map(_parse_any, whole.splitlines()) if row is not None], anew

    def _read_on(self) -> tuple[bytes, bool]:
        with os.fdopen(open_regular(self.path), "rb") as file:
            about = os.fstat(file.fileno())
            anew = about.st_size < self._at or (self._inode not in (0, about.st_ino))
            if anew:
                self._at = 0
            self._inode = about.st_ino
            file.seek(self._at)
            return file.read(_READ_BYTES), anew


def _parse(line: bytes) -> dict[str, Any] | None:
    """Parse a line of progress; None for anything else, such as NaN."""
    row = _parse_any(line)
    if row is None or not all(_is_amount(row.get(name)) for name in ("seconds", "done", "total")):
        return None
    return row | {"task": printable(row["task"], 200)} if isinstance(row.get("task"), str) else None


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _MOST  # NaN is not


def _parse_any(line: bytes) -> dict[str, Any] | None:
    try:
        row = parse_json(line, _LINE_VALUES)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
