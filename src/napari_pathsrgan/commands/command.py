"""What a command is: its options, what runs it, and how it appears in the window."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of the options of a command: frozen, checked by pydantic, saved as JSON.

    The docstring of the class describes each field under *Attributes*; the help of the command line and of the form are
    made from it. Fields marked `POSITIONAL` are given without a name, in their order; others by ``--their-name``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def usual(cls, _given: Mapping[str, Any], /) -> dict[str, Any]:
        """Values that options have where they are not given, for those that have one.

        Parameters
        ----------
        given : mapping
            Options that are given, on which the others may depend.
        """
        fields = cls.model_fields.items()
        return {name: about.get_default(call_default_factory=True) for name, about in fields if not about.is_required()}


O = TypeVar("O", bound=Options)  # noqa: E741


@dataclass(frozen=True)
class Positional:
    """Marks an option that is given without a name; a tuple of any length takes all that follow."""


POSITIONAL = Positional()


@dataclass(frozen=True)
class TypedAs:
    """Marks an option that is typed as one word, which its own validator parses.

    Attributes
    ----------
    form : str
        How the word looks, for the help: ``ROW,COL,HEIGHT,WIDTH``.
    """

    form: str


@dataclass(frozen=True)
class PathTo:
    """Marks a path and says what lies there, so that a form can offer and check it.

    Attributes
    ----------
    kind : {"file", "folder", "slide", "pairs", "new"}
        "new" is a name for something to write.
    filter : str
        Files that a dialog shows, as Qt writes it: ``GeoJSON (*.geojson *.json)``.
    """

    kind: Literal["file", "folder", "slide", "pairs", "new"]
    filter: str = ""


@dataclass(frozen=True)
class ModelName:
    """Marks the name of a model, a .safetensors file or a run folder."""


@dataclass(frozen=True)
class OpenSlide:
    """A slide that is open in the window.

    Attributes
    ----------
    path : Path
    mpp : float
        Pixel size, µm.
    mpp_given : bool
        Whether the user gave the pixel size, because the file does not.
    """

    path: Path
    mpp: float
    mpp_given: bool = False

    def is_near(self, mpp: float) -> bool:
        """Whether its pixel size is within a third of another."""
        return abs(math.log(self.mpp / mpp)) < math.log(1.35)


@dataclass(frozen=True)
class OpenLayers:
    """What is open in the window when a form opens.

    Attributes
    ----------
    slides : tuple of OpenSlide
        Those of selected layers first.
    pairs : Path, optional
        The pairs file that is open, or the newest one that a job has written.
    """

    slides: tuple[OpenSlide, ...] = ()
    pairs: Path | None = None


@dataclass(frozen=True)
class FormField:
    """A field at the top of a form; all other options follow under *More settings*.

    Attributes
    ----------
    option : str
        Name of the option; several fields may share one that takes several values, one value each.
    label : str
        By default the option's name.
    help : str
        By default the option's description.
    in_job : str
        Name in the job's own folder that is taken where the field is left empty.
    """

    option: str
    label: str = ""
    help: str = ""
    in_job: str = ""


@dataclass(frozen=True)
class JobForm:
    """A form that queues a command as a job.

    Attributes
    ----------
    title : str
        In the menu *New job*.
    about : str
        What the job is for, one or two sentences.
    fields : tuple of FormField
    preset : dict
        Values that differ from the command's defaults.
    suggest : callable
        Gives values that follow from what is open.
    """

    title: str
    about: str
    fields: tuple[FormField, ...] = ()
    preset: Mapping[str, Any] = field(default_factory=dict)
    suggest: Callable[[OpenLayers], Mapping[str, Any]] = lambda _: {}


class ResultWindow(Protocol):
    """What a window can do with the result of a job."""

    def open_slide(self, path: Path) -> None:
        """Show a slide as a layer."""

    def open_pairs(self, path: Path) -> None:
        """Show a pairs file in the dock *Registration*."""

    def choose_model(self, path: Path) -> None:
        """Use a run folder's model in the dock *Super-resolution*."""

    def open_report(self, path: Path) -> None:
        """Open a file, or a folder's report, outside the window."""


@dataclass(frozen=True, kw_only=True)
class Command(Generic[O]):
    """One command of ``pathsrgan``.

    Defining one in a module of this package, or in a package that names itself under the entry point
    ``napari_pathsrgan.commands``, is enough: command line, forms, jobs and the reference in the documentation
    come from here.

    Attributes
    ----------
    name : str
        As on the command line; ``models list`` is the command `list` of the group `models`.
    options : type
        All that it can be given.
    run : callable
        Takes the options and whether to print JSON; gives the exit code, or None for 0. Its docstring is the help.
    prints_json : bool
        Whether there is ``--json``.
    hidden : bool
        Left out of the help.
    extra : str
        The optional dependencies of the package that it needs, such as ``train``.
    runs_as_job : bool
        Whether it may run in the background. It must then continue where it stopped when it is run again.
    device : callable, optional
        Names the device that it needs with given options, such as ``auto`` or ``cuda:1``; None for the CPU alone.
    forms : tuple of JobForm
        In the menu *New job*, in this order.
    open_result : callable
        Shows the result of a finished job, which is the path in its option `out`; opens its report by default.
    after_job : callable, optional
        Called with the options when a job has run without an error.
    """

    name: str
    options: type[O]
    run: Callable[[O, bool], int | None]
    prints_json: bool = True
    hidden: bool = False
    extra: str = ""
    runs_as_job: bool = False
    device: Callable[[O], str] | None = None
    forms: tuple[JobForm, ...] = ()
    open_result: Callable[[ResultWindow, Path], None] = lambda window, out: window.open_report(out)
    after_job: Callable[[O], None] | None = None

    @property
    def group(self) -> str:
        """The first word of a name of two; empty for other commands."""
        return self.name.rpartition(" ")[0]

    def title(self, options: O) -> str:
        """Name a job after the command and its most telling path."""
        positional = [name for name in type(options).model_fields if is_positional(type(options), name)]
        telling = "out" if "out" in type(options).model_fields and "out" not in positional else positional[0]
        value = getattr(options, telling)
        stem = Path(str(value)).name.split(".")[0]
        return f"{self.name.replace('-', ' ').capitalize()} {stem}".strip()


@dataclass(frozen=True)
class CommandGroup:
    """Commands that share the first word of their names.

    Attributes
    ----------
    name : str
    help : str
        One sentence.
    """

    name: str
    help: str


def is_positional(options: type[BaseModel], name: str) -> bool:
    """Whether an option is given without a name."""
    return POSITIONAL in options.model_fields[name].metadata
