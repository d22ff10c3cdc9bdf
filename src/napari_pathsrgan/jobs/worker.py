"""What a job's process does: wait for its turn, run the verb, and write down how that ended.

1. It waits for its turn (`turns.turn`).
2. It runs the verb, in this very process.
3. All the while a thread looks whether somebody asks it to stop, or has removed the folder; then the verb gets the
   signal it would get from a terminal, writes its checkpoint and returns.
4. It writes how it ended. If it can't, because it was killed, its `keeper` does; and if that was killed too, the folder
   still says that it runs, and everybody sees that there is no such process: interrupted.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_pathsrgan.errors import JobError
from napari_pathsrgan.jobs.folder import (
    PROGRESS,
    free_room,
    is_there,
    read_record,
    stop_requested,
    write_record,
)
from napari_pathsrgan.jobs.process import kill_tree, own_mark
from napari_pathsrgan.jobs.progress import PROGRESS_VARIABLE
from napari_pathsrgan.jobs.spec import State
from napari_pathsrgan.jobs.turns import turn
from napari_pathsrgan.jobs.words import now

INTERRUPTED = 130
_LOOK_EVERY_S = 0.2
_TRIES, _BETWEEN_TRIES_S = 4, 0.5

RunVerb = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a verb's words; gives its exit code and the sentence it failed with."""


def work(folder: Path, run_verb: RunVerb) -> int:
    """Run the job in a folder.

    Parameters
    ----------
    folder : Path
        Whose record names the keeper of this process.
    run_verb : callable

    Returns
    -------
    int
        The verb's exit code.
    """
    faulthandler.enable()  # a crash writes into the log where it was
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ[PROGRESS_VARIABLE] = str(folder / PROGRESS)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_keeper, name="pathsrgan-keeper", daemon=True).start()
    threading.Thread(target=_watch, args=(folder,), name="pathsrgan-stop", daemon=True).start()
    code, problem = INTERRUPTED, ""
    try:
        try:
            code, problem = _run_in_turn(folder, run_verb)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except KeyboardInterrupt:
        pass  # while it waited, or just as it ended: then the code is the verb's
    except JobError:
        return INTERRUPTED  # the folder is gone
    except Exception as error:  # a defect of ours: everything else comes with its sentence
        traceback.print_exc()
        code, problem = 1, f"It failed in a way that was not foreseen ({type(error).__name__}: {error}). See its log."
    _write_end(folder, code, problem)
    return code


def _run_in_turn(folder: Path, run_verb: RunVerb) -> tuple[int, str]:
    with turn(folder):
        record = read_record(folder)
        _write(folder, state=State.RUNNING, started=now())
        try:
            os.chdir(record.spec.cwd)
        except OSError as error:
            return 2, f"The folder {record.spec.cwd} can't be entered ({error.strerror}). Start the job anew."
        argv = list(record.spec.argv)
        sys.argv[1:] = argv  # what starts helpers of its own, as training on several devices does, looks here
        return run_verb(argv)


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # told twice where the machine is shut down
    raise KeyboardInterrupt


def _end_with_keeper() -> None:
    """End at once when the keeper has gone: its end of the pipe closes, and nobody would see this process any more."""
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
    _write(folder, state=state, code=code, problem=problem, ended=now())


def _write(folder: Path, **changes: Any) -> None:
    """Change the record; what can't be written after some tries is left: then the process's end tells enough."""
    for left in reversed(range(_TRIES)):
        try:
            write_record(folder, replace(read_record(folder), **changes))
            return
        except JobError:
            return  # removed
        except OSError as error:
            if not is_there(folder) or not left:
                sys.stderr.write(f"The job's state can't be written: {error}.\n")
                return
            time.sleep(_BETWEEN_TRIES_S)
