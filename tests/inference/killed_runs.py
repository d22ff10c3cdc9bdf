"""``python killed_runs.py SLIDE MODEL OUT KILLS``: fill a store, killed again and again, then once in peace.

Each run is a fork of this process, which has imported everything but computed nothing: what kills it is SIGKILL.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from napari_pathsrgan.inference.engine import load_model
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.slides.open_slide import open_slide


def run(slide: str, model: str, out: str) -> None:
    torch.set_num_threads(1)
    with open_slide(slide) as opened:
        write_whole_slide(super_resolve(opened, load_model(model, "cpu", "fp32")), Path(out))


def main() -> None:
    slide, model, out, kills = sys.argv[1:]
    chance = random.Random(7)
    killed = 0
    for _ in range(int(kills)):
        child = os.fork()
        if child == 0:
            run(slide, model, out)
            os._exit(0)
        time.sleep(chance.uniform(0.05, 1.0))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    sys.stdout.write(str(killed))
    run(slide, model, out)


if __name__ == "__main__":
    main()
