"""The process that a job's folder names: it has a worker run the verb, and says how that ended when the worker can't.

A worker that is killed or crashes writes nothing. Only the process that started it is told the reason, and the window
may be closed by then: so each job has one small process more, which loads nothing, waits, and outlives the worker.

1. It waits for the word that the folder names it (`process.GO`), and lowers its priority and the worker's.
2. It starts the worker, hands signals on to it, and waits for its end.
3. Where the folder still says that the job waits or runs, it writes what the system tells: by which signal it ended.

The worker ends with its keeper, since its standard input then ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_pathsrgan.errors import JobError
from napari_pathsrgan.jobs.folder import free_room, read_record, stop_requested, write_record
from napari_pathsrgan.jobs.process import GO, be_modest, mark_process
from napari_pathsrgan.jobs.spec import State
from napari_pathsrgan.jobs.words import now

_CRASHES = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")


def keep(folder: Path, worker: Sequence[str]) -> int:
    """Have a worker do the job in a folder, and see to its end.

    Parameters
    ----------
    folder : Path
        Whose record names this process.
    worker : sequence of str
        Command of the worker; the folder follows.

    Returns
    -------
    int
        The worker's exit code; below 0 the signal that ended it.
    """
    if sys.stdin.readline() != GO:
        return 0  # whoever started this died, or had no room to write who we are
    be_modest()
    child = subprocess.Popen([*worker, str(folder)], stdin=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: child.send_signal(number))
    code = child.wait()
    _write_what_is_known(folder, code)
    return code


def _write_what_is_known(folder: Path, code: int) -> None:
    try:
        record = read_record(folder)
        if record.process != mark_process(os.getpid()):
            return  # resumed since: the folder speaks of another process
        free_room(folder)
        if record.state.active:
            asked = stop_requested(folder)
            state = State.STOPPED if asked else State.INTERRUPTED
            problem = "" if asked else how_it_ended(code)
            write_record(folder, replace(record, state=state, code=code, problem=problem, ended=now()))
    except (JobError, OSError):
        return  # removed, or no room: that there is no such process any more tells enough


def how_it_ended(code: int) -> str:
    """Say what is known of a process that ended without a word of its own.

    Parameters
    ----------
    code : int
        As `subprocess` has it: below 0 the signal that ended it.
    """
    if code >= 0:
        return f"It ended without a word, with exit code {code}. See its log."
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if name == "SIGKILL":
        return "It was killed (SIGKILL), as the system does when memory runs out. Close other programs first."
    if name in _CRASHES:
        return f"It crashed ({name}). Its log says where."
    return f"It was ended by the signal {name}."


if __name__ == "__main__":
    sys.exit(abs(keep(Path(sys.argv[1]), sys.argv[2:])))
