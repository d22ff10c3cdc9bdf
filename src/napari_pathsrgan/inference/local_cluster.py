"""Dask workers of this machine that talk to this run alone: every connection needs a key that was made for it.

Dask's messages are pickled: who may send one to a worker or a scheduler can run any program as its user. So connections
are encrypted, and both ends show a certificate whose key exists in the memory of this run's processes only. Dask's HTTP
servers know no keys, and are not started.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import Client, Nanny, Scheduler, SpecCluster, Worker
from distributed.security import Security

from napari_pathsrgan.child_processes import safe_children

_WORKER_THREADS = 2
"""One in the network while the other reads or writes."""
_LOOPBACK = "127.0.0.1"


class SilentScheduler(Scheduler):
    """A scheduler without an HTTP server."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start none."""


class SilentWorker(Worker):
    """A worker without an HTTP server."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start none."""


@contextmanager
def local_workers(count: int) -> Iterator[Client]:
    """Run workers, each a process, as long as the block runs; gives a client of theirs."""
    security = Security.temporary()
    address = {"host": _LOOPBACK, "protocol": "tls://", "security": security}
    with tempfile.TemporaryDirectory(prefix="pathsrgan-workers-") as folder, safe_children():
        options = {
            **address,
            "worker_class": SilentWorker,
            "nthreads": _WORKER_THREADS,
            "memory_limit": 0,
            "local_directory": folder,
            "silence_logs": logging.WARNING,
        }
        with (
            SpecCluster(
                workers={number: {"cls": Nanny, "options": options} for number in range(count)},
                scheduler={"cls": SilentScheduler, "options": address},
                security=security,
                silence_logs=logging.WARNING,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
