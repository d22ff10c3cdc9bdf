"""Dask workers: the pixels of one process, and a lost worker loses nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client

from napari_pathsrgan.errors import CheckpointError, OptionError
from napari_pathsrgan.inference import cluster
from napari_pathsrgan.inference.cluster import Cluster, connected, write_job
from napari_pathsrgan.inference.engine import load_model
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide, super_resolve
from napari_pathsrgan.inference.tile_writer import Job, WriteSummary
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .networks import write_tiny_model
from .specimens import specimen, write_slide


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def super_resolved(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuperResolvedSlide]:
    path = write_slide(tmp_path_factory.mktemp("slide") / "slide.tiff", specimen(700, 900))
    with open_slide(path) as slide:
        yield super_resolve(slide, load_model(model, "cpu", "fp32"))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with connected(None, 2) as (client, threads):
        assert threads >= 1
        yield client


def assert_same(path: Path, other: Path) -> None:
    one, another = (PyramidStore.open(folder) for folder in (path, other))
    for level in range(len(one.level_shapes)):
        assert list(one.tiles(level)) == list(another.tiles(level))
        np.testing.assert_array_equal(one.array(level)[:], another.array(level)[:])


def test_two_workers_one_killed_midway_give_the_pixels_of_one_process(
    client: Client, super_resolved: SuperResolvedSlide, model: Path, tmp_path: Path
) -> None:
    write_whole_slide(super_resolved, tmp_path / "alone.ome.zarr")
    shared = Cluster(client, model, "cpu", "fp32", threads=1)
    victims = list(client.run(os.getpid).values())

    def killing(
        view: SuperResolvedSlide, store: PyramidStore, jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, WriteSummary]]:
        for number, done in enumerate(shared(view, store, jobs)):
            if number == 4:
                os.kill(victims[0], signal.SIGKILL)
            yield done

    told: list[tuple[int, int]] = []
    done = write_whole_slide(
        super_resolved,
        tmp_path / "shared.ome.zarr",
        executor=killing,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1][0] == told[-1][1]
    levels = range(super_resolved.grid.n_levels)
    assert done.tiles == sum(int(np.prod(super_resolved.grid.n_tiles(level))) for level in levels)
    assert_same(tmp_path / "shared.ome.zarr", tmp_path / "alone.ome.zarr")


def test_what_a_worker_meets_is_told_in_a_sentence(
    client: Client, super_resolved: SuperResolvedSlide, tmp_path: Path
) -> None:
    other = write_tiny_model(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(CheckpointError, match="has other weights"):
        write_whole_slide(super_resolved, tmp_path / "out.ome.zarr", executor=Cluster(client, other, "cpu", "fp32"))


def test_a_worker_loads_the_model_once(
    super_resolved: SuperResolvedSlide, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[cluster.Setup] = []
    make = cluster._make_writer
    monkeypatch.setattr(cluster, "_make_writer", lambda setup: made.append(setup) or make(setup))
    write_whole_slide(super_resolved, tmp_path / "out.ome.zarr", region=(0, 0, 100, 100))
    setup = cluster.Setup(
        super_resolved.slide.path,
        tmp_path / "out.ome.zarr",
        None,
        super_resolved.slide.fingerprint,
        super_resolved.product,
        super_resolved.background,
        str(model),
        "cpu",
        "fp32",
        "torch",
        1,
    )
    assert [write_job(setup, Job(0, ((0, col),))).written for col in (0, 1, 2)] == [0, 2, 2]
    assert made == [setup]
    cluster._writers.clear()


REFUSED = """
import os, socket, ssl, sys
"loaded while its file can be read".encode("idna")
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
answered = []
for port in map(int, sys.argv[1:]):
    for secure in (False, True):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.settimeout(10)
            try:
                connection = plain
                if secure:
                    context = ssl._create_unverified_context()
                    connection = context.wrap_socket(plain)
                connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n" + bytes(64))
                if connection.recv(1) not in (b"", b"\\x15"):  # a TLS alert is a refusal, too
                    answered.append((port, secure))
            except OSError:
                pass
sys.exit(f"answered: {answered}" if answered else 0)
"""


def as_another_user(*ports: str) -> str:
    """Knock at sockets with and without TLS but without a key, as another user where that is allowed (as root)."""
    command = [sys.executable, "-I", "-c", REFUSED, *ports]
    return subprocess.run(command, cwd="/", check=False, capture_output=True, text=True).stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's list of sockets")
def test_another_user_is_refused_by_every_socket(client: Client) -> None:
    assert sorted(client.run(os.getuid).values()) == [os.getuid()] * 2  # all are up
    me = psutil.Process()
    sockets = [
        connection
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {connection.laddr.ip for connection in sockets} == {"127.0.0.1"}
    ports = sorted({str(connection.laddr.port) for connection in sockets})
    assert len(ports) == 5  # the scheduler, and two workers with a nanny each; no HTTP server
    assert as_another_user(*ports) == ""


def test_another_user_would_be_seen_where_a_socket_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                with server.accept()[0] as connection:
                    connection.sendall(b"welcome")
                    connection.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]
        assert as_another_user(str(port)) == f"answered: [({port}, False)]\n"
        thread.join()


def test_keys_of_another_run_are_refused(client: Client) -> None:
    from distributed.security import Security

    with pytest.raises(OSError, match=r"(?i)certificate|timed out|handshake"):
        Client(client.scheduler.address, security=Security.temporary(), timeout=1)


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "10.0.0.1:8786", "tcp://[2001:db8::1]:8786", "host:8786"])
def test_plain_tcp_to_another_machine_is_refused_unless_asked_for(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE_S", 0.05)
    with pytest.raises(OptionError, match="no keys: others"), connected(address, 0):
        pass
    cluster._check_security(address, True, False)
    cluster._check_security("tcp://[::1]:8786", False, False)
    cluster._check_security("localhost:8786", False, False)


def test_tls_needs_keys_in_dasks_configuration_and_takes_them(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    with pytest.raises(OptionError, match="wants TLS keys"), connected("tls://10.0.0.1:8786", 0):
        pass
    key = client.security
    files = {"ca-file": key.tls_ca_file, "client.cert": key.tls_client_cert, "client.key": key.tls_client_key}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with (
        dask.config.set({f"distributed.comm.tls.{name}": str(tmp_path / name) for name in files}),
        connected(client.scheduler.address, 0) as (other, threads),
    ):
        assert (len(other.nthreads()), threads) == (2, 0)


def test_no_scheduler_at_an_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE_S", 0.2)
    with (
        pytest.raises(OptionError, match="No dask scheduler answers at tcp"),
        connected("tcp://127.0.0.1:9", 0),
    ):
        pass
