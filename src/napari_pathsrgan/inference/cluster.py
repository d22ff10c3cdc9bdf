"""A whole slide's jobs on dask workers, of this machine or of a cluster.

Workers read the slide, run the network and write tiles straight into the store: only job lists and counts travel. So
slide and store lie where every worker sees them under the same path. The model is loaded once per worker process. A
worker that is lost costs the tiles it had under way: dask gives its jobs to others, and these find what was written.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathsrgan.errors import CheckpointError, OptionError, SlideUnreadableError, WorkerError
from napari_pathsrgan.inference.tile_writer import Job, TileWriter, WriteSummary

if TYPE_CHECKING:
    from distributed import Client

    from napari_pathsrgan.inference.backend import BackendName, Precision
    from napari_pathsrgan.inference.exact_levels import ExactLevels
    from napari_pathsrgan.slides.foreground import SlideBackground
    from napari_pathsrgan.slides.pyramid_store import PyramidStore
    from napari_pathsrgan.tiles.product import Product

_AHEAD = 3
"""Jobs per thread that wait at the scheduler: none runs dry, and few are lost when everything stops."""
_PATIENCE_S = 30


@dataclass(frozen=True)
class Setup:
    """What a worker needs to know to do jobs; the same for all of them.

    Attributes
    ----------
    slide, store : Path
        As every worker sees them.
    mpp : float, optional
        Pixel size that the user told.
    fingerprint : str
    product : Product
        Of the slide and of the model, so that another file of the same name is not taken for it.
    background : SlideBackground, optional
    model, device, precision, backend : str
        See `load_model`.
    threads : int
        For the network on a CPU; 0 leaves it to torch.
    """

    slide: Path
    store: Path
    mpp: float | None
    fingerprint: str
    product: Product
    background: SlideBackground | None
    model: str
    device: str
    precision: Precision
    backend: BackendName
    threads: int


class Cluster:
    """Has jobs done by dask workers; a `whole_slide.Executor`.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler; the workers have napari-pathsrgan installed.
    model : str or Path
        What workers load: a shipped name, or a file that they see.
    device, precision, backend : str
        See `load_model`.
    threads : int
        For each worker's network on a CPU; 0 leaves it to torch.
    mpp : float, optional
        Pixel size of the slide that the user told.
    """

    def __init__(
        self,
        client: Client,
        model: str | Path,
        device: str = "auto",
        precision: Precision = "auto",
        backend: BackendName = "auto",
        threads: int = 0,
        mpp: float | None = None,
    ) -> None:
        self._client = client
        self._model = str(Path(model).resolve()) if Path(model).exists() else str(model)
        self._device, self._precision, self._backend = device, precision, backend
        self._threads, self._mpp = threads, mpp

    def __call__(
        self, super_resolved: ExactLevels, store: PyramidStore, jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, WriteSummary]]:
        """Do jobs; yields each with what was done, in any order.

        Raises
        ------
        WorkerError
            If jobs keep ending the workers that do them.
        PathSRGANError
            What a worker met: a full disk, a model that it doesn't see.
        """
        from distributed import KilledWorker, as_completed

        setup = Setup(
            super_resolved.slide.path.resolve(),
            store.path.resolve(),
            self._mpp,
            super_resolved.slide.fingerprint,
            super_resolved.product,
            super_resolved.background,
            self._model,
            self._device,
            self._precision,
            self._backend,
            self._threads,
        )
        waiting = iter(jobs)
        under_way: dict[Any, Job] = {}
        finished = as_completed()

        def top_up() -> None:
            """Submit as much as the workers of this moment want: on a cluster, they come and go."""
            wanted = _AHEAD * max(1, sum(self._client.nthreads().values()))
            for job in itertools.islice(waiting, max(0, wanted - len(under_way))):
                future = self._client.submit(write_job, setup, job, pure=False)
                under_way[future] = job
                finished.add(future)

        try:
            top_up()
            for future in finished:
                job = under_way.pop(future)
                try:
                    filled: WriteSummary = future.result()
                except KilledWorker as error:
                    raise WorkerError(
                        "Workers keep stopping over the same tiles.", "Give them more memory, and look at their logs."
                    ) from error
                top_up()
                yield job, filled
        finally:
            self._client.cancel(list(under_way))


def refuse_workers(scheduler: str | None, plain_tcp: bool = False) -> None:
    """Raise OptionError if dask.distributed is not installed, or a scheduler's address is not secure; torch-free."""
    try:
        from distributed.security import Security
    except ImportError as error:
        raise OptionError(
            "Workers need dask.distributed, which is not installed.",
            "Install it with `pip install 'napari-pathsrgan[cluster]'`.",
        ) from error
    if scheduler is not None:
        _check_security(scheduler, plain_tcp, _has_keys(Security()))


@contextmanager
def connected(scheduler: str | None, workers: int, plain_tcp: bool = False) -> Iterator[tuple[Client, int]]:
    """Connect to a dask scheduler, or start workers on this machine for as long as the block runs.

    Parameters
    ----------
    scheduler : str, optional
        Its address, such as tls://10.0.0.1:8786; with the keys that dask's configuration names.
    workers : int
        Processes to start here where there is no scheduler.
    plain_tcp : bool
        Whether the scheduler may be on another machine without TLS: everybody in that network can then run programs as
        this user.

    Yields
    ------
    distributed.Client, int
        And the threads that each worker's network should take; 0 where that is the cluster's business.

    Raises
    ------
    OptionError
        If dask.distributed is not installed, no scheduler answers, or its connection is not secure.
    """
    refuse_workers(scheduler, plain_tcp)
    from napari_pathsrgan.inference.local_cluster import local_workers

    if scheduler is not None:
        with _connect(scheduler) as client:
            yield client, 0
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    with local_workers(workers) as client:
        yield client, max(1, cores // workers)


def _connect(scheduler: str) -> Client:
    from distributed import Client
    from distributed.security import Security

    try:
        return Client(scheduler, timeout=_PATIENCE_S, security=Security())  # as dask's configuration has it
    except (OSError, ValueError, TypeError) as error:
        raise OptionError(
            f"No dask scheduler answers at {scheduler}.", "Start one with `dask scheduler`, and give its address."
        ) from error


def _has_keys(security: Any) -> bool:
    return bool(security.tls_ca_file and security.tls_client_cert)


def _check_security(scheduler: str, plain_tcp: bool, has_keys: bool) -> None:
    """Refuse an address where others could run programs as this user."""
    protocol, _, place = scheduler.rpartition("://")
    if protocol in ("tls", "wss"):
        if not has_keys:
            raise OptionError(
                f"The scheduler at {scheduler} wants TLS keys, and dask's configuration names none.",
                "Set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__CLIENT__CERT and …__CLIENT__KEY to their files.",
            )
    elif not plain_tcp and not _is_loopback(place):
        raise OptionError(
            f"The connection to the scheduler at {scheduler} has no keys: others could run programs as you.",
            "Start the scheduler with TLS and give its tls:// address; or add --plain-tcp if you trust the network.",
        )


def _is_loopback(place: str) -> bool:
    host = place.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_writers: dict[Setup, TileWriter] = {}
_making = threading.Lock()


def write_job(setup: Setup, job: Job) -> WriteSummary:
    """Do a job in a worker, which keeps slide and model open for the next one."""
    with _making:
        if setup not in _writers:
            _writers.clear()
            _writers[setup] = _make_writer(setup)
        writer = _writers[setup]
    return writer.fill(job)


def _make_writer(setup: Setup) -> TileWriter:
    import torch

    from napari_pathsrgan.inference.allocator import keep_memory
    from napari_pathsrgan.inference.engine import load_model
    from napari_pathsrgan.inference.exact_levels import ExactLevels
    from napari_pathsrgan.slides.open_slide import open_slide
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

    keep_memory()
    if setup.threads:
        torch.set_num_threads(setup.threads)
    slide = open_slide(setup.slide, setup.mpp)
    engine = load_model(setup.model, setup.device, setup.precision, setup.backend)
    if slide.fingerprint != setup.fingerprint:
        raise SlideUnreadableError(
            f"A worker sees another slide at {setup.slide}.", "Put it where all workers see the same file."
        )
    if engine.product != setup.product:
        raise CheckpointError(
            f"A worker's model “{setup.model}” has other weights.", "Give a file that all workers see."
        )
    view = ExactLevels(slide, engine, skip_background=False)
    view.background = setup.background
    return TileWriter(view, PyramidStore.open(setup.store))
