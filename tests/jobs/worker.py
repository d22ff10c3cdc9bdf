"""The process of a job in tests: its verb counts, the way verbs do, and takes no time to load.

``count N`` tells its progress, keeps a checkpoint in ``--out`` every ten steps, stops after the current step when it
gets SIGTERM, and goes on from its checkpoint. ``fail``, ``crash``, ``vanish`` and ``die`` end badly.
"""

from __future__ import annotations

import base64
import faulthandler
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from napari_pathsrgan.jobs.progress import asked_for
from napari_pathsrgan.jobs.worker import work

STEP_S = 0.02
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def count(steps: int, out: Path) -> tuple[int, str]:
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    tell = asked_for()
    assert tell is not None
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    sys.stdout.write(f"begins at {done}\n")
    while done < steps and not stopping:
        time.sleep(STEP_S)
        done += 1
        tell(done, steps, "Counting")
        measure(out, done)
        if done % 10 == 0:
            save(checkpoint, done)
    save(checkpoint, done)
    return (0, "") if done >= steps else (130, "")


def measure(out: Path, done: int) -> None:
    """Keep figures and pictures as a training does."""
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


def run_verb(argv: Sequence[str]) -> tuple[int, str]:
    match list(argv)[1:]:
        case ["count", steps, "--out", out]:
            return count(int(steps), Path(out))
        case ["fail"]:
            return 2, "The scans show different slides. Check the names."
        case ["crash"]:
            raise RuntimeError("not foreseen")
        case ["vanish"]:
            os._exit(3)
        case ["die", number]:
            if int(number) == signal.SIGSEGV:
                faulthandler._sigsegv()  # really reads where nothing is
            os.kill(os.getpid(), int(number))
            signal.pause()
    raise AssertionError(argv)


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1]), run_verb))
