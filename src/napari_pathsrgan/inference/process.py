"""The window's side of the inference process: starts it, feeds it, and starts it again if it dies. Imports no torch."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from napari_pathsrgan.child_processes import child_environment, python_command
from napari_pathsrgan.errors import PathSRGANError, WorkerError
from napari_pathsrgan.inference.execution import network_product
from napari_pathsrgan.inference.network_parts import Pictures
from napari_pathsrgan.inference.window_buffer import SLOTS, WindowBuffer
from napari_pathsrgan.models.card import ModelCard, read_card
from napari_pathsrgan.models.zoo import find_model
from napari_pathsrgan.tiles.covering import Rectangle

if TYPE_CHECKING:
    from napari_pathsrgan.inference.execution import Execution
    from napari_pathsrgan.slides.foreground import SlideBackground
    from napari_pathsrgan.tiles.product import Product
    from napari_pathsrgan.types import Pixels

MOST_RESTARTS, WITHIN_S = 3, 60.0
"""A process that dies more often than this is given up: it would die again."""

_SURROUNDINGS = {
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TOP_PAD_": "67108864",
    "GOMP_SPINCOUNT": "3000",
}
"""Environment of the process. glibc keeps the memory that every window needs again, which saves thousands of page
faults; other allocators ignore it. OpenMP's threads wait for each other asleep rather than spinning: without a
graphics card the window draws on the same cores, and a thread that spins while its neighbour's core draws takes the
other core as well (`benchmarks/first_tile.py` sees it)."""


@dataclass(frozen=True)
class WorkerStatus:
    """What the inference process last said of itself.

    Attributes
    ----------
    device, precision, backend : str
        Empty before the first model is loaded.
    threads : int
    deviation : str
        Of a preview, once it is known: how far it is off.
    mpx_per_s : float
        20× pixels computed per second of network time, over the last windows; 0 before the first.
    restarts : int
        How often it died and was started again.
    """

    device: str = ""
    precision: str = ""
    backend: str = ""
    threads: int = 0
    deviation: str = ""
    mpx_per_s: float = 0.0
    restarts: int = 0


@dataclass
class _Request:
    future: Future[Pictures | None]
    slot: int | None
    shape: tuple[int, int]


class InferenceProcess:
    """One inference process, shared by every slide and model of a session.

    It is started by the first request. All methods may be called from any thread; `run` and `submit` wait while all
    slots are taken.

    Parameters
    ----------
    device, precision, backend : str
        See `inference.engine.Engine`.
    threads : int
        For the network on a CPU; 0 for the default.
    on_restart : callable, optional
        Told, from a thread of ours, when the process died.
    """

    def __init__(
        self,
        device: str = "auto",
        precision: str = "auto",
        backend: str = "auto",
        threads: int = 0,
        on_restart: Callable[[], None] | None = None,
    ) -> None:
        self._arguments = [device, precision, backend, str(threads)]
        self.precision = precision
        self._on_restart = on_restart
        self._lock = threading.RLock()
        self._free_slots = threading.Semaphore(SLOTS)
        self._slots = list(range(SLOTS))
        self._requests: dict[int, _Request] = {}
        self._next_id = 0
        self._process: subprocess.Popen[str] | None = None
        self._buffer: WindowBuffer | None = None
        self._log: IO[bytes] | None = None
        self._deaths: deque[float] = deque(maxlen=MOST_RESTARTS + 1)
        self._speeds: deque[tuple[float, float]] = deque(maxlen=20)
        self._closed = False
        self.status = WorkerStatus()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def load(self, model: Path, product: str = "") -> Future[Pictures | None]:
        """Have a model loaded ahead of its first window; the future holds None, or the reason it can't be loaded.

        `product` as for `submit`.
        """
        return self._send({"model": str(model), "product": product}, None, (0, 0))

    def submit(
        self, model: Path, window: Pixels, stage: int, background: SlideBackground | None, halo: int, product: str = ""
    ) -> Future[Pictures | None]:
        """Compute a window, see `Engine.run`.

        `product` is the text of what must come of the file's weights, so that a file replaced meanwhile is not taken
        for the model it was; empty for any.

        Returns
        -------
        Future of (10× picture, 20× picture or None)
            Its exception is a `PathSRGANError`; a `WorkerError` if the process died, and trying again may help.
        """
        self._free_slots.acquire()
        with self._lock:
            slot = self._slots.pop()
            try:
                shape = (window.shape[0], window.shape[1])
                self._ensure_running().view(slot, "lr", *shape)[:] = window
                message = {
                    "model": str(model),
                    "product": product,
                    "slot": slot,
                    "shape": shape,
                    "stage": stage,
                    "halo": halo,
                    "background": None if background is None else [background.white, background.noise],
                }
                return self._send(message, slot, shape)
            except BaseException:
                self._release(slot)
                raise

    def close(self) -> None:
        """End the process and free the shared pixels; unfinished futures fail."""
        with self._lock:
            self._closed = True
            process, buffer = self._process, self._buffer
            self._process = self._buffer = None
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._reader.join(5)
        if buffer is not None:
            buffer.close()
        with self._lock:
            lost = self._drop_requests()
        _fail(lost, WorkerError("The inference process was ended.", "Open the slide again."))
        if self._log is not None:
            self._log.close()

    def _ensure_running(self) -> WindowBuffer:
        if self._closed:
            raise WorkerError("The inference process was ended.", "Open the slide again.")
        if self._process is None:
            recent = [death for death in self._deaths if time.monotonic() - death < WITHIN_S]
            if len(recent) > MOST_RESTARTS:
                raise WorkerError(
                    f"The inference process keeps stopping{self._last_words()}.",
                    "Choose the CPU or another precision under Advanced, or run `pathsrgan doctor`.",
                )
            self._start()
        assert self._buffer is not None
        return self._buffer

    def _start(self) -> None:
        try:
            if self._buffer is None:
                self._buffer = WindowBuffer.create()
            if self._log is None:
                self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as we do
            started: Future[subprocess.Popen[str]] = Future()
            self._reader = threading.Thread(
                target=self._serve, args=(started, self._buffer, self._log), name="pathsrgan-inference", daemon=True
            )
            self._reader.start()
            self._process = started.result()
        except OSError as error:
            raise WorkerError(
                f"The inference process can't be started: {error}.", "Free some memory and disk space, and try again."
            ) from error

    def _serve(self, started: Future[subprocess.Popen[str]], buffer: WindowBuffer, log: IO[bytes]) -> None:
        """Start the process and read its answers until it ends.

        Both in one thread: Linux kills the process as soon as the thread that started it ends, see `worker_start`.
        """
        try:
            process = self._launch(buffer, log)
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(process)
        self._read(process)

    def _launch(self, buffer: WindowBuffer, log: IO[bytes]) -> subprocess.Popen[str]:
        module = "napari_pathsrgan.inference.worker_start"
        return subprocess.Popen(
            python_command("-m", module, str(os.getpid()), buffer.reference, *self._arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**_SURROUNDINGS, **child_environment()},
            pass_fds=buffer.descriptors,
        )

    def _send(self, message: dict[str, Any], slot: int | None, shape: tuple[int, int]) -> Future[Pictures | None]:
        with self._lock:
            self._ensure_running()
            number, self._next_id = self._next_id, self._next_id + 1
            future: Future[Pictures | None] = Future()
            future.set_running_or_notify_cancel()
            self._requests[number] = _Request(future, slot, shape)
            assert self._process is not None
            assert self._process.stdin is not None
            # An OSError means that it has just died: the reader sees the end of its output and fails this request.
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps({"id": number, **message}) + "\n")
                self._process.stdin.flush()
            return future

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self._take(json.loads(line))
            except ValueError:
                break  # half a line: it was killed while it wrote
        process.kill()
        process.wait()
        process.stdout.close()
        assert process.stdin is not None
        with self._lock:
            with contextlib.suppress(OSError):  # what was written last can't be flushed any more
                process.stdin.close()
            died = self._process is process and not self._closed
            if died:
                self._process = None
                self._deaths.append(time.monotonic())
                self.status = WorkerStatus(restarts=self.status.restarts + 1)
                # In the same breath: a request that comes in next belongs to the next process.
                lost = self._drop_requests()
        if died:
            _fail(lost, WorkerError("The inference process stopped.", "It is started again by itself."))
            if self._on_restart:
                self._on_restart()

    def _take(self, answer: dict[str, Any]) -> None:
        with self._lock:
            if self._closed:
                return  # `close` fails what is left
            request = self._requests.pop(answer["id"], None)
            if request is None:
                return
            pictures: Pictures | None = None
            if "problem" not in answer:
                pictures = self._fetch(request, answer)
                speed = self._speed(request, answer)
                self.status = WorkerStatus(
                    answer["device"],
                    answer["precision"],
                    answer["backend"],
                    answer["threads"],
                    answer["deviation"],
                    speed,
                    self.status.restarts,
                )
            if request.slot is not None:
                self._release(request.slot)
        # Outside the lock: whoever waits for the future may ask for the next window at once.
        if "problem" in answer:
            request.future.set_exception(PathSRGANError(answer["problem"], answer["remedy"]))
        else:
            request.future.set_result(pictures)

    def _fetch(self, request: _Request, answer: dict[str, Any]) -> Pictures | None:
        if request.slot is None:
            return None
        assert self._buffer is not None
        mr = self._buffer.view(request.slot, "mr", *answer["mr"]).copy()
        hr = self._buffer.view(request.slot, "hr", *answer["hr"]).copy() if answer["hr"] else None
        return Pictures(mr, hr, [Rectangle(*part) for part in answer["computed"]])

    def _speed(self, request: _Request, answer: dict[str, Any]) -> float:
        if request.slot is not None and answer["hr"]:
            self._speeds.append((answer["hr"][0] * answer["hr"][1] / 1e6, answer["seconds"]))
        seconds = sum(part[1] for part in self._speeds)
        return sum(part[0] for part in self._speeds) / seconds if seconds else 0.0

    def _release(self, slot: int) -> None:
        self._slots.append(slot)
        self._free_slots.release()

    def _drop_requests(self) -> list[_Request]:
        """Forget all requests and free their slots; the lock is held."""
        requests, self._requests = list(self._requests.values()), {}
        for request in requests:
            if request.slot is not None:
                self._release(request.slot)
        return requests

    def _last_words(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""


def _fail(requests: list[_Request], error: WorkerError) -> None:
    for request in requests:
        request.future.set_exception(error)


class ProcessModel:
    """A model that runs in an `InferenceProcess`; to `SuperResolvedSlide` it is as good as an `Engine`.

    Parameters
    ----------
    process : InferenceProcess
    reference : str or Path
        See `models.zoo.find_model`.

    Raises
    ------
    CheckpointError, CardMismatchError
        If there is no such model, or its card is wrong.
    """

    def __init__(self, process: InferenceProcess, reference: str | Path) -> None:
        self.process = process
        self.path = find_model(reference)
        self.card: ModelCard = read_card(self.path)

    @property
    def product(self) -> Product:
        """See `Engine.product`."""
        return network_product(self.card.weights_hash, self.process.precision)

    @property
    def halo(self) -> int:
        """See `Engine.halo`."""
        return self.card.halo_lr_px

    def at_once(self) -> AbstractContextManager[int]:
        """See `Engine.at_once`; the process computes one after the other."""
        return nullcontext(1)

    @property
    def execution(self) -> Execution | None:
        """None: the process settles it once it has loaded the model, and anew each time it is started."""
        return None

    def submit(
        self, window: Pixels, stage: int, background: SlideBackground | None, halo: int
    ) -> Future[Pictures | None]:
        """See `InferenceProcess.submit`."""
        return self.process.submit(self.path, window, stage, background, halo, self.product.text)

    def run(self, window: Pixels, stage: int, background: SlideBackground | None = None, halo: int = 0) -> Pictures:
        """See `Engine.run`; waits for the other process."""
        pictures = self.submit(window, stage, background, halo).result()
        assert pictures is not None
        return pictures
