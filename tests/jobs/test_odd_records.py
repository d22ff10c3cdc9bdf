"""Jobs' folders that a stranger or an accident has filled: listed as damaged, in nobody's way, easy to be rid of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from napari_pathsrgan.commands.app import main, run_saved
from napari_pathsrgan.errors import DamagedJobError, JobError
from napari_pathsrgan.jobs.listing import Job, JobList, describe_progress, find_job, read_job
from napari_pathsrgan.jobs.process import mark_process
from napari_pathsrgan.jobs.progress import LineReader, read_last_progress, read_progress
from napari_pathsrgan.jobs.queue import remove_job, resume_job, stop_job
from napari_pathsrgan.jobs.record import State, log_tail, read_record

from .conftest import until
from .worker import queue_count

RECORD = {
    "layout": 2,
    "command": "count",
    "options": {"steps": 3, "out": "/tmp/out"},
    "title": "Count",
    "device": "cpu",
    "cwd": "/",
    "versions": {},
    "created": "",
    "state": "stopped",
    "position": 1,
    "process": {"pid": 1, "started": "then", "host": "here"},
    "started": "",
    "ended": "",
    "code": None,
    "problem": "",
}


def changed(**values: Any) -> bytes:
    return json.dumps({**RECORD, **values}).encode()


ODD = {
    "empty": b"",
    "cut off": changed()[:-20],
    "binary": bytes(range(256)) * 20,
    "no object": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep options": b'{"options": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "huge": b" " * 5 * 2**20 + changed(),
    "version 0.1": changed(layout=1),
    "layout true": changed(layout=True),
    **{f"{name} null": changed(**{name: None}) for name in RECORD if name != "code"},
    **{f"{name} a number": changed(**{name: 1.5}) for name in RECORD},
    **{f"{name} a list": changed(**{name: [[]]}) for name in RECORD},
    **{f"{name} missing": json.dumps({k: v for k, v in RECORD.items() if k != name}).encode() for name in RECORD},
    "no command": changed(command=""),
    "a flag for a command": changed(command="--help"),
    "a path for a command": changed(command="/bin/sh"),
    "NUL in an option": changed(options={"out": "a\0b"}),
    "NUL in the folder": changed(cwd="/a\0b"),
    "relative folder": changed(cwd="here"),
    "device of another place": changed(device="../../x"),
    "NaN in options": changed(options={"mpp": float("nan")}),
    "nested infinity": changed(options={"a": [{"b": float("inf")}]}),
    "endless position": changed(position=10**30),
    "negative position": changed(position=-1),
    "state that is never written": changed(state="stopping"),
    "state damaged": changed(state="damaged record"),
    "no such state": changed(state="flying"),
    "process zero": changed(process={"pid": 0, "started": "", "host": ""}),
    "negative process": changed(process={"pid": -1, "started": "", "host": ""}),
    "process of text": changed(process={"pid": "1", "started": "", "host": ""}),
    "half a surrogate": changed().replace(b'"Count"', b'"\\ud800"'),
    "endless code": changed(code=10**400),
}


def odd_job(home: Path, content: bytes, number: int = 7) -> Path:
    folder = home / f"{number:04d}-count"
    folder.mkdir(parents=True)
    (folder / "job.json").write_bytes(content)
    return folder


def test_the_record_that_the_odd_ones_differ_from_is_sound(tmp_path: Path) -> None:
    assert read_record(odd_job(tmp_path, changed())).model_dump() == RECORD


@pytest.mark.parametrize("name", ODD)
def test_an_odd_record_is_listed_as_damaged(name: str, jobs_home: Path) -> None:
    folder = odd_job(jobs_home, ODD[name])
    (job,) = JobList().read()
    assert job.state is State.DAMAGED
    assert "is damaged (" in describe_progress(job)
    assert "`pathsrgan jobs remove 7`" in describe_progress(job)
    assert (job.out, job.progress) == (None, None)
    for ask in (stop_job, resume_job):
        with pytest.raises(DamagedJobError, match="is damaged"):
            ask(job)
    remove_job(find_job("7"))
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link in a circle"])
def test_what_is_no_file_is_listed_as_damaged_at_once(kind: str, jobs_home: Path) -> None:
    folder = odd_job(jobs_home, b"")
    record = folder / "job.json"
    record.unlink()
    {
        "pipe": lambda: os.mkfifo(record),
        "folder": record.mkdir,
        "device": lambda: record.symlink_to("/dev/zero"),
        "link in a circle": lambda: record.symlink_to("job.json"),
    }[kind]()
    for name in ("progress.jsonl", "log.txt"):
        os.mkfifo(folder / name)
    (job,) = JobList().read()
    assert job.state is State.DAMAGED
    assert log_tail(folder) == ""
    assert LineReader(folder / "progress.jsonl").read() == ([], False)
    remove_job(job)
    assert JobList().read() == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_what_can_not_be_read_is_listed_as_damaged(jobs_home: Path) -> None:
    odd_job(jobs_home, changed()).joinpath("job.json").chmod(0)
    odd_job(jobs_home, changed(), 8).chmod(0)
    assert [job.state for job in JobList().read()] == [State.DAMAGED] * 2
    for job in JobList().read():
        remove_job(job)
    assert list(jobs_home.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"command": "sh", "options": {"c": "touch /tmp/ran"}}, "“sh” is no command for a job."),
        ({"command": "jobs work", "options": {"folder": "/"}}, "“jobs work” is no command for a job."),
        ({"command": "phantom", "options": {"out": "p", "size_um": "large"}}, "--size-um can't be 'large'."),
        ({"command": "phantom", "options": {"out": "p", "shell": "sh"}}, "There is no option shell."),
    ],
)
def test_a_record_runs_nothing_that_the_registry_does_not_accept(
    jobs_home: Path, values: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    odd_job(jobs_home, changed(**values))
    assert main(["jobs", "show", "7"]) == 0
    assert said in capsys.readouterr().out
    assert run_saved(values["command"], values["options"])[1].startswith(said)


def test_commands_work_beside_odd_records(
    count: Callable[..., Job], quick_jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, content in enumerate(ODD.values(), start=1):
        odd_job(quick_jobs, content, number)
    (quick_jobs / "99999999-train").mkdir()
    quick_jobs.joinpath(os.fsdecode(b"0500-\xff")).mkdir()
    quick_jobs.joinpath(os.fsdecode(b"0500-\xff"), "job.json").touch()
    job = count(3)
    until(job, lambda job: job.state is State.DONE)
    for command in (["list"], ["list", "--json"], ["show", "1"], ["show", "1", "--json"], ["log", "1"]):
        assert main(["jobs", *command]) == 0
    assert capsys.readouterr().out.count("damaged record") > 2 * len(ODD)
    for command in ("stop", "resume"):
        assert main(["jobs", command, "1"]) == 2
        assert "Remove it with `pathsrgan jobs remove 1`." in capsys.readouterr().err
    assert main(["jobs", "remove", "1"]) == 0
    assert not (quick_jobs / "0001-count").exists()


def test_another_machines_waiting_job_blocks_nobody_here(count: Callable[..., Job], quick_jobs: Path) -> None:
    far = {"pid": 1, "started": "its boot 77", "host": "another-machine"}
    folder = odd_job(quick_jobs, changed(state="queued", position=0, process=far))
    until(count(3), lambda job: job.state is State.DONE)
    assert describe_progress(read_job(folder)) == "waiting on another-machine"
    remove_job(read_job(folder))


def test_a_record_that_names_a_process_without_a_claim_to_it_is_interrupted(
    count: Callable[..., Job], quick_jobs: Path
) -> None:
    """Copied from a job that runs, or made up: it blocks no queue, and nothing is killed for it."""
    first = until(count(1000), lambda job: job.state is State.RUNNING)
    copy = quick_jobs / "0000007-count"
    shutil.copytree(first.folder, copy)
    assert read_job(copy).state is State.INTERRUPTED
    me = mark_process(os.getpid())
    assert me is not None
    made_up = odd_job(quick_jobs, changed(state="queued", position=0, process=me.model_dump()), 8)
    job = read_job(made_up)
    assert job.state is State.INTERRUPTED
    with pytest.raises(JobError, match="not running"):
        stop_job(job, at_once=True)
    assert psutil.pid_exists(first.record.process.pid)
    stop_job(first)
    until(count(3), lambda job: job.state is State.DONE)


def test_positions_that_are_very_late_do_not_end_the_counting(count: Callable[..., Job], quick_jobs: Path) -> None:
    odd_job(quick_jobs, changed(position=2**53 - 1))
    assert count(3).record.position == 1


def test_the_log_of_a_strangers_job_is_not_written_through_a_link(quick_jobs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    folder = odd_job(quick_jobs, changed())
    (folder / "log.txt").symlink_to(mine)
    assert main(["jobs", "resume", "7"]) == 2
    assert mine.read_text() == "mine"


def test_terminal_commands_in_a_record_are_not_printed(jobs_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202e"
    process = {"pid": 1, "started": "then", "host": evil}
    texts = dict.fromkeys(("title", "created", "problem"), evil)
    odd_job(jobs_home, changed(**texts, options={evil: evil}, versions={evil: evil}, process=process))
    for command in (["list"], ["show", "7"]):
        assert main(["jobs", *command]) == 0
        assert not set(evil[:1] + "\x07\x9b\u202e") & set(capsys.readouterr().out)


ODD_PROGRESS = [
    b'{"seconds": NaN, "done": 1, "total": 2, "task": "a"}',
    b'{"seconds": 1, "done": Infinity, "total": 2, "task": "a"}',
    b'{"seconds": 1, "done": -Infinity, "total": NaN, "task": "a"}',
    b'{"seconds": null, "done": 1, "total": 2, "task": "a"}',
    b'{"seconds": 1, "done": "1", "total": 2, "task": "a"}',
    b'{"seconds": 1, "done": true, "total": 2, "task": "a"}',
    b'{"seconds": 1, "done": 1, "total": 1' + b"0" * 400 + b', "task": "a"}',
    b'{"seconds": 1, "done": 1, "total": 2, "task": null}',
    b'{"seconds": 1, "done": 1, "total": 2, "task": ["a"]}',
    b'{"seconds": 1, "done": [[]], "total": {}, "task": "a"}',
    b"[" * 2000,
    b"[1]",
    b"\xff\xfe\x00",
]


def test_odd_progress_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    for line in ODD_PROGRESS:
        path.write_bytes(line + b"\n")
        assert read_progress(path) is None, line
        assert read_last_progress(path) is None, line
    sound = [b'{"seconds": %d, "done": %d, "total": 4, "task": "a"}' % (n, n) for n in (1, 2)]
    path.write_bytes(b"\n".join([sound[0], *ODD_PROGRESS, sound[1], b""]))
    seen = read_progress(path)
    assert seen is not None
    assert (seen.done, seen.left_s) == (2, 2)


def test_jobs_are_their_owners_alone_at_any_umask(quick_jobs: Path) -> None:
    before = os.umask(0)
    try:
        quick_jobs.mkdir()
        job = until(queue_count(3), lambda job: job.state is State.DONE)
    finally:
        os.umask(before)
    own = [quick_jobs, *quick_jobs.rglob("*")]
    kept = {path: path.stat().st_mode & 0o777 for path in own if path.parent != job.folder / "result"}
    assert {path.name for path in kept} >= {"job.json", "log.txt", "progress.jsonl", "result"}
    assert {mode for path, mode in kept.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in kept.items() if path.is_file()} == {0o600}
