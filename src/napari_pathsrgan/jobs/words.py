"""A job in words, the same on the command line and in the window."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from napari_pathsrgan.jobs.process import is_elsewhere
from napari_pathsrgan.jobs.spec import State
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from napari_pathsrgan.jobs.listing import Job


def command_line(argv: Sequence[str]) -> str:
    """Write a job's words as a command to copy, without characters that a terminal obeys."""
    line = shlex.join(["pathsrgan", *argv])
    return printable(line, len(line))


def now() -> str:
    """The time in words, for people."""
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
    """Let lines break after slashes, commas and underscores: names of files are wider than a dock."""
    return "".join(f"{sign}\u200b" if sign in "/,_\\" else sign for sign in text)


def progress_in_words(job: Job) -> str:
    """Say how far a job is: what it does, the share done and the time left; for one that ended, what came of it."""
    progress = job.progress
    if job.state in (State.FAILED, State.DAMAGED):
        return job.record.problem
    if job.state is State.QUEUED:
        mark = job.record.process
        return f"waits for its turn{f' on {mark.host}' if is_elsewhere(mark) else ''}"
    if progress is None:
        return job.record.problem if job.state is State.INTERRUPTED else ""
    if job.state is State.DONE:
        return f"took {duration(progress.seconds)}"
    words = [progress.task]
    if progress.total > 0:
        words.append(f"{100 * progress.share:.0f} %")
    if job.state is State.RUNNING and progress.left_s is not None:
        words.append(f"{duration(progress.left_s)} left")
    problem = job.record.problem if job.state is State.INTERRUPTED else ""
    return f"{problem} {' · '.join(filter(None, words))}".strip()
