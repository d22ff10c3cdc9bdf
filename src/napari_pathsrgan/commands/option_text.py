"""Options in words: their names and help, the command that gives them, and what is wrong with a value."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from napari_pathsrgan.commands.command import Command, Options, TypedAs, is_positional
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


M = TypeVar("M", bound=BaseModel)


def option_name(options: type[BaseModel], name: str) -> str:
    """Name of an option on the command line: ``--stride-px``, or ``PAIRS`` for one that is given without a name."""
    if is_positional(options, name):
        return name.upper().replace("_", "-")
    return f"--{(options.model_fields[name].alias or name).replace('_', '-')}"


@cache
def option_help(options: type[BaseModel]) -> dict[str, str]:
    """Descriptions of the options, from the *Attributes* of a model's docstring and of those that it builds upon."""
    from docstring_parser.numpydoc import parse  # not needed to run a command

    help_: dict[str, str] = {}
    for model in reversed(options.__mro__):
        if issubclass(model, BaseModel) and model.__doc__:
            for described in parse(model.__doc__).params:
                text = " ".join((described.description or "").split())
                help_ |= dict.fromkeys(described.arg_name.replace(" ", "").split(","), text)
    return {name: help_.get(name, "") for name in options.model_fields}


def validated(options: type[M], values: Mapping[str, Any]) -> M:
    """Check the options of a command, or a part of them.

    Raises
    ------
    OptionError
        For the first value that is wrong, by the name of its option.
    """
    try:
        return options.model_validate(dict(values))
    except ValidationError as error:
        raise option_error(options, error) from error


def option_error(options: type[BaseModel], error: ValidationError) -> OptionError:
    """Say the first thing that is wrong, with the name of its option."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return OptionError(problem_sentence(first, options), "See pathsrgan --help.")
    field = field_of(options, first)
    named = option_name(options, field) if field in options.model_fields else str(first["loc"][0])
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return OptionError(f"{named} is missing.", "It has no default.")
    if first["type"] == "extra_forbidden":
        return OptionError(f"There is no option {named}.", "See pathsrgan --help.")
    return OptionError(f"{named} can't be {_shown(first['input'])}.", problem_sentence(first, options))


def problems(options: type[Options], values: Mapping[str, Any]) -> dict[str, str]:
    """Say what is wrong with each option, by its name; "" stands for what concerns several."""
    try:
        options.model_validate(dict(values))
    except ValidationError as error:
        found = ((field_of(options, one), problem_sentence(one, options)) for one in error.errors(include_url=False))
        return dict(reversed(list(found)))
    return {}


def field_of(options: type[BaseModel], error: ErrorDetails) -> str:
    """Name of the field that an error is about; empty where it is about several."""
    place = str(error["loc"][0]) if error["loc"] else ""
    aliases = {about.alias: name for name, about in options.model_fields.items() if about.alias}
    return aliases.get(place, place)


_SENTENCES = {
    "missing": "This is required.",
    "int_type": "It must be a whole number.",
    "int_parsing": "It must be a whole number.",
    "int_from_float": "It must be a whole number.",
    "float_type": "It must be a number.",
    "float_parsing": "It must be a number.",
    "finite_number": "It must be a finite number.",
    "greater_than_equal": "It must be at least {ge:g}.",
    "greater_than": "It must be more than {gt:g}.",
    "less_than_equal": "It must be at most {le:g}.",
    "less_than": "It must be less than {lt:g}.",
    "multiple_of": "It must be a multiple of {multiple_of:g}.",
    "literal_error": "It must be {expected}.",
    "too_short": "Give at least {min_length}.",
    "too_long": "Give at most {max_length}.",
}
"""Plain sentences for the kinds of errors of pydantic."""


def problem_sentence(error: ErrorDetails, options: type[BaseModel]) -> str:
    """Say in a plain sentence why pydantic refused a value."""
    context = error.get("ctx", {})
    if error["type"] == "missing" and len(error["loc"]) > 1:  # in a tuple
        return f"Give {len(get_args(options.model_fields[field_of(options, error)].annotation))} values."
    if error["type"] == "value_error":  # of a validator of ours
        sentence = str(context["error"])
        return sentence if sentence.endswith((".", "?")) else f"{sentence}."
    sentence = _SENTENCES.get(error["type"], f"{error['msg']}.")
    return sentence.format(**context) if error["type"] in _SENTENCES else sentence


def command_words(command: Command[Any], options: Options) -> list[str]:
    """Write a command as the words that follow ``pathsrgan``; options at their defaults are left out."""
    return [*command.name.split(), *option_words(options, options.usual(vars(options)))]


def command_line(command: Command[Any], options: Options) -> str:
    """Write a command to copy, without characters that a terminal obeys."""
    line = shlex.join(["pathsrgan", *command_words(command, options)])
    return printable(line, len(line))


def option_words(
    options: BaseModel, usual: Mapping[str, Any], only: Collection[str] | None = None, bare_paths: bool = False
) -> list[str]:
    """Write options as words of a command line.

    Parameters
    ----------
    options : BaseModel
    usual : mapping
        Values that are left out.
    only : collection of str, optional
        Names of the options to write; all by default.
    bare_paths : bool
        Whether to leave folders of this machine out.
    """
    model = type(options)
    names = [name for name in model.model_fields if only is None or name in only]
    given = [name for name in names if name not in usual or getattr(options, name) != usual[name]]
    given.sort(key=lambda name: not is_positional(model, name))
    return [word for name in given for word in _option_words(options, name, bare_paths)]


def _option_words(options: BaseModel, name: str, bare_paths: bool) -> Iterator[str]:
    value, option = getattr(options, name), option_name(type(options), name)

    def word(one: Any) -> str:
        return Path(str(one)).name if bare_paths and not isinstance(one, (int, float)) else _word(one)

    if is_positional(type(options), name):
        yield from map(word, value if isinstance(value, tuple) else (value,))
    elif isinstance(value, bool):
        yield option
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _named(f"{option}.{key}", word(one))
    elif not isinstance(value, tuple):
        yield from _named(option, word(value))
    elif _typed_as_one(options, name):
        yield from _named(option, ",".join(map(word, value)))
    elif any(isinstance(one, Path) for one in value):
        for one in value:
            yield from _named(option, word(one))
    else:
        yield from (option, *map(word, value))


def _named(option: str, word: str) -> tuple[str, ...]:
    return (f"{option}={word}",) if word.startswith("-") else (option, word)


def _typed_as_one(options: BaseModel, name: str) -> bool:
    return any(isinstance(mark, TypedAs) for mark in type(options).model_fields[name].metadata)


def _word(value: Any) -> str:
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def _shown(value: Any) -> str:
    return repr(str(value)) if not isinstance(value, (list, tuple)) else repr(" ".join(map(str, value)))
