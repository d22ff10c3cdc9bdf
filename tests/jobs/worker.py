"""A command of tests that counts, and the process of its jobs, which takes no time to load.

It reports its progress, keeps a checkpoint in ``--out`` every ten steps, stops after the current step when it gets
SIGTERM, and goes on from its checkpoint.
"""

from __future__ import annotations

import base64
import faulthandler
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

from napari_pathsrgan.commands.command import POSITIONAL, Command, Options
from napari_pathsrgan.jobs.listing import Job
from napari_pathsrgan.jobs.progress import progress_file
from napari_pathsrgan.jobs.queue import queue_job
from napari_pathsrgan.jobs.record import RESULT, JobRecord
from napari_pathsrgan.jobs.supervisor import work

STEP_S = 0.02
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def count(steps: int, out: Path) -> tuple[int, str]:
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    report = progress_file()
    assert report is not None
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    sys.stdout.write(f"begins at {done}\n")
    while done < steps and not stopping:
        time.sleep(STEP_S)
        done += 1
        report(done, steps, "Counting")
        measure(out, done)
        if done % 10 == 0:
            save(checkpoint, done)
    save(checkpoint, done)
    return (0, "") if done >= steps else (130, "")


def measure(out: Path, done: int) -> None:
    """Keep figures and images as a training does."""
    row = {
        "step": done,
        "phase": 1,
        "learning_rate": 1e-5,
        "losses": {"pixel": 1 / done, "adversarial": 2.0},
        "psnr_20x": 20 + done / 10,
    }
    with (out / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    if done % 10 == 0:
        (out / "samples").mkdir(exist_ok=True)
        (out / "samples" / f"step-{done}.png").write_bytes(PNG)


def save(checkpoint: Path, done: int) -> None:
    partial = checkpoint.with_name("partial")
    partial.write_text(str(done))
    partial.replace(checkpoint)


class CountOptions(Options):
    """What is counted.

    Attributes
    ----------
    steps : int
        How far.
    out : Path
        Where the checkpoint lies.
    ending : str
        How it ends badly: fail, crash, vanish, or a signal's number.
    """

    steps: Annotated[int, POSITIONAL] = 0
    out: Path = Path(RESULT)
    ending: str = ""


def run(options: CountOptions, _: bool) -> int | None:
    """Count."""
    raise AssertionError  # jobs that count have a process that loads less: this one


COUNT = Command(name="count", options=CountOptions, run=run, runs_as_job=True)


def queue_count(steps: int = 0, out: str = RESULT, ending: str = "", title: str = "Count") -> Job:
    """Queue a job that counts."""
    return queue_job("count", {"steps": steps, "out": out, "ending": ending}, title)


def run_record(record: JobRecord) -> tuple[int, str]:
    options = CountOptions.model_validate(record.options)
    match options.ending:
        case "":
            return count(options.steps, options.out)
        case "fail":
            return 2, "The scans show different slides. Check the names."
        case "crash":
            raise RuntimeError("a defect")
        case "vanish":
            os._exit(3)
    if int(options.ending) == signal.SIGSEGV:
        faulthandler._sigsegv()  # really reads where nothing is
    os.kill(os.getpid(), int(options.ending))
    signal.pause()
    raise AssertionError(options)


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1]), run_record))
