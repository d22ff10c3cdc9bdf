"""Registries: things that people add to the package, each one object in one new module.

A registry finds its entries by itself: every module of its package holds one, and so may other installed packages,
through an entry point. To list names imports nothing, so that a window can offer them without loading torch.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from napari_pathsrgan.errors import OptionError


class Entry(Protocol):
    """Something that a registry holds."""

    @property
    def name(self) -> str:
        """What it is found by: the name of its module, or of its entry point."""


T = TypeVar("T", bound=Entry)


class Registry(Generic[T]):
    """The entries of one kind.

    Parameters
    ----------
    package : str
        Full name of the package whose modules each hold one entry. Modules that begin with an underscore hold none.
    attribute : str
        What those modules call their entry.
    noun : str
        The kind, for messages: "network", "backend".

    Notes
    -----
    The entry points of other packages are in the group of the same name as `package`, without its inner parts:
    ``napari_pathsrgan.architectures`` for ``napari_pathsrgan.models.architectures``.
    """

    def __init__(self, package: str, attribute: str, noun: str) -> None:
        self._package, self._attribute, self._noun = package, attribute, noun
        root, *_, last = package.split(".")
        self.group = f"{root}.{last}"
        self._registered: dict[str, T] = {}

    def names(self) -> tuple[str, ...]:
        """List the names of all entries, sorted, without importing them."""
        return tuple(sorted({*self._own_names(), *self._entry_points(), *self._registered}))

    def find(self, name: str) -> T:
        """Find an entry by its name.

        Raises
        ------
        OptionError
            If there is none of that name.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._own_names():
            found: T = getattr(import_module(f"{self._package}.{name}"), self._attribute)
            return found
        if name in (others := self._entry_points()):
            loaded: T = others[name].load()
            return loaded
        raise OptionError(f"There is no {self._noun} called “{name}”.", f"Choose one of {', '.join(self.names())}.")

    def all(self) -> tuple[T, ...]:
        """Import and list all entries, by name."""
        return tuple(map(self.find, self.names()))

    @contextmanager
    def registered(self, entry: T) -> Iterator[T]:
        """Add an entry to this process for as long as the block runs, such as one that a test defines."""
        if entry.name in self.names():
            raise ValueError(f"There is a {self._noun} called {entry.name} already.")
        self._registered[entry.name] = entry
        try:
            yield entry
        finally:
            del self._registered[entry.name]

    def _own_names(self) -> frozenset[str]:
        return _modules(self._package)

    def _entry_points(self) -> Mapping[str, Any]:
        return _installed(self.group, tuple(sys.path))


@cache
def _modules(package: str) -> frozenset[str]:
    """Names of a package's modules; kept, since what draws a layer asks for every tile."""
    folder = import_module(package).__path__
    return frozenset(module.name for module in pkgutil.iter_modules(folder) if not module.name.startswith("_"))


@lru_cache(maxsize=64)
def _installed(group: str, _path: tuple[str, ...]) -> Mapping[str, Any]:
    """Entry points of a group; kept, since finding them reads the metadata of every installed package (15 ms)."""
    return MappingProxyType({point.name: point for point in entry_points(group=group)})
