"""The inference process: ``python -m napari_pathsrgan.inference.worker BUFFER DEVICE PRECISION RUNTIME THREADS``.

It owns the device. Requests come as JSON lines on its standard input and are answered on its standard output; pixels
go through a `WindowBuffer`. It ends when its input does, that is when the process that started it has gone, however.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil
import torch

from napari_pathsrgan.errors import CheckpointError, PathSRGANError
from napari_pathsrgan.inference.engine import Engine, default_threads, load_model
from napari_pathsrgan.inference.window_buffer import WindowBuffer
from napari_pathsrgan.slides.foreground import Glass

if TYPE_CHECKING:
    from napari_pathsrgan.inference.arithmetic import Precision, Runtime

_KEPT_ENGINES = 2
"""Models kept loaded, so that going back to the last one costs nothing."""


def serve(
    requests: IO[str], answers: IO[str], buffer: WindowBuffer, device: str, precision: Precision, runtime: Runtime
) -> None:
    """Answer requests until there are no more.

    Parameters
    ----------
    requests, answers : text streams
        JSON lines. A request names ``id``, ``model`` (a file) and ``identity`` (the hash its weights must have, or
        empty); with ``slot``, ``shape``, ``stage``, ``halo`` and ``glass`` it is a window to compute, without it only
        loads the model.
    buffer : WindowBuffer
    device, precision, runtime : str
        See `Engine`.
    """
    engines: dict[str, Engine] = {}
    for line in requests:
        request = json.loads(line)
        answer: dict[str, Any] = {"id": request["id"]}
        try:
            engine = _engine(engines, request, device, precision, runtime)
            answer |= {
                "device": str(engine.device),
                "precision": engine.precision,
                "runtime": engine.arithmetic.runtime,
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
    engines: dict[str, Engine], request: dict[str, Any], device: str, precision: Precision, runtime: Runtime
) -> Engine:
    model, identity = request["model"], request["identity"]
    if model in engines and identity and engines[model].identity != identity:
        del engines[model]  # the file was replaced, and whoever asks knows it
    if model not in engines:
        while len(engines) >= _KEPT_ENGINES:
            engines.pop(next(iter(engines)))
        engines[model] = load_model(Path(model), device, precision, runtime)
    engine = engines[model] = engines.pop(model)  # the most recently used one is last
    if identity and engine.identity != identity:
        raise CheckpointError(
            f"The model file {Path(model).name} was replaced while it was in use.", "Choose the model again."
        )
    return engine


def _compute(engine: Engine, request: dict[str, Any], buffer: WindowBuffer) -> dict[str, Any]:
    began = time.perf_counter()
    slot = request["slot"]
    window = buffer.view(slot, "lr", *request["shape"])
    glass = None if request["glass"] is None else Glass(*request["glass"])
    mr, hr, computed = engine.run(window, request["stage"], glass, request["halo"])
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


def _leave_tidily() -> None:
    """Have a closed terminal end this process by an exception, so that the shared file is removed."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: sys.exit(0))


def main() -> None:
    """Serve on the standard streams; nothing else may write to standard output."""
    buffer_path, device, precision, runtime, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _lower_priority()
    _leave_tidily()
    torch.set_num_threads(int(threads) or default_threads())
    path = Path(buffer_path)
    try:
        serve(sys.stdin, answers, WindowBuffer(path), device, precision, runtime)  # type: ignore[arg-type]
    except (BrokenPipeError, KeyboardInterrupt):
        pass
    finally:
        # Whoever made the file has gone, or is about to remove it as well.
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
