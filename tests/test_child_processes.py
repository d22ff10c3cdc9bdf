"""Python processes that the package starts: modules in the current folder, and what becomes of orphans."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil
import pytest
from tests.inference.networks import write_tiny_model

from napari_pathsrgan.child_processes import child_environment, end_with_parent, python_command, safe_children
from napari_pathsrgan.commands.jobs import queue_command
from napari_pathsrgan.commands.registry import find_job_command
from napari_pathsrgan.jobs.listing import Job, read_job

HOSTILE = ("psutil", "torch", "json", "multiprocessing", "numpy", "sitecustomize", "napari_pathsrgan")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Make a folder with modules that note when they are imported the current one; gives what was imported."""
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in HOSTILE:
        mark = folder / f"{name}.imported"
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\nraise SystemExit(9)\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *sys.path]))
    return lambda: [path.name for path in folder.glob("*.imported")]


def test_the_precautions_are_needed(hostile: Callable[[], list[str]]) -> None:
    assert subprocess.run([sys.executable, "-c", "import psutil"], check=False, capture_output=True).returncode
    assert hostile()


def test_a_command_does_not_import_from_the_current_folder(hostile: Callable[[], list[str]]) -> None:
    code = "import psutil, sys, subprocess; subprocess.run([sys.executable, '-c', 'import psutil'], check=True)"
    subprocess.run(python_command("-c", code), env=child_environment(), check=True)
    assert hostile() == []


def test_the_inference_process_does_not(hostile: Callable[[], list[str]], tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.safetensors")
    code = (
        "import sys; from pathlib import Path; from napari_pathsrgan.inference.process import InferenceProcess\n"
        "process = InferenceProcess('cpu', 'fp32'); process.load(Path(sys.argv[1])).result(60); process.close()"
    )
    subprocess.run(python_command("-c", code, str(model)), env=child_environment(), check=True, timeout=60)
    assert hostile() == []


def test_jobs_do_not(hostile: Callable[[], list[str]], jobs_home: Path, tmp_path: Path) -> None:
    job = ended(
        queue_command(find_job_command("phantom"), {"out": tmp_path / "p", "size_um": 200, "magnifications": [4]})
    )
    assert (job.record.code, hostile()) == (0, [])


def test_pools_do_not(hostile: Callable[[], list[str]]) -> None:
    with safe_children(), ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        assert pool.submit(os.getppid).result() == os.getpid()
    assert hostile() == []
    assert "PYTHONSAFEPATH" not in os.environ


def test_relative_folders_of_pythonpath_still_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a_module_of_mine.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "mine")
    subprocess.run(python_command("-c", "import a_module_of_mine"), env=child_environment(), cwd="/", check=True)


def test_an_idle_pool_ends_with_a_killed_parent() -> None:
    code = (
        "import multiprocessing, os, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from napari_pathsrgan.child_processes import end_with_parent\n"
        "pool = ProcessPoolExecutor(1, multiprocessing.get_context('spawn'), end_with_parent)\n"
        "print(pool.submit(os.getpid).result(), flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(python_command("-c", code), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert not psutil.wait_procs([child], timeout=5)[1]


def ended(job: Job) -> Job:
    end = time.monotonic() + 60
    while (seen := read_job(job.folder)).state.active:
        assert time.monotonic() < end
        time.sleep(0.05)
    return seen
