"""What the inference process does: it owns the device, and computes windows for the process that started it.

Requests come as JSON lines on its standard input and are answered on its standard output; pixels go through a
`WindowBuffer`. It ends at once when its input ends, that is when the process that started it has gone, however; also in
the middle of a window.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil
import torch

from napari_pathsrgan.errors import CheckpointError, PathSRGANError
from napari_pathsrgan.inference.engine import Engine, default_threads, load_model
from napari_pathsrgan.inference.window_buffer import WindowBuffer
from napari_pathsrgan.slides.foreground import SlideBackground

if TYPE_CHECKING:
    from napari_pathsrgan.inference.backend import BackendName, Precision

_KEPT_ENGINES = 2
"""Models kept loaded, so that going back to the last one costs nothing."""


def serve(
    requests: Iterable[str],
    answers: IO[str],
    buffer: WindowBuffer,
    device: str,
    precision: Precision,
    backend: BackendName,
) -> None:
    """Answer requests until there are no more.

    Parameters
    ----------
    requests, answers : lines of text, text stream
        JSON. A request names ``id``, ``model`` (a file) and ``product`` (text of what must come of it, or
        empty); with ``slot``, ``shape``, ``stage``, ``halo`` and ``background`` it is a window to compute, without it
        only loads the model.
    buffer : WindowBuffer
    device, precision, backend : str
        See `Engine`.
    """
    engines: dict[str, Engine] = {}
    for line in requests:
        request = json.loads(line)
        answer: dict[str, Any] = {"id": request["id"]}
        try:
            engine = _engine(engines, request, device, precision, backend)
            answer |= {
                "device": str(engine.device),
                "precision": engine.precision,
                "backend": engine.execution.backend,
                "threads": torch.get_num_threads(),
            }
            if "slot" in request:
                answer |= _compute(engine, request, buffer)
            answer["deviation"] = str(engine.deviation or "")
        except PathSRGANError as error:
            answer |= {"problem": error.problem, "remedy": error.remedy}
        except torch.OutOfMemoryError:
            answer |= {
                "problem": "The graphics card has no memory left for this model.",
                "remedy": "Close other programs that use it, or choose the CPU under Advanced.",
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _engine(
    engines: dict[str, Engine], request: dict[str, Any], device: str, precision: Precision, backend: BackendName
) -> Engine:
    model, product = request["model"], request["product"]
    if model in engines and product and engines[model].product.text != product:
        del engines[model]  # the file was replaced, and whoever asks knows it
    if model not in engines:
        while len(engines) >= _KEPT_ENGINES:
            engines.pop(next(iter(engines)))
        engines[model] = load_model(Path(model), device, precision, backend)
    engine = engines[model] = engines.pop(model)  # the most recently used one is last
    if product and engine.product.text != product:
        raise CheckpointError(
            f"The model file {Path(model).name} was replaced while it was in use.", "Choose the model again."
        )
    return engine


def _compute(engine: Engine, request: dict[str, Any], buffer: WindowBuffer) -> dict[str, Any]:
    began = time.perf_counter()
    slot = request["slot"]
    window = buffer.view(slot, "lr", *request["shape"])
    background = None if request["background"] is None else SlideBackground(*request["background"])
    mr, hr, computed = engine.run(window, request["stage"], background, request["halo"])
    buffer.view(slot, "mr", *mr.shape[:2])[:] = mr
    if hr is not None:
        buffer.view(slot, "hr", *hr.shape[:2])[:] = hr
    return {
        "mr": mr.shape[:2],
        "hr": None if hr is None else hr.shape[:2],
        "computed": computed,
        "seconds": time.perf_counter() - began,
    }


def _lower_priority() -> None:
    """Let the window go first wherever the two want the same core: without a graphics card it draws on them too."""
    process = psutil.Process()
    if sys.platform == "win32":
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        process.nice(15)


def lines_while_parent_lives(stream: IO[str]) -> Iterator[str]:
    """Give the lines of a stream; end this process as soon as the stream ends, whatever it computes then."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, name="pathsrgan-requests", daemon=True).start()
    while True:
        yield lines.get()


def main(buffer: str, device: str, precision: Precision, backend: BackendName, threads: str) -> None:
    """Serve on the standard streams; nothing else may write to standard output.

    Parameters
    ----------
    buffer : str
        See `WindowBuffer.reference`.
    device, precision, backend : str
        See `Engine`.
    threads : str
        Number of them for the network on a CPU; "0" for the default.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _lower_priority()
    torch.set_num_threads(int(threads) or default_threads())
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(lines_while_parent_lives(sys.stdin), answers, WindowBuffer.attach(buffer), device, precision, backend)
