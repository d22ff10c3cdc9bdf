"""The two processes of a job: a worker runs the command, and a supervisor records how that ended when the worker can't.

A worker that is killed or crashes writes nothing. Only the process that started it learns the reason, and the window
may be closed by then: so each job has one small process more, which waits, and outlives the worker.

The supervisor, started by `process.start_supervisor`:

1. It waits until the folder names it (`process.GO`), and lowers its priority and the worker's.
2. It starts the worker, hands signals on to it, and waits for its end.
3. Where the folder still says that the job waits or runs, it writes what the system knows: by which signal it ended.

The worker, `work`:

1. It waits for a place on the device (`queue.device_of`), and runs the command, in this very process.
2. All the while a thread looks whether somebody asks it to stop, or has removed the folder; then the command gets the
   signal it would get from a terminal, writes its checkpoint and returns.
3. It writes how it ended. If both processes were killed, the folder still says that the job runs, and every reader
   sees that there is no such process: interrupted.

The worker ends with its supervisor, since its standard input then ends.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_pathsrgan.errors import JobError
from napari_pathsrgan.jobs.listing import timestamp
from napari_pathsrgan.jobs.process import GO, kill_tree, lower_priority, mark_process, own_mark
from napari_pathsrgan.jobs.progress import PROGRESS_VARIABLE
from napari_pathsrgan.jobs.queue import device_of
from napari_pathsrgan.jobs.record import (
    PROGRESS,
    JobRecord,
    State,
    free_room,
    is_there,
    read_record,
    stop_requested,
    write_record,
)

_CRASHES = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")
INTERRUPTED = 130
_LOOK_EVERY_S = 0.2
_TRIES, _BETWEEN_TRIES_S = 4, 0.5

RunRecord = Callable[[JobRecord], tuple[int, str]]
"""Runs what a record says; gives the exit code and the error it failed with."""


def supervise(folder: Path, worker: Sequence[str]) -> int:
    """Have a worker do the job in a folder, and record its end where the worker can't.

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
    lower_priority()
    child = subprocess.Popen([*worker, str(folder)], stdin=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: child.send_signal(number))
    code = child.wait()
    _record_how_it_ended(folder, code)
    return code


def _record_how_it_ended(folder: Path, code: int) -> None:
    try:
        record = read_record(folder)
        if record.process != mark_process(os.getpid()):
            return  # resumed since: the folder speaks of another process
        free_room(folder)
        if record.state.active:
            asked = stop_requested(folder)
            state = State.STOPPED if asked else State.INTERRUPTED
            problem = "" if asked else how_it_ended(code)
            write_record(folder, record.changed(state=state, code=code, problem=problem, ended=timestamp()))
    except (JobError, OSError):
        return  # removed, or no room: readers see that there is no such process any more


def how_it_ended(code: int) -> str:
    """Say what is known of a process that ended without recording it.

    Parameters
    ----------
    code : int
        As `subprocess` has it: below 0 the signal that ended it.
    """
    if code >= 0:
        return f"It exited without an error message (exit code {code}). See its log."
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if name == "SIGKILL":
        return "It was killed (SIGKILL), as the system does when memory runs out. Close other programs first."
    if name in _CRASHES:
        return f"It crashed ({name}). Its log says where."
    return f"It was ended by the signal {name}."


def work(folder: Path, run: RunRecord) -> int:
    """Run the job in a folder.

    Parameters
    ----------
    folder : Path
        Whose record names the supervisor of this process.
    run : callable

    Returns
    -------
    int
        The command's exit code.
    """
    faulthandler.enable()  # a crash writes into the log where it was
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ[PROGRESS_VARIABLE] = str(folder / PROGRESS)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_supervisor, name="pathsrgan-supervisor", daemon=True).start()
    threading.Thread(target=_watch, args=(folder,), name="pathsrgan-stop", daemon=True).start()
    code, problem = INTERRUPTED, ""
    try:
        try:
            code, problem = _run_in_turn(folder, run)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except KeyboardInterrupt:
        pass  # while it waited, or just as it ended: then the code is the command's
    except JobError:
        return INTERRUPTED  # the folder is gone
    except Exception as error:  # a defect of ours: everything else is reported by the command
        traceback.print_exc()
        code, problem = 1, f"It failed because of a defect ({type(error).__name__}: {error}). See its log."
    _write_end(folder, code, problem)
    return code


def _run_in_turn(folder: Path, run: RunRecord) -> tuple[int, str]:
    with device_of(folder):
        record = read_record(folder)
        _write(folder, state=State.RUNNING, started=timestamp())
        try:
            os.chdir(record.cwd)
        except OSError as error:
            return 2, f"The folder {record.cwd} can't be entered ({error.strerror}). Start the job anew."
        return run(record)


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent twice where the machine is shut down
    raise KeyboardInterrupt


def _end_with_supervisor() -> None:
    """End at once when the supervisor has gone: nobody would see this process any more."""
    while os.read(sys.stdin.fileno(), 1):
        continue
    kill_tree(own_mark())


def _watch(folder: Path) -> None:
    while is_there(folder) and not stop_requested(folder):
        time.sleep(_LOOK_EVERY_S)
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGTERM)
    else:  # to the main thread, which may be waiting for something
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGTERM)


def _write_end(folder: Path, code: int, problem: str) -> None:
    if code == 0:
        state = State.DONE
    elif code == INTERRUPTED:
        state, problem = (State.STOPPED if stop_requested(folder) else State.INTERRUPTED), ""
    else:
        state = State.FAILED
        problem = problem or f"It ended with exit code {code}. See its log."
    free_room(folder)
    _write(folder, state=state, code=code, problem=problem, ended=timestamp())


def _write(folder: Path, **changes: Any) -> None:
    """Change the record; where that fails after some tries, the end of the process is what readers see."""
    for left in reversed(range(_TRIES)):
        try:
            write_record(folder, read_record(folder).changed(**changes))
            return
        except JobError:
            return  # removed
        except OSError as error:
            if not is_there(folder) or not left:
                sys.stderr.write(f"The job's state can't be written: {error}.\n")
                return
            time.sleep(_BETWEEN_TRIES_S)


if __name__ == "__main__":
    sys.exit(abs(supervise(Path(sys.argv[1]), sys.argv[2:])))
