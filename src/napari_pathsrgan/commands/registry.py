"""All commands: those in this package, those of packages with an entry point, and those registered by hand."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from napari_pathsrgan.commands.command import Command, CommandGroup
from napari_pathsrgan.errors import OptionError

ENTRY_POINTS = "napari_pathsrgan.commands"
"""Group of entry points, each of which names a module or a package with commands."""

_registered: list[Command[Any]] = []


def commands() -> dict[str, Command[Any]]:
    """All commands by name."""
    return {command.name: command for command in (*_found()[0], *_registered)}


def groups() -> dict[str, CommandGroup]:
    """Groups of commands by name."""
    return {group.name: group for group in _found()[1]}


def job_commands() -> dict[str, Command[Any]]:
    """Commands that may run as jobs, by name."""
    return {name: command for name, command in commands().items() if command.runs_as_job}


def find_job_command(name: str) -> Command[Any]:
    """Find a command that may run as a job.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    found = job_commands()
    if name not in found:
        raise OptionError(f"“{name}” is no command for a job.", f"Choose one of {', '.join(sorted(found))}.")
    return found[name]


def register(command: Command[Any]) -> None:
    """Add a command to those that are found; one of the same name is replaced.

    Parameters
    ----------
    command : Command
    """
    _registered.append(command)


@contextmanager
def registered(command: Command[Any]) -> Iterator[None]:
    """Add a command while a block runs."""
    register(command)
    try:
        yield
    finally:
        _registered.remove(command)


@cache
def _found() -> tuple[tuple[Command[Any], ...], tuple[CommandGroup, ...]]:
    names = [__package__, *(entry.value for entry in entry_points(group=ENTRY_POINTS))]
    objects = [thing for name in dict.fromkeys(names) for module in _modules(name) for thing in vars(module).values()]
    return (
        tuple(thing for thing in objects if isinstance(thing, Command)),
        tuple(thing for thing in objects if isinstance(thing, CommandGroup)),
    )


def _modules(name: str) -> Iterator[ModuleType]:
    module = importlib.import_module(name)
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{name}.{found.name}")
