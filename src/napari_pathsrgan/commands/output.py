"""What commands print: lines for people, JSON for programs, progress on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from napari_pathsrgan.jobs.progress import progress_file
from napari_pathsrgan.text import escaped, printable

_LONGEST_LINE = 100_000


def print_result(record: Any, lines: Sequence[str], as_json: bool) -> None:
    """Print a result on standard output.

    Parameters
    ----------
    record : Any
        The result as plain values; whatever else it holds is written as text.
    lines : sequence of str
        The same for people.
    as_json : bool
        Which of the two.
    """
    if as_json:
        print(escaped(json.dumps(record, indent=2, ensure_ascii=False, default=str)))
    else:
        print("\n".join(printable(part, _LONGEST_LINE) for line in lines for part in line.split("\n")))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay rows of text out in columns two spaces apart, without characters that a terminal obeys."""
    rows = [[printable(cell, len(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def thousands(number: int) -> str:
    """Write a whole number with thin spaces: 12 345."""
    return f"{number:,}".replace(",", "\u2009")


class Progress(Protocol):
    """Receives the progress of a command."""

    def __call__(self, done: float, total: float, task: str = "", **figures: float) -> None:
        """Report what is done and what there is to do, of what where that changed, and figures such as losses."""


@contextmanager
def progress(task: str, speed: tuple[float, str] | None = None) -> Iterator[Progress]:
    """Show a bar with the time left on standard error while the block runs, where that is a terminal.

    A job's progress goes to its file as well, see `jobs.progress`.

    Parameters
    ----------
    task : str
        What is being done at first.
    speed : (float, str), optional
        How much makes one of a unit, to show how fast it goes: (1e6, "Mpx").

    Yields
    ------
    Progress
    """
    file = progress_file()
    if file is not None:
        file(0, 0, task)

    def report_to_file(done: float, total: float, task: str = "", **figures: float) -> None:
        if file is not None:
            file(done, total, task, **figures)

    if not sys.stderr.isatty():
        yield report_to_file
        return
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class SpeedColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            if speed is None or task.speed is None:
                return Text()
            return Text(f"{task.speed / speed[0]:.2g} {speed[1]}/s")

    parts = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), SpeedColumn(), TimeRemainingColumn())
    with Bars(*parts, console=Console(stderr=True), transient=True, speed_estimate_period=120) as bars:
        shown = bars.add_task(task, total=None)

        def report_to_bar(done: float, total: float, task: str = "", **figures: float) -> None:
            report_to_file(done, total, task, **figures)
            bars.update(shown, completed=done, total=total, description=task or None)

        yield report_to_bar
