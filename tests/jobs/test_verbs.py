"""`pathsrgan jobs …`, and what verbs can be told as data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_pathsrgan.commands import main
from napari_pathsrgan.commands.verb_options import options_of, refusal, understand
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.jobs.listing import find_job
from napari_pathsrgan.jobs.spec import VERBS, State

from .conftest import until

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
    assert shown["config"]["size_um"] == 100
    assert shown["progress"]["share"] == 1
    assert run("jobs", "show", "1") == 0
    assert "pathsrgan phantom 'made here' --size-um 100" in capsys.readouterr().out
    assert run("jobs", "log", "1") == 0
    assert "Truth" in capsys.readouterr().out
    for verb in ("stop", "resume"):
        assert run("jobs", verb, "1") == 2
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
    assert find_job("1").record.spec.config["out"] == str(job.folder / "result" / "p")


def test_a_job_that_could_not_run_is_refused(jobs_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["phantom"], "OUT"),
        (["register", "p", "a", "b", "c", "--stride-px", "3"], "--stride-px can't be '3'"),
        (["upscale", "a", "b", "--region", "1,2"], "not four numbers"),
        (["doctor"], "no verb for a job"),
    ):
        assert run("jobs", "run", *words) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not list(jobs_home.glob("0*"))


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb: str) -> None:
    options = options_of(verb)
    assert all(option.help for option in options)
    assert len({option.key for option in options}) == len(options)
    assert any(option.required for option in options)


def test_options_carry_what_a_form_needs() -> None:
    register = {option.key: option for option in options_of("register")}
    assert (register["out"].name, register["out"].kind, register["out"].required) == ("", "path", True)
    assert (register["scans"].many, register["scans"].required) == (True, False)
    assert (register["stride_px"].name, register["stride_px"].least) == ("--stride-px", 32)
    assert register["split"].choices == ("train", "test")
    train = {option.key: option for option in options_of("train")}
    assert (train["init_from"].name, train["pairs"].name) == ("--init-from", "--pairs")
    assert (train["preset_options"].name, train["preset_options"].kind) == ("--preset-options", "named")
    upscale = {option.key: option for option in options_of("upscale")}
    assert (upscale["region"].kind, upscale["region"].count) == ("text", 1)
    assert upscale["model"].default == "lite"


def test_words_are_understood_without_running_them() -> None:
    told = understand(["register", "p.zarr", "a", "b", "c", "--stride-px", "300"])
    assert told["stride_px"] == 300
    assert told["scans"] == ["a", "b", "c"]
    assert told["seed"] == 0
    refused = refusal(["register", "p", "a", "--least-correlation", "high"])
    assert refused is not None
    assert refused.key == "least_correlation"
    refused = refusal(["train", "--pairs", "p", "--out", "o", "--patch-lr-px", "20"])
    assert refused is not None
    assert refused.key == "patch_lr_px"
    assert refused.sentence == "--patch-lr-px can't be '20'. Input should be a multiple of 8."
    assert refused.reason == "Input should be a multiple of 8."
    refused = refusal(["evaluate"])
    assert refused is not None
    assert refused.key == "pairs"
    with pytest.raises(OptionError, match="nonsense"):
        understand(["evaluate", "p", "--nonsense"])
