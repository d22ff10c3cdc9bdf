"""What a job is told to do, what its folder says of it, and the words for how it goes."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from napari_pathsrgan.jobs.process import ProcessMark

VERBS = ("register", "accuracy", "train", "evaluate", "upscale", "phantom")
"""Verbs that take long enough to be jobs. Each goes on where it stopped when it is given the same words again."""

RESULT = "{result}"
"""Stands in a job's words for the folder ``result`` of its own."""

_RECORDED_VERSIONS = ("napari-pathsrgan", "numpy", "torch", "zarr")
LAYOUT = 1
"""Version of the record's form."""

DEVICE_PATTERN = r"^[A-Za-z0-9_:.-]{1,64}$"
"""Of a device's name, from which the name of a file is made."""


class State(StrEnum):
    """How a job goes."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    """Its process went without a word: killed, out of memory, or the machine was restarted."""
    FAILED = "failed"
    DONE = "done"
    DAMAGED = "damaged record"
    """Nobody knows: its folder's record is not one. It can only be removed."""

    @property
    def active(self) -> bool:
        """Whether there is a process that works at it, or waits to."""
        return self in (State.QUEUED, State.RUNNING, State.STOPPING)

    @property
    def resumable(self) -> bool:
        """Whether it can go on."""
        return self in (State.STOPPED, State.INTERRUPTED, State.FAILED)


@dataclass(frozen=True)
class JobSpec:
    """What a job is told once, when it is queued.

    Attributes
    ----------
    argv : tuple of str
        What follows ``pathsrgan`` on the command line: the verb and its words.
    title : str
        What the user knows the job by.
    device : str
        Whose queue it waits in, see `turns.device_of`.
    cwd : str
        Folder that paths among the words are seen from.
    config : dict
        The same words understood: every option with its value, as plain values.
    versions : dict
        Of the packages that decide what comes out.
    created : str
        ISO 8601; for people only, since clocks are put back.
    """

    argv: tuple[str, ...]
    title: str
    device: str
    cwd: str
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""

    @property
    def verb(self) -> str:
        """The verb it runs; empty where its record is damaged."""
        return self.argv[0] if self.argv else ""


@dataclass(frozen=True)
class JobRecord:
    """What ``job.json`` holds.

    Attributes
    ----------
    spec : JobSpec
    state : State
        As last written: never stopping; a look at the process can tell that it was interrupted since. Damaged where
        this stands for a record that can't be read.
    turn : int
        Place in the queue: lower ones come first.
    process : ProcessMark
        That waits or works.
    started, ended : str
        ISO 8601 or empty.
    code : int, optional
        Exit code of the verb.
    problem : str
        The sentence it failed with, or what is known of how it was interrupted.
    """

    spec: JobSpec
    state: State
    turn: int
    process: ProcessMark
    started: str = ""
    ended: str = ""
    code: int | None = None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give plain values."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        spec: JobSpec = own.pop("spec")
        process: ProcessMark = own.pop("process")
        return {"layout": LAYOUT, **asdict(spec), **own, "process": asdict(process)}


def damaged_record(problem: str) -> JobRecord:
    """Make what is shown in place of a record that can't be read."""
    spec = JobSpec(argv=(), title="Damaged record", device="", cwd="")
    return JobRecord(spec, State.DAMAGED, 0, ProcessMark(0, "", ""), problem=problem)


def usual_title(argv: tuple[str, ...]) -> str:
    """Name a job after its verb and its most telling file."""
    verb, *words = argv
    told = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--out"]
    told += [word for word in words if not word.startswith("--")]
    return f"{verb.capitalize()} {Path(told[0]).name.split('.')[0] if told else ''}".strip()


def versions_here() -> dict[str, str]:
    """Versions of Python and of the packages that decide what comes out."""
    found = {"python": sys.version.split()[0]}
    for name in _RECORDED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
