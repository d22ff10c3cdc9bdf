"""A command defined in one object, in this test, goes through command line, form and job without another change."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import pytest
import tifffile
from pydantic import Field
from pytestqt.qtbot import QtBot
from tests.jobs.conftest import until

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.commands.command import (
    POSITIONAL,
    Command,
    FormField,
    JobForm,
    OpenLayers,
    OpenSlide,
    Options,
    PathTo,
    ResultWindow,
)
from napari_pathsrgan.commands.jobs import queue_command, saved_command_line
from napari_pathsrgan.commands.output import print_result
from napari_pathsrgan.commands.registry import commands, registered
from napari_pathsrgan.jobs import process
from napari_pathsrgan.jobs.record import State


class WordsOptions(Options):
    """What is written.

    Attributes
    ----------
    slide : Path
        A slide.
    words : tuple of str
        Words to write.
    gap_um : float
        Distance of the words, µm.
    out : Path
        File to write.
    """

    slide: Annotated[Path, POSITIONAL, PathTo("slide")]
    words: tuple[str, ...] = ("one",)
    gap_um: float = Field(default=2.5, gt=0)
    out: Annotated[Path, PathTo("new")]


def write_words(options: WordsOptions, as_json: bool) -> None:
    """Write words beside a slide."""
    options.out.write_text(f"{options.slide.name} {' '.join(options.words)} {options.gap_um:g}")
    print_result({"out": options.out}, [f"Written: {options.out}"], as_json)


def open_words(window: ResultWindow, out: Path) -> None:
    window.open_report(out)


WORDS = Command(
    name="words",
    options=WordsOptions,
    run=write_words,
    runs_as_job=True,
    open_result=open_words,
    forms=(
        JobForm(
            "Write words",
            "Words beside a slide.",
            (FormField("slide"), FormField("out", "Text", in_job="words.txt")),
            suggest=lambda layers: {"slide": layers.slides[0].path},
        ),
    ),
)


@pytest.fixture
def words() -> Iterator[Command[Any]]:
    with registered(WORDS):
        yield WORDS


@pytest.fixture
def slide_path(tmp_path: Path) -> Path:
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), tile=(64, 64), photometric="rgb", metadata=None)
    return path


def test_it_is_on_the_command_line_with_its_help(
    words: Command[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"]) == 0
    assert "Write words beside a slide." in capsys.readouterr().out
    assert main(["words", "--help"]) == 0
    assert "Distance of the words, µm." in capsys.readouterr().out
    assert main(["words", "a.svs", "--words", "b", "c", "--out", str(tmp_path / "t"), "--json"]) == 0
    assert (tmp_path / "t").read_text() == "a.svs b c 2.5"
    assert main(["words", "a.svs", "--gap-um", "0", "--out", "t"]) == 2
    assert capsys.readouterr().err == "--gap-um can't be '0.0'. It must be more than 0.\n"


def test_it_is_found_no_more_once_it_is_taken_back() -> None:
    assert "words" not in commands()


def test_it_has_a_form_that_gives_the_command(words: Command[Any], qtbot: QtBot, slide_path: Path) -> None:
    from napari_pathsrgan.plugin.jobs.job_form import JobFormWidget

    form = JobFormWidget(words, words.forms[0], OpenLayers((OpenSlide(slide_path, 1.465),)))
    qtbot.addWidget(form)
    assert form.start.isEnabled()
    form.options.row("words").editor.setText("two three")
    form.options.row("gap_um").editor.setText("-1")
    assert not form.options.check()
    assert "It must be more than 0." in form.options.row("gap_um").problem_shown
    form.options.row("gap_um").editor.setText("4")
    assert form.options.check()
    assert shlex.split(form.command_line()) == [
        "pathsrgan", "words", str(slide_path), "--words", "two", "three", "--gap-um", "4", "--out", "words.txt"
    ]  # fmt: skip
    assert form.options.values()["out"] == "{result}/words.txt"


def test_it_runs_as_a_job_and_its_result_opens(
    words: Command[Any], jobs_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        process, "WORKER", (sys.executable, "-c", _WORKER.format(str(Path(__file__).parents[2]), __file__))
    )
    job = queue_command(words, {"slide": "a.svs", "out": "{result}/t.txt", "gap_um": 4})
    done = until(job, lambda job: not job.state.active, 60)
    assert done.state is State.DONE, done.record.problem
    out = done.folder / "result" / "t.txt"
    assert out.read_text() == "a.svs one 4"
    assert done.record.options == {"slide": "a.svs", "words": ["one"], "gap_um": 4.0, "out": str(out)}
    assert done.record.title == "Words t"
    assert saved_command_line(done.record) == f"pathsrgan words a.svs --gap-um 4 --out {out}"
    opened: list[Path] = []
    words.open_result(SimpleNamespace(open_report=opened.append), out)  # type: ignore[arg-type]
    assert opened == [out]


_WORKER = """
import runpy, sys
sys.path.insert(0, {!r})
from napari_pathsrgan.commands.app import main
from napari_pathsrgan.commands.registry import register

register(runpy.run_path({!r})["WORDS"])
sys.exit(main(["jobs", "work", sys.argv[1]]))
"""
