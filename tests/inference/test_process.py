"""The inference process: the same pixels as here, and what happens when it, or whoever started it, dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_pathsrgan.errors import PathSRGANError, WorkerError
from napari_pathsrgan.inference import process as process_module
from napari_pathsrgan.inference import window_buffer
from napari_pathsrgan.inference.engine import Engine, load_model
from napari_pathsrgan.inference.network_parts import Pictures
from napari_pathsrgan.inference.process import InferenceProcess, ProcessModel
from napari_pathsrgan.inference.window_buffer import LARGEST_WINDOW_PX, SLOTS, WindowBuffer

from .networks import write_tiny_model
from .specimens import BACKGROUND, specimen, texture

PATIENCE_S = 60
"""How long a start may take on a busy machine: it imports torch."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="module")
def here(model: Path) -> Engine:
    return load_model(model, "cpu", "fp32")


@pytest.fixture
def start() -> Iterator[Callable[..., InferenceProcess]]:
    """Make processes that are closed in the end."""
    with contextlib.ExitStack() as stack:

        def make(**options: object) -> InferenceProcess:
            process = InferenceProcess(device="cpu", precision="fp32", threads=1, **options)
            stack.callback(process.close)
            return process

        yield make


@pytest.fixture(scope="module")
def shared() -> Iterator[InferenceProcess]:
    """One for the tests that leave it alive, since starting is what costs."""
    process = InferenceProcess(device="cpu", precision="fp32", threads=1)
    yield process
    process.close()


def pixels(future: Future[Pictures | None]) -> Pictures:
    pictures = future.result(PATIENCE_S)
    assert pictures is not None
    return pictures


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def named_shared_files() -> set[Path]:
    """Files of ours in memory that have a name, and so could outlive all processes."""
    return set(Path("/dev/shm").glob("pathsrgan*"))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --- pixels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("background", [None, BACKGROUND], ids=["no background", "background"])
def test_pixels_are_those_computed_here(
    shared: InferenceProcess, model: Path, here: Engine, stage: int, background: object
) -> None:
    window = specimen(80, 112)
    mr, hr, computed = pixels(shared.submit(model, window, stage, background, 16))
    wanted_mr, wanted_hr, wanted = here.run(window, stage, background, 16)
    assert computed == wanted
    assert np.array_equal(mr, wanted_mr)
    assert (hr is None) == (wanted_hr is None) == (stage == 1)
    if hr is not None:
        assert np.array_equal(hr, wanted_hr)


def test_the_largest_window_fits(shared: InferenceProcess, model: Path, here: Engine) -> None:
    window = texture(LARGEST_WINDOW_PX, LARGEST_WINDOW_PX)
    mr, _, _ = pixels(shared.submit(model, window, 1, None, 32))
    assert np.array_equal(mr, here.run(window, 1, None, 32)[0])


def test_a_window_that_does_not_fit_is_refused_and_its_slot_freed(shared: InferenceProcess, model: Path) -> None:
    for _ in range(SLOTS + 1):
        with pytest.raises(ValueError, match="does not fit"):
            shared.submit(model, np.zeros((LARGEST_WINDOW_PX + 8, LARGEST_WINDOW_PX, 3), np.uint8), 1, None, 0)
    pixels(shared.submit(model, texture(16, 16), 1, None, 0))


def test_many_threads_each_get_their_own_pixels(shared: InferenceProcess, model: Path, here: Engine) -> None:
    windows = [texture(24 + 8 * (seed % 3), 32, seed) for seed in range(24)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda window: pixels(shared.submit(model, window, 2, None, 0)), windows))
    for window, (mr, hr, _) in zip(windows, results, strict=True):
        wanted_mr, wanted_hr = here.apply(window)
        assert np.array_equal(mr, wanted_mr)
        assert hr is not None
        assert np.array_equal(hr, wanted_hr)


def test_results_outlive_the_next_window(shared: InferenceProcess, model: Path) -> None:
    mr, _, _ = pixels(shared.submit(model, texture(16, 16, 1), 2, None, 0))
    before = mr.copy()
    for seed in range(2, 2 + SLOTS):
        pixels(shared.submit(model, texture(16, 16, seed), 2, None, 0))
    assert np.array_equal(mr, before)


def test_two_models_do_not_mix(shared: InferenceProcess, model: Path, here: Engine, tmp_path: Path) -> None:
    others = [write_tiny_model(tmp_path / f"other{seed}.safetensors", seed) for seed in (1, 2)]
    window = texture(16, 16)
    for path in (model, *others, model):
        _, hr, _ = pixels(shared.submit(path, window, 2, None, 0))
        assert hr is not None
        assert np.array_equal(hr, load_model(path, "cpu", "fp32").apply(window)[1])


def test_status_says_what_it_runs_on(shared: InferenceProcess, model: Path) -> None:
    assert shared.load(model).result(PATIENCE_S) is None
    pixels(shared.submit(model, texture(64, 64), 2, None, 0))
    status = shared.status
    assert (status.device, status.precision, status.threads) == ("cpu", "fp32", 1)
    assert status.mpx_per_s > 0
    assert shared.pid is not None


def test_a_process_model_is_as_good_as_an_engine(shared: InferenceProcess, model: Path, here: Engine) -> None:
    runner = ProcessModel(shared, model)
    assert (runner.product, runner.halo, runner.card) == (here.product, here.halo, here.card)
    window = texture(32, 40)
    for computed, wanted in zip(runner.run(window, 2, None, 8), here.run(window, 2, None, 8), strict=True):
        assert np.array_equal(computed, wanted)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's list of mapped memory")
def test_the_shared_pixels_have_no_name_in_any_folder(shared: InferenceProcess, model: Path) -> None:
    pixels(shared.submit(model, texture(16, 16), 2, None, 0))
    for pid in (os.getpid(), shared.pid):
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        mapped = [line.split(maxsplit=5) for line in lines if line.split()[1] == "rw-s"]
        assert [fields[5] for fields in mapped if "pathsrgan" in fields[-1]] == ["/memfd:pathsrgan-windows (deleted)"]


# --- a request that can't be met --------------------------------------------------------------------------------


def test_a_model_file_that_went_away_gives_a_sentence(shared: InferenceProcess, model: Path, tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "gone.safetensors", seed=7)
    runner = ProcessModel(shared, path)
    path.unlink()
    for future in (shared.load(path), runner.submit(texture(16, 16), 2, None, 0)):
        with pytest.raises(PathSRGANError, match=r"gone\.safetensors") as caught:
            future.result(PATIENCE_S)
        assert caught.value.remedy
    pixels(shared.submit(model, texture(16, 16), 2, None, 0))  # the process lives on
    assert shared.status.restarts == 0


def test_a_model_file_that_was_replaced_is_not_taken_for_what_it_was(shared: InferenceProcess, tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "changing.safetensors", seed=7)
    before = ProcessModel(shared, path)
    window = texture(16, 16)
    before.run(window, 2)
    write_tiny_model(path, seed=8)
    after = ProcessModel(shared, path)
    _, hr, _ = after.run(window, 2)
    assert hr is not None
    assert np.array_equal(hr, load_model(path, "cpu", "fp32").apply(window)[1])
    with pytest.raises(PathSRGANError, match="was replaced while it was in use"):
        before.run(window, 2)


def test_a_damaged_model_gives_a_sentence(shared: InferenceProcess, tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "damaged.safetensors", seed=8)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(PathSRGANError, match="is damaged"):
        shared.load(path).result(PATIENCE_S)


# --- death ------------------------------------------------------------------------------------------------------


def test_killed_with_a_window_in_flight_it_says_so_and_starts_again(
    start: Callable[..., InferenceProcess], model: Path, here: Engine
) -> None:
    told = threading.Event()
    process = start(on_restart=told.set)
    process.load(model).result(PATIENCE_S)
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)  # so that the windows are surely in flight
    futures = [process.submit(model, texture(16, 16), 2, None, 0) for _ in range(SLOTS)]
    following: list[Future[Pictures | None]] = []
    futures[0].add_done_callback(lambda _: following.append(process.load(model)))
    os.kill(first, signal.SIGKILL)
    for future in futures:
        with pytest.raises(WorkerError, match="stopped"):
            future.result(PATIENCE_S)
    assert told.wait(PATIENCE_S)
    assert process.status.restarts == 1
    assert following[0].result(PATIENCE_S) is None  # asked for at once, it is not blamed for that death

    window = texture(24, 24)
    for _ in range(SLOTS + 1):  # all slots are free again
        _, hr, _ = pixels(process.submit(model, window, 2, None, 0))
        assert hr is not None
        assert np.array_equal(hr, here.apply(window)[1])
    assert process.pid != first


def test_after_repeated_deaths_it_gives_up_with_the_last_words(
    start: Callable[..., InferenceProcess], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A program that can't start: quick to die, and it says why.
    monkeypatch.setattr(sys, "executable", str(_broken_python(model.parent)))
    process = start()
    for _ in range(process_module.MOST_RESTARTS + 1):
        with pytest.raises(WorkerError, match="stopped"):
            process.submit(model, texture(16, 16), 2, None, 0).result(PATIENCE_S)
    with pytest.raises(WorkerError, match="keeps stopping: no libtorch here") as caught:
        process.submit(model, texture(16, 16), 2, None, 0)
    assert "doctor" in caught.value.remedy
    with pytest.raises(WorkerError, match="keeps stopping"):
        process.load(model)


def _broken_python(folder: Path) -> Path:
    path = folder / "python"
    path.write_text("#!/bin/sh\necho first words >&2\necho no libtorch here >&2\nexit 1\n")
    path.chmod(0o755)
    return path


def test_deaths_long_ago_are_forgiven(
    start: Callable[..., InferenceProcess], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(_broken_python(model.parent)))
    monkeypatch.setattr(process_module, "WITHIN_S", 0.0)
    process = start()
    for _ in range(process_module.MOST_RESTARTS + 3):
        with pytest.raises(WorkerError, match="stopped"):
            process.load(model).result(PATIENCE_S)


def test_no_place_for_the_pixels_is_told_in_words(
    start: Callable[..., InferenceProcess], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> WindowBuffer:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WindowBuffer, "create", full)
    process = start()
    for _ in range(SLOTS + 1):
        with pytest.raises(WorkerError, match="No space left"):
            process.submit(model, texture(16, 16), 2, None, 0)


# --- the end ----------------------------------------------------------------------------------------------------


def test_closing_leaves_no_process_thread_or_file_and_nobody_waiting(model: Path) -> None:
    threads, files, descriptors = set(threading.enumerate()), named_shared_files(), open_files()
    process = InferenceProcess(device="cpu", precision="fp32", threads=1)
    process.load(model).result(PATIENCE_S)
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # it does not end by itself
    with ThreadPoolExecutor(SLOTS + 2) as pool:  # two more than can be served
        jobs = [pool.submit(process.submit, model, texture(16, 16), 2, None, 0) for _ in range(SLOTS + 2)]
        wait_until(lambda: sum(job.done() for job in jobs) == SLOTS)
        process.close()
        for job in jobs:
            with pytest.raises(WorkerError, match="was ended"):
                job.result(10).result(10)
    assert not psutil.pid_exists(pid)
    assert process.pid is None
    assert named_shared_files() == files
    assert open_files() == descriptors
    assert {thread for thread in threading.enumerate() if thread.name == "pathsrgan-inference"} <= threads
    with pytest.raises(WorkerError, match="was ended"):
        process.submit(model, texture(16, 16), 2, None, 0)
    process.close()  # again does no harm


def test_closing_one_that_never_started(start: Callable[..., InferenceProcess]) -> None:
    process = start()
    process.close()
    with pytest.raises(WorkerError, match="was ended"):
        process.load(Path("any"))


_WINDOW = """
import signal, sys, time
from pathlib import Path
import numpy as np
from napari_pathsrgan.inference.process import InferenceProcess
from napari_pathsrgan.inference.window_buffer import LARGEST_WINDOW_PX
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have it ignored, as nohup does
process, model = InferenceProcess(device="cpu", precision="fp32", threads=1), Path(sys.argv[1])
if sys.argv[2] == "busy":
    process.load(model).result()
    for _ in range(3):
        process.submit(model, np.full((LARGEST_WINDOW_PX, LARGEST_WINDOW_PX, 3), 90, np.uint8), 2, None, 0)
else:
    process.load(model)
print(process.pid, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def window(model: Path, state: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start what stands for a window, and give it with the number of its inference process."""
    command = [sys.executable, "-c", _WINDOW, str(model), state]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout is not None
    with parent.stdout:
        yield parent, int(parent.stdout.readline())


@pytest.mark.parametrize("how", ["killed", "terminal closed"])
def test_it_dies_with_whoever_started_it(model: Path, how: str) -> None:
    files = named_shared_files()
    with window(model, "busy") as (parent, pid):
        if how == "killed":
            parent.kill()
        else:
            os.killpg(parent.pid, signal.SIGHUP)  # reaches both at once
        parent.wait()
    wait_until(lambda: not _alive(pid), 1)
    assert named_shared_files() == files


def test_a_stopped_process_dies_with_whoever_started_it(model: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere it notices only when it runs")
    with window(model, "busy") as (parent, pid):
        os.kill(pid, signal.SIGSTOP)
        parent.kill()
        parent.wait()
    wait_until(lambda: not _alive(pid), 1)


def test_nothing_is_left_when_both_are_killed_ten_times(model: Path) -> None:
    files = named_shared_files()
    for attempt in range(10):
        with window(model, "starting") as (parent, pid):
            time.sleep(0.05 * attempt)  # while it starts, and when it has
            for victim in (parent.pid, pid) if attempt % 2 else (pid, parent.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            parent.wait()
        wait_until(lambda pid=pid: not _alive(pid), 1)  # type: ignore[misc]
        assert named_shared_files() == files


def test_it_outlives_the_thread_that_asked_first(start: Callable[..., InferenceProcess], model: Path) -> None:
    process = start()
    asking = threading.Thread(target=lambda: process.load(model).result(PATIENCE_S))
    asking.start()
    asking.join()
    time.sleep(0.1)
    pixels(process.submit(model, texture(16, 16), 2, None, 0))
    assert process.status.restarts == 0


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_windows_side_imports_no_torch() -> None:
    code = "import sys, napari_pathsrgan.inference.process; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the buffer -------------------------------------------------------------------------------------------------


def test_both_sides_see_the_same_pixels_and_slots_do_not_overlap() -> None:
    one = WindowBuffer.create()
    other = WindowBuffer.attach(str(os.dup(one.descriptors[0])))
    side = LARGEST_WINDOW_PX
    parts = [(slot, name, side * n) for slot in range(SLOTS) for name, n in (("lr", 1), ("mr", 2), ("hr", 4))]
    for value, (slot, name, px) in enumerate(parts, start=1):
        one.view(slot, name, px, px)[:] = value
    one.close()
    for value, (slot, name, px) in enumerate(parts, start=1):
        assert np.all(other.view(slot, name, px, px) == value)


def test_memory_without_room_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is not reserved would end the window by SIGBUS, with no exception, as soon as there is none."""
    asked: list[int] = []
    reserve = os.posix_fallocate

    def first_full(handle: int, offset: int, length: int) -> None:
        asked.append(length)
        if len(asked) == 1:
            raise OSError(28, "No space left on device")
        reserve(handle, offset, length)

    monkeypatch.setattr(window_buffer.os, "posix_fallocate", first_full)
    monkeypatch.setattr(window_buffer.tempfile, "tempdir", str(tmp_path))
    buffer = WindowBuffer.create()
    about = os.fstat(buffer.descriptors[0])
    assert about.st_dev == tmp_path.stat().st_dev
    assert about.st_size == asked[1] == about.st_blocks * 512
    assert list(tmp_path.iterdir()) == []
    buffer.close()
