"""`pathsrgan jobs …`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.jobs.conftest import until

from napari_pathsrgan.commands.app import main, parse
from napari_pathsrgan.commands.jobs import queue_command
from napari_pathsrgan.commands.registry import find_job_command
from napari_pathsrgan.jobs.listing import find_job
from napari_pathsrgan.jobs.record import State

TINY = ("--size-um", "100", "--magnifications", "4")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_a_job_from_the_command_line(
    jobs_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("jobs", "list") == 0
    assert capsys.readouterr().out == "No jobs.\n"
    assert run("jobs", "run", "--title", "Small", "phantom", "made here", *TINY) == 0
    assert "0001-phantom" in capsys.readouterr().out
    until(find_job("1"), lambda job: job.state is State.DONE, 60)
    assert (tmp_path / "made here" / "4x.tiff").is_file()
    assert run("jobs", "list") == 0
    assert "done" in (listed := capsys.readouterr().out)
    assert "Small" in listed
    assert run("jobs", "show", "1", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["state"] == "done"
    assert shown["options"]["size_um"] == 100
    assert shown["progress"]["share"] == 1
    assert run("jobs", "show", "1") == 0
    assert "pathsrgan phantom 'made here' --size-um 100" in capsys.readouterr().out
    assert run("jobs", "log", "1") == 0
    assert "Truth" in capsys.readouterr().out
    for command in ("stop", "resume"):
        assert run("jobs", command, "1") == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert run("jobs", "remove", "1") == 0
    assert run("jobs", "show", "1") == 2
    assert "no job “1”" in capsys.readouterr().err


def test_stop_and_resume_from_the_command_line(jobs_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("jobs", "run", "phantom", "{result}/p", "--size-um", "900", "--magnifications", "4") == 0
    job = until(find_job("1"), lambda job: job.state is State.RUNNING)
    assert run("jobs", "stop", "1", "--json") == 0
    until(job, lambda job: job.state is State.STOPPED)
    assert not (job.folder / "result" / "p").exists()
    assert run("jobs", "resume", "1") == 0
    assert run("jobs", "stop", "1", "--now") == 0
    until(job, lambda job: job.state is State.STOPPED)
    assert find_job("1").record.options["out"] == str(job.folder / "result" / "p")


def test_a_job_that_could_not_run_is_refused(jobs_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["phantom"], "OUT"),
        (["register", "p", "a", "b", "c", "--stride-px", "3"], "--stride-px can't be '3'"),
        (["upscale", "a", "b", "--region", "1,2"], "not four numbers"),
        (["doctor"], "no command for a job"),
    ):
        assert run("jobs", "run", *words) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not list(jobs_home.glob("0*"))


@pytest.mark.parametrize(
    ("words", "device"),
    [
        (["register", "p", "a", "b", "c"], "cpu"),
        (["upscale", "a", "b", "--device", "cuda"], "cuda"),
        (["upscale", "a", "b", "--device=cuda:1"], "cuda:1"),
        (["train", "--out", "o", "--pairs", "p", "--devices", "2", "--accelerator", "cuda"], "cuda"),
        (["train", "--out", "o", "--pairs", "p", "--accelerator=cpu"], "cpu"),
        (["evaluate", "p", "--device", "cpu"], "cpu"),
    ],
)
def test_a_job_names_the_device_that_it_needs(words: list[str], device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[str] = []
    monkeypatch.setattr("napari_pathsrgan.commands.jobs.queue_job", lambda *values: queued.append(values[3]))
    command = find_job_command(words[0])
    queue_command(command, parse(command, words[1:]))
    assert queued == [device]
