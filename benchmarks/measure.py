"""What every benchmark does: two things timed in turns in one run, a table of ratios, a line on the machine.

Each script is a command, ``python benchmarks/NAME.py [--json]``. Its figures are ratios or shares measured in one run,
so that they mean something on another machine too; seconds stand beside them for the curious.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

_TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Figure:
    """One line of a benchmark's table.

    Attributes
    ----------
    name : str
        What is compared with what.
    value : float
    unit : str
        "×" for ratios, "%" for shares, "s", "ms" or "MiB" for what a ratio can't say.
    detail : str
        What it was made from: medians, numbers of runs.
    at_least, at_most : float, optional
        The goal, in the same unit; a figure without one is only told.
    """

    name: str
    value: float
    unit: str
    detail: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def goal(self) -> str:
        """The goal in words; empty where there is none."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g} {self.unit}"
        return "" if self.at_most is None else f"≤ {self.at_most:g} {self.unit}"

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most


def in_turns(cases: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Time several things in turns, so that whatever else the machine does falls on all of them.

    Parameters
    ----------
    cases : mapping of name to callable
        Each is run once untimed first: that prepares kernels and fills caches.
    runs : int
        Timed runs of each.

    Returns
    -------
    dict of name to list of float
        Seconds of each run, in order, so that the runs of one turn can be paired.
    """
    for case in cases.values():
        case()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            began = time.perf_counter()
            case()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def paired_ratio(slower: Sequence[float], faster: Sequence[float]) -> float:
    """Median over the turns of one time over the other."""
    return statistics.median(one / other for one, other in zip(slower, faster, strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    """Smallest of the values that at least `percent` of them don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def load() -> float | None:
    """How many processes wanted a core in the last minute; above 0.5 the machine is not idle. None where unknown."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def machine(load_before: float | None) -> dict[str, Any]:
    """Describe what the figures were measured on; to be called after the measuring, since it imports torch.

    Parameters
    ----------
    load_before : float, optional
        `load` before the measuring.

    Returns
    -------
    dict
        ``cores``, ``processor``, ``flags`` (of those that matter here), ``threads`` (of the network), ``torch``,
        ``load``.
    """
    # Here, or the window's process would hold torch in memory, which it does not in a user's hands.
    from napari_pathsrgan.inference.engine import default_threads

    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split(":", 1) for line in about.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in lines.items()}
    flags = facts.get("flags", "").split()
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": facts.get("model name", "unknown"),
        "flags": [flag for flag in _TELLING_FLAGS if flag in flags],
        "threads": default_threads(),
        "torch": version("torch"),
        "load": load_before,
    }


def machine_line(facts: Mapping[str, Any]) -> str:
    """`machine` in one line."""
    return (
        f"{facts['cores']} cores ({facts['processor']}; {' '.join(facts['flags']) or 'no AVX'}), "
        f"{facts['threads']} threads for torch {facts['torch']}, load before the run {facts['load']}"
    )


def command(measure: Callable[[argparse.Namespace], list[Figure]], *options: tuple[str, dict[str, Any]]) -> None:
    """Run a benchmark as a command.

    Parameters
    ----------
    measure : callable
        Given the parsed options, returns the figures; its module's docstring is the help.
    *options : (flag, dict)
        What the benchmark takes besides ``--json``, for `argparse`.
    """
    parser = argparse.ArgumentParser(description=sys.modules[measure.__module__].__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    for flag, settings in options:
        parser.add_argument(flag, **settings)
    parsed = parser.parse_args()
    load_before = load()
    figures = measure(parsed)
    facts = machine(load_before)
    if parsed.json:
        rows = [{**asdict(figure), "goal": figure.goal, "met": figure.met} for figure in figures]
        print(json.dumps({"machine": facts, "figures": rows}, ensure_ascii=False))
        return
    print(machine_line(facts))
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        verdict = {None: "", True: f"goal {figure.goal}: met", False: f"goal {figure.goal}: NOT MET"}[figure.met]
        print(f"{figure.name:<{width}}  {figure.value:>8.3g} {figure.unit:<3}  {verdict:<22}  {figure.detail}".rstrip())


def say(text: str) -> None:
    """Tell what is going on, on standard error."""
    print(text, file=sys.stderr, flush=True)
