"""Options in words: help, command lines, and what is wrong with a value."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from napari_pathsrgan.commands.app import parse
from napari_pathsrgan.commands.command import Command
from napari_pathsrgan.commands.option_text import command_line, option_help, option_name, problems, validated
from napari_pathsrgan.commands.registry import commands, find_job_command
from napari_pathsrgan.errors import OptionError


@pytest.mark.parametrize("name", commands())
def test_every_option_of_every_command_is_described(name: str) -> None:
    command = commands()[name]
    assert command.run.__doc__
    assert [option for option, text in option_help(command.options).items() if not text] == []


@pytest.mark.parametrize("name", commands())
def test_every_default_is_accepted_and_saved(name: str) -> None:
    command = commands()[name]
    given: dict[str, Any] = {"rater": "A", "reason": "late", "weight": 0.5, "pairs": ("p",), "command": ("phantom",)}
    fields = command.options.model_fields
    required = {option: given.get(option, "x") for option, about in fields.items() if about.is_required()}
    if name in ("accuracy", "evaluate"):
        required["pairs"] = "p"
    if name == "register":
        required["scans"] = ("x",)  # none do, unless fields are simulated
    options = validated(command.options, required)
    assert validated(command.options, options.model_dump(mode="json")) == options


def test_options_are_named_as_on_the_command_line() -> None:
    train, register = find_job_command("train").options, find_job_command("register").options
    assert option_name(train, "init_from") == "--init-from"
    assert option_name(train, "preset_options") == "--preset-options"
    assert option_name(register, "stride_px") == "--stride-px"
    assert option_name(register, "scans") == "SCANS"


WORDS = [
    "phantom 'made here' --size-um 100.5 --magnifications 4 10",
    "register p.zarr a.svs b.svs c.svs --split train --stride-px 300",
    "upscale a.svs b.ome.zarr --model lite@0.5 --region -1.5,0,1e-07,30 --blend",
    "upscale a.svs b.ome.zarr --region area.geojson --scheduler tls://here:1",
    "train --recipe laptop --epochs 1 1 0 --pairs a --pairs 'b c' --preset-options.width 16 --init-from lite --out -o",
    "evaluate pairs.zarr --split all --out report",
]


@pytest.mark.parametrize("line", WORDS)
def test_a_command_line_gives_its_options_again(line: str) -> None:
    name, *words = shlex.split(line.replace("--region -", "--region=-").replace("--out -o", "--out=-o"))
    command = find_job_command(name)
    options = validated(command.options, parse(command, words))
    program, again, *words_again = shlex.split(command_line(command, options))
    assert (program, again) == ("pathsrgan", name)
    assert validated(command.options, parse(command, words_again)) == options
    assert set(words_again) == set(words)


def test_settings_of_a_recipe_are_left_out_of_a_command_line() -> None:
    command = find_job_command("train")
    options = validated(command.options, {"recipe": "laptop", "pairs": ["p"], "out": "o"})
    assert command_line(command, options) == "pathsrgan train --recipe laptop --pairs p --out o"
    saved = validated(command.options, options.model_dump(mode="json"))
    assert command_line(command, saved) == command_line(command, options)


def test_a_command_line_holds_nothing_that_a_terminal_obeys() -> None:
    command = find_job_command("phantom")
    line = command_line(command, validated(command.options, {"out": "\x1b]0;owned\x07"}))
    assert not set("\x1b\x07") & set(line)


REGISTER = {"out": "p", "scans": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("name", "values", "option", "said"),
    [
        ("register", REGISTER | {"stride_px": 3}, "stride_px", "It must be at least 32."),
        ("register", REGISTER | {"stride_px": "wide"}, "stride_px", "It must be a whole number."),
        ("register", REGISTER | {"stride_px": 1.5}, "stride_px", "It must be a whole number."),
        ("register", REGISTER | {"least_correlation": "high"}, "least_correlation", "It must be a number."),
        ("register", REGISTER | {"least_correlation": 1}, "least_correlation", "It must be less than 1."),
        ("register", REGISTER | {"split": "some"}, "split", "It must be 'train', 'test' or 'place'."),
        ("register", {"scans": ["x"]}, "out", "This is required."),
        ("train", {"pairs": [], "out": "o"}, "pairs", "Give at least 1."),
        ("train", {"pairs": ["p"], "out": "o", "patch_lr_px": 20}, "patch_lr_px", "It must be a multiple of 8."),
        ("train", {"pairs": ["p"], "out": "o", "epochs": [1, 2]}, "epochs", "Give 3 values."),
        ("upscale", {"slide": "s", "out": "o", "region": "1,2"}, "region", "It is not four numbers"),
        ("upscale", {"slide": "s", "out": "o", "region": "nan,0,1,1"}, "region", "It is not four numbers"),
    ],
)
def test_what_is_wrong_is_a_plain_sentence(name: str, values: dict[str, Any], option: str, said: str) -> None:
    command: Command[Any] = find_job_command(name)
    found = problems(command.options, values)
    assert list(found) == [option]
    assert found[option].startswith(said)
    with pytest.raises(OptionError) as raised:
        validated(command.options, values)
    assert option_name(command.options, option) in raised.value.problem


def test_an_error_names_the_option_and_the_value() -> None:
    train = find_job_command("train").options
    with pytest.raises(OptionError) as raised:
        validated(train, {"pairs": [Path("p")], "out": "o", "patch_lr_px": "20"})
    assert str(raised.value) == "--patch-lr-px can't be '20'. It must be a multiple of 8."
