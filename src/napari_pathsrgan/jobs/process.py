"""A process of its own that outlives whoever started it, and whether it is still the one that was meant."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from napari_pathsrgan.child_processes import child_environment, python_command
from napari_pathsrgan.private_files import open_private
from napari_pathsrgan.text import printable

GO = "go\n"
"""What a supervisor waits for on its standard input: until then its folder may not name it yet."""

SUPERVISOR = tuple(python_command("-m", "napari_pathsrgan.jobs.supervisor"))
"""Command of a job's process; the job's folder and the command of its worker follow."""

WORKER = tuple(python_command("-m", "napari_pathsrgan", "jobs", "work"))
"""Command of the process that runs the command; the job's folder follows."""

_NICENESS = 10
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ProcessMark(BaseModel):
    """A process that can't be mistaken for another that was given its number later.

    Attributes
    ----------
    pid : int
    started : str
        When it started, in a form that no clock changes when it is put back: on Linux the boot it belongs to and the
        kernel's ticks since; elsewhere the time that the system has noted.
    host : str
        Name of the machine.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    pid: int = Field(gt=0, lt=2**31)
    started: str = Field(max_length=200)
    host: Annotated[str, Field(max_length=300), AfterValidator(printable)]


def mark_process(pid: int) -> ProcessMark | None:
    """Mark a running process; None where there is none."""
    started = _started(pid)
    return None if started is None else ProcessMark(pid=pid, started=started, host=platform.node())


def is_alive(mark: ProcessMark) -> bool:
    """Whether this very process still runs; one on another machine is believed to run."""
    return is_elsewhere(mark) or _started(mark.pid) == mark.started


def supervises(mark: ProcessMark, folder: Path) -> bool:
    """Whether this very process still runs and supervises the job in a folder; one on another machine is believed.

    A record may have been copied from another job, or written by a stranger: then it names a process that it has no
    claim to.
    """
    return is_elsewhere(mark) or (is_alive(mark) and any(map(partial(_is_same, folder), _arguments(mark.pid))))


def _arguments(pid: int) -> list[str]:
    """Give the command line of a supervisor; empty for another process."""
    try:
        arguments = psutil.Process(pid).cmdline()
    except (psutil.Error, OSError):
        return []
    return arguments if SUPERVISOR[-1] in arguments else []


def _is_same(folder: Path, argument: str) -> bool:
    try:
        return Path(argument).name == folder.name and Path(argument).samefile(folder)
    except (OSError, ValueError):
        return False


def is_elsewhere(mark: ProcessMark) -> bool:
    """Whether the process belongs to another machine that shares the folder."""
    return mark.host != platform.node() and not mark.started.startswith(_boot())


def start_supervisor(folder: Path) -> subprocess.Popen[str]:
    """Start a job's process: in a session of its own, so that no window or terminal takes it along.

    See `supervisor`. It does nothing until `GO` is written to its standard input.

    Raises
    ------
    OSError
        If there is no room for a process or its log.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    with open_private(folder / "log.txt", "ab") as log:
        process = subprocess.Popen(
            [*SUPERVISOR, str(folder), *WORKER],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=child_environment(),
            start_new_session=True,
            creationflags=flags,
        )
    # Somebody has to take note of its end, or it stays in the list of processes as long as the window does.
    threading.Thread(target=process.wait, name=f"pathsrgan-job-{process.pid}", daemon=True).start()
    return process


def lower_priority() -> None:
    """Give way to every process of usual priority, the window above all."""
    me = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            me.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            me.nice(max(_NICENESS, me.nice()))


def kill_tree(mark: ProcessMark) -> None:
    """End a process on this machine, and those it has started, at once."""
    if is_elsewhere(mark) or not is_alive(mark):
        return
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(mark.pid)
        for one in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.Error):
                one.kill()


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "no boot id"


def _started(pid: int) -> str | None:
    """When a process started; None if there is none, or only its entry is left."""
    if _BOOT_ID.exists():  # Linux
        try:
            # The name, in brackets, may hold anything; the state follows it, and 19 further on the start in ticks.
            state, *rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except (OSError, ValueError):
            return None
        return None if state in "ZX" else f"{_boot()} {rest[18]}"
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def own_mark() -> ProcessMark:
    """Mark this process."""
    mark = mark_process(os.getpid())
    assert mark is not None
    return mark
