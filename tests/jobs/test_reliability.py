"""What can go wrong around a job: kill -9, a full disk, two watchers, a folder gone, a clock put back, a reboot."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import delete_in_use

from napari_pathsrgan.commands.jobs import queue_command
from napari_pathsrgan.commands.registry import find_job_command
from napari_pathsrgan.errors import JobError, OutputError
from napari_pathsrgan.jobs import process
from napari_pathsrgan.jobs import record as job_record
from napari_pathsrgan.jobs.listing import Job, JobList, read_job
from napari_pathsrgan.jobs.process import is_alive, mark_process
from napari_pathsrgan.jobs.progress import LineReader, ProgressFile, read_progress
from napari_pathsrgan.jobs.queue import resume_job, stop_job
from napari_pathsrgan.jobs.record import State, read_record, write_record

from .conftest import until
from .worker import queue_count


def running(job: Job, steps: int = 15) -> Job:
    return until(job, lambda job: job.state is State.RUNNING and job.progress and job.progress.done >= steps)


def test_a_killed_job_is_interrupted_and_goes_on_from_its_checkpoint(count: Callable[..., Job]) -> None:
    job = running(count(60))
    os.kill(job.record.process.pid, signal.SIGKILL)
    began = time.monotonic()
    dead = until(job, lambda job: job.state is State.INTERRUPTED)
    assert time.monotonic() - began < 2
    kept = int((dead.folder / "result" / "checkpoint").read_text())
    assert kept >= 10
    resume_job(dead)
    done = until(job, lambda job: job.state is State.DONE)
    assert f"begins at {kept}" in (done.folder / "log.txt").read_text()


def test_the_next_in_line_runs_when_a_job_is_killed(count: Callable[..., Job]) -> None:
    first, second = running(count(1000)), count(3)
    os.kill(first.record.process.pid, signal.SIGKILL)
    until(second, lambda job: job.state is State.DONE)


def test_a_killed_one_in_line_holds_nobody_up(count: Callable[..., Job]) -> None:
    first, second, third = running(count(40)), count(3), count(3)
    os.kill(second.record.process.pid, signal.SIGKILL)
    until(third, lambda job: job.state is State.DONE)
    assert read_job(first.folder).state is State.DONE
    assert read_job(second.folder).state is State.INTERRUPTED


def test_jobs_outlive_the_window_that_queued_them(quick_jobs: Path) -> None:
    code = (
        "import sys, time\n"
        "from napari_pathsrgan.jobs import process\n"
        f"process.WORKER = {process.WORKER!r}\n"
        "from napari_pathsrgan.jobs.queue import queue_job\n"
        "for _ in range(2): queue_job('count', {'steps': 40, 'out': '{result}'}, 'Count')\n"
        "print('queued', flush=True)\n"
        "time.sleep(60)\n"
    )
    window = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert window.stdout is not None
    assert window.stdout.readline() == "queued\n"
    window.kill()
    window.wait()
    window.stdout.close()
    for job in JobList().read():
        until(job, lambda job: job.state is State.DONE)
    assert len(JobList().read()) == 2


def test_another_process_with_its_number_is_not_taken_for_it(count: Callable[..., Job]) -> None:
    job = until(count(3), lambda job: job.state is State.DONE)
    mine = mark_process(os.getpid())
    assert mine is not None
    assert is_alive(mine)
    stranger = process.ProcessMark(pid=mine.pid, started=mine.started + "0", host=mine.host)
    record = read_record(job.folder)
    write_record(job.folder, record.changed(state=State.RUNNING, process=stranger))
    assert read_job(job.folder).state is State.INTERRUPTED


def test_after_a_reboot_it_is_interrupted(count: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    job = running(count(1000))
    monkeypatch.setattr(process, "_boot", lambda: "another boot")
    assert read_job(job.folder).state is State.INTERRUPTED
    monkeypatch.undo()
    stop_job(read_job(job.folder), at_once=True)


def test_a_job_on_another_machine_is_believed(count: Callable[..., Job]) -> None:
    job = until(count(3), lambda job: job.state is State.DONE)
    record = read_record(job.folder)
    far = process.ProcessMark(pid=1, started="its boot 77", host="another-machine")
    write_record(job.folder, record.changed(state=State.RUNNING, process=far))
    assert read_job(job.folder).state is State.RUNNING


def test_a_stop_that_takes_too_long_can_be_forced(quick_jobs: Path) -> None:
    job = running(queue_count(100_000))
    os.killpg(job.record.process.pid, signal.SIGSTOP)  # it hears nothing
    stop_job(job)
    time.sleep(0.4)
    assert read_job(job.folder).state is State.STOPPING
    stop_job(job, at_once=True)
    until(job, lambda job: job.state is State.STOPPED)


# ---------------------------------------------------------------------- the folder


def test_a_folder_deleted_under_a_running_job_ends_it(count: Callable[..., Job], tmp_path: Path) -> None:
    job = running(count(100_000, str(tmp_path / "run")))
    jobs = JobList()
    assert len(jobs.read()) == 1
    delete_in_use(job.folder)
    assert jobs.read() == []
    end = time.monotonic() + 5
    while is_alive(job.record.process):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert not job.folder.exists()
    assert int((tmp_path / "run" / "checkpoint").read_text()) >= 15
    with pytest.raises(JobError):
        resume_job(job)


def test_folders_that_hold_no_job_are_passed_over(count: Callable[..., Job], quick_jobs: Path) -> None:
    until(count(3), lambda job: job.state is State.DONE)
    (quick_jobs / "0007-train").mkdir()
    (quick_jobs / "0008-train").touch()
    (quick_jobs / "notes").mkdir()
    (quick_jobs / "²-train").mkdir()
    assert [job.number for job in JobList().read()] == [1]
    assert count(3).number == 9


def test_a_clock_put_back_changes_nothing(count: Callable[..., Job]) -> None:
    first, second = running(count(60)), count(3)
    yesterday = time.time() - 86_400
    jobs = JobList()
    jobs.read()
    for path in first.folder.iterdir():
        os.utime(path, (yesterday, yesterday))
    record = read_record(first.folder)
    write_record(first.folder, record.changed(started="1999-01-01"))
    os.utime(first.folder / "job.json", (yesterday, yesterday))
    seen = {job.number: job for job in jobs.read()}
    assert seen[1].state is State.RUNNING
    assert seen[1].record.started == "1999-01-01"
    assert seen[2].state is State.QUEUED
    until(second, lambda job: job.state is State.DONE)
    assert read_job(first.folder).state is State.DONE


# ---------------------------------------------------------------------- a full disk


def test_nothing_is_left_of_a_job_that_finds_no_room(quick_jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_pathsrgan.jobs.queue.write_record", full)
    with pytest.raises(OutputError, match="No space left"):
        queue_count(3)
    assert [path.name for path in quick_jobs.iterdir() if not path.name.startswith(".")] == []


def test_a_job_goes_on_when_its_progress_finds_no_room(count: Callable[..., Job]) -> None:
    """No file may grow past 40 KB: the log and the progress reach that, the record and the checkpoint don't."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        job = count(200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    running(job, 2)
    with (job.folder / "progress.jsonl").open("ab") as file:
        file.write(b"\n" * 40_000)
    done = until(job, lambda job: job.state is State.DONE)
    assert (done.folder / "result" / "checkpoint").read_text() == "200"


def test_recording_the_end_is_tried_again(count: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_pathsrgan.jobs import supervisor

    job = until(count(3), lambda job: job.state is State.DONE)
    job_record.reserve_room(job.folder)
    fails = [OSError(28, "No space left on device")] * 2

    def write_when_there_is_room(folder: Path, record: object) -> None:
        if fails:
            raise fails.pop()
        write_record(folder, record)  # type: ignore[arg-type]

    monkeypatch.setattr(supervisor, "write_record", write_when_there_is_room)
    monkeypatch.setattr(supervisor, "_BETWEEN_TRIES_S", 0.01)
    supervisor._write_end(job.folder, 2, "There is no room left. Free some.")
    seen = read_job(job.folder)
    assert (seen.state, seen.record.problem) == (State.FAILED, "There is no room left. Free some.")
    assert not (job.folder / ".reserve").exists()


def test_a_command_that_finds_no_room_fails_with_its_message(jobs_home: Path, tmp_path: Path) -> None:
    """The command itself, in a process that may write no file of more than 100 KB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        job = queue_command(
            find_job_command("phantom"), {"out": tmp_path / "p", "size_um": 400, "magnifications": (20,)}
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    failed = until(job, lambda job: not job.state.active, 60)
    assert failed.state is State.FAILED
    assert "p" in failed.record.problem
    assert "Traceback" not in failed.record.problem


# ---------------------------------------------------------------------- two watchers


def test_two_windows_may_ask_the_same_at_once(count: Callable[..., Job]) -> None:
    job = running(count(300))
    watchers = [JobList(), JobList()]
    for ask in (stop_job, resume_job):
        answers: list[object] = []

        def act(watcher: JobList, ask: Callable[[Job], object] = ask, answers: list[object] = answers) -> None:
            (seen,) = watcher.read()
            try:
                answers.append(ask(seen))
            except JobError as error:
                answers.append(error)

        threads = [threading.Thread(target=act, args=(watcher,)) for watcher in watchers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if ask is stop_job:
            until(job, lambda job: job.state is State.STOPPED)
        else:
            assert sum(isinstance(answer, JobError) for answer in answers) == 1
    until(job, lambda job: job.state is State.DONE)
    states = {watcher.read()[0].state for watcher in watchers}
    assert states == {State.DONE}


def test_what_is_written_is_never_seen_in_halves(count: Callable[..., Job]) -> None:
    job = until(count(3), lambda job: job.state is State.DONE)
    record, stop = read_record(job.folder), threading.Event()

    def write() -> None:
        while not stop.is_set():
            write_record(job.folder, record)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(300):
            assert read_record(job.folder) == record
    finally:
        stop.set()
        thread.join()


def test_two_hundred_finished_jobs_are_listed_fast(count: Callable[..., Job], quick_jobs: Path) -> None:
    job = until(count(3), lambda job: job.state is State.DONE)
    for number in range(2, 202):
        shutil.copytree(job.folder, quick_jobs / f"{number:04d}-count")
    jobs = JobList()
    assert len(jobs.read()) == 201
    began = time.perf_counter()
    jobs.read()
    assert time.perf_counter() - began < 0.2


# ---------------------------------------------------------------------- progress


def test_time_left_follows_the_task_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    rows = [(0, 0, 10, "a"), (5, 10, 10, "a"), (6, 0, 100, "b"), (7, 10, 100, "b"), (8, 20, 100, "b")]
    with path.open("w") as file:
        for seconds, done, total, task in rows:
            file.write(json.dumps({"seconds": seconds, "done": done, "total": total, "task": task}) + "\n")
        file.write('{"seconds": 9, "do')
    seen = read_progress(path)
    assert seen is not None
    assert (seen.task, seen.share, seen.left_s) == ("b", 0.2, 8.0)
    with path.open("w") as file:  # resumed: the clock begins anew
        for seconds, done in ((50, 60), (0, 61), (2, 65)):
            file.write(json.dumps({"seconds": seconds, "done": done, "total": 100, "task": "b"}) + "\n")
    seen = read_progress(path)
    assert seen is not None
    assert seen.left_s == 17.5
    assert read_progress(tmp_path / "none") is None


def test_progress_is_not_written_more_often_than_anyone_looks(tmp_path: Path) -> None:
    report = ProgressFile(tmp_path / "progress.jsonl")
    for done in range(1000):
        report(done, 1000, "Counting")
    report(1000, 1000)
    lines = (tmp_path / "progress.jsonl").read_text().splitlines()
    assert 2 <= len(lines) <= 4
    assert json.loads(lines[-1])["done"] == 1000


def test_lines_are_read_once_and_anew_when_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reader = LineReader(path)
    assert reader.read() == ([], False)
    path.write_text('{"step": 1}\nnot json\n{"step": 2}\n{"st')
    assert reader.read() == ([{"step": 1}, {"step": 2}], False)
    with path.open("a") as file:
        file.write('ep": 3}\n')
    assert reader.read() == ([{"step": 3}], False)
    path.write_text('{"step": 1}\n')
    assert reader.read() == ([{"step": 1}], True)
