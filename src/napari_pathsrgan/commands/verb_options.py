"""What a verb can be told, as data: for forms, and to understand a job's words before it starts.

There is one source: the verb's own signature and the docstrings of its options, from which ``--help`` is made as well.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from cyclopts import ArgumentCollection, CycloptsError
from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

from napari_pathsrgan.commands.app import app, one_sentence
from napari_pathsrgan.commands.options import out_of_range
from napari_pathsrgan.errors import OptionError, PathSRGANError

Kind = Literal["path", "int", "float", "text", "choice", "flag", "numbers", "words", "named"]


@dataclass(frozen=True)
class VerbOption:
    """One thing that a verb can be told.

    Attributes
    ----------
    name : str
        As on the command line: ``--stride-px``; for what stands without a name, such as PAIRS, "".
    key : str
        Its name among the verb's parameters: ``stride_px``.
    kind : str
        What it takes; "numbers" are several, `count` of them or, where that is 0, any number; "words" are any number of
        words, of `choices` where there are any; "named" are values with a name each, written
        ``--preset-options.width 32`` on the command line.
    many : bool
        Whether several may be given, one after the other.
    count : int
        Words it takes.
    choices : tuple of str
        All that may be chosen.
    default : Any
        None where there is none.
    required : bool
    help : str
        From the docstring.
    least, most : float, optional
        Bounds, where they are known.
    """

    name: str
    key: str
    kind: Kind
    many: bool = False
    count: int = 1
    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    help: str = ""
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a verb can't be run with what it is told.

    Attributes
    ----------
    key : str
        Of the option at fault; empty where it is not one alone.
    sentence : str
        With the option's name and what it was given, for the command line.
    reason : str
        Without them, for where they stand beside it.
    """

    key: str
    sentence: str
    reason: str


def options_of(verb: str) -> tuple[VerbOption, ...]:
    """List what a verb can be told, in the order of its help; how it prints is left out.

    Parameters
    ----------
    verb : str
    """
    arguments = app[verb].assemble_argument_collection(parse_docstring=True)
    found = []
    for argument in arguments:
        if argument.children or argument.name == "--json":
            continue
        kind, many, count, choices = _understand(argument.hint)
        if argument.parameter.n_tokens == 1 and (count != 1 or kind is None):
            kind, count = "text", 1  # such as ROW,COL,HEIGHT,WIDTH, or a file
        if kind is None:
            continue  # on the command line only
        default = argument.field_info.default
        least, most = _bounds(arguments, argument.keys)
        names = [name for name in argument.names if name.startswith("--") and not name.startswith("--empty-")]
        found.append(
            VerbOption(
                name=names[-1] if names else "",  # an alias is what the help calls it
                key=argument.keys[-1] if argument.keys else argument.name.lstrip("-").lower().replace("-", "_"),
                kind=kind,
                many=many,
                count=count,
                choices=choices,
                default=None if default is inspect.Parameter.empty else default,
                required=bool(argument.required),
                help=argument.parameter.help or "",
                least=least,
                most=most,
            )
        )
    return tuple(found)


def understand(argv: Sequence[str]) -> dict[str, Any]:
    """Understand a verb's words without running it: every option with its value, as plain values.

    Raises
    ------
    OptionError
        If it could not be run with them.
    """
    refused = refusal(argv)
    if refused is not None:
        raise OptionError(refused.sentence, f"See pathsrgan {argv[0] if argv else ''} --help.".replace("  ", " "))
    _, bound, *_ = app.parse_args(list(argv), exit_on_error=False, print_error=False)
    told: dict[str, Any] = {}
    bound.apply_defaults()
    for name, value in bound.arguments.items():
        told |= _flat(name, value)
    told.pop("json", None)
    return told


def refusal(argv: Sequence[str]) -> Refusal | None:
    """Say why a verb can't be run with its words; None where it can, as far as that is seen without running it."""
    try:
        app.parse_args(list(argv), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        cause = error.__cause__
        if isinstance(cause, PydanticError):
            refused, place = out_of_range(cause), cause.errors()[0]["loc"]
            return Refusal(str(place[0]) if place else "", str(refused), refused.remedy)
        argument = getattr(error, "argument", None)
        name = argument.name if argument is not None else ""
        sentence = one_sentence(error).removesuffix(_SEE_HELP)
        return Refusal(name.lstrip("-").lower().replace("-", "_"), sentence, sentence)
    except PathSRGANError as error:
        key = error.problem.partition(" ")[0].lstrip("-").replace("-", "_") if error.problem.startswith("--") else ""
        return Refusal(key, str(error), str(error))
    return None


_SEE_HELP = " See pathsrgan --help."


def _flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        flat: dict[str, Any] = {}
        for entry in fields(value):
            flat |= _flat(entry.name, getattr(value, entry.name))
        return flat
    if isinstance(value, (list, tuple)):
        return {name: [str(part) if isinstance(part, Path) else part for part in value]}
    return {name: str(value) if isinstance(value, Path) else value}


def _understand(hint: Any) -> tuple[Kind | None, bool, int, tuple[str, ...]]:
    """Tell kind, whether it may be repeated, how many words it takes, and choices."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [part for part in parts if part is not type(None)]
        return _understand(inner[0]) if len(inner) == 1 else (None, False, 1, ())
    if origin is Literal:
        return "choice", False, 1, tuple(map(str, parts))
    if origin is dict:
        return "named", False, 0, ()
    if origin in (tuple, list):
        kind, _, _, choices = _understand(parts[0])
        if len(parts) == 1 or parts[-1] is Ellipsis:
            if kind in ("choice", "text"):
                return "words", False, 0, choices
            return ("path", True, 1, ()) if kind == "path" else ("numbers", False, 0, ())
        return ("numbers", False, len(parts), ()) if kind in ("int", "float") else (None, False, 1, ())
    plain: Mapping[Any, Kind] = {Path: "path", int: "int", float: "float", str: "text", bool: "flag"}
    return plain.get(hint), False, 1, ()


def _bounds(arguments: ArgumentCollection, keys: tuple[str, ...]) -> tuple[float | None, float | None]:
    """Find the bounds of an option that belongs to a pydantic model."""
    least = most = None
    for parent in arguments:
        model = parent.hint
        if not (isinstance(model, type) and issubclass(model, BaseModel) and parent.keys == keys[:-1] and keys):
            continue
        for rule in model.model_fields[keys[-1]].metadata if keys[-1] in model.model_fields else ():
            least = getattr(rule, "ge", getattr(rule, "gt", least))
            most = getattr(rule, "le", getattr(rule, "lt", most))
    return least, most
