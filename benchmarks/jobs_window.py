"""What background jobs cost the window: its heartbeat beside a training on every core, and opening the dock *Jobs*.

A window shows a synthetic slide in three panes, sharp and at rest, with the dock *Jobs* beside it, which follows a real
training: `lite` with all its losses, as many threads as there are cores, two loaders. A timer of 5 ms is the heart. In
turns the training runs and is held. Then the dock is opened again and again over 200 finished jobs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from browsing import Browser, browser, some_large_screen
from measure import Figure, command, percentile, say
from panning import Heart

from napari_pathsrgan.commands.app import parse
from napari_pathsrgan.commands.jobs import queue_command
from napari_pathsrgan.commands.registry import find_job_command
from napari_pathsrgan.jobs.listing import Job, read_job
from napari_pathsrgan.jobs.queue import stop_job
from napari_pathsrgan.jobs.record import State
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.plugin.jobs.jobs_widget import JobsWidget

_FINISHED = 200
_SLIDE_UM = 700.0
_TRAINING = ("--accelerator", "cpu", "--batch-size", "4", "--patch-lr-px", "32", "--epoch-steps", "100000")
"""Small steps, so that curves come often: that is when the window has something to do."""


def queue(*words: str) -> Job:
    """Queue a job."""
    command = find_job_command(words[0])
    return queue_command(command, parse(command, words[1:]))


def ended(job: Job) -> bool:
    """Whether a job is done; RuntimeError if it has failed."""
    seen = read_job(job.folder)
    if not seen.state.active and seen.state is not State.DONE:
        raise RuntimeError(f"{seen.record.title}: {seen.state}. {seen.record.problem}")
    return seen.state is State.DONE


def processes(job: Job) -> list[psutil.Process]:
    """The job's own and all that it has started."""
    supervisor = psutil.Process(job.record.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def beats(window: Browser, seconds: float) -> list[float]:
    """Gaps between heartbeats of a window at rest, ms."""
    heart = Heart()
    heart.start()
    window.work_in_event_loop(seconds)
    heart.stop()
    return heart.gaps_ms


def measure_heartbeat(window: Browser, folder: Path, turns: int, seconds: float) -> list[Figure]:
    """Measure the window beside a training that runs, and beside one that is held."""
    pairs = folder / "pairs.zarr"
    made = queue("register", str(pairs), "--phantoms", "2", "--scanners", "1", "--split", "train")
    window.work(lambda: ended(made))
    dock = JobsWidget(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Jobs", area="right")
    training = queue("train", "--pairs", str(pairs), "--out", str(folder / "run"), *_TRAINING)
    window.work(lambda: training.id in {job.id for job in dock.list.jobs})
    dock.list.choose(training.id)
    metrics = folder / "run" / "metrics.jsonl"
    say("The training is on its way …")
    window.work(lambda: metrics.exists() and bool(dock.details.curves.curves))
    busy: list[float] = []
    idle: list[float] = []
    cores: list[float] = []
    for _ in range(turns):
        for gaps, act in ((busy, psutil.Process.resume), (idle, psutil.Process.suspend)):
            for one in processes(training):
                act(one)
            window.work(at_least_s=1.0)
            before, began = _cpu_s(training), time.perf_counter()
            gaps.extend(beats(window, seconds))
            if gaps is busy:
                cores.append((_cpu_s(training) - before) / (time.perf_counter() - began))
    for one in processes(training):
        one.resume()
    stop_job(training, at_once=True)
    window.viewer.window.remove_dock_widget(dock)
    runs = f"{turns} × {seconds:g} s each, in turns"
    figures: list[tuple[str, Callable[[list[float]], float], float | None]] = [
        (
            "Heartbeat gaps beside a training, running against held: p99",
            lambda g: percentile(g, 99),
            2,
        ),
        ("… p50", lambda g: percentile(g, 50), None),
        ("… longest", max, None),
    ]
    return [
        *(
            Figure(name, of(busy) / of(idle), "×", f"{of(busy):.1f} against {of(idle):.1f} ms, {runs}", at_most=goal)
            for name, of, goal in figures
        ),
        Figure("Cores that the training had meanwhile", statistics.mean(cores), "", f"of {os.cpu_count()}"),
    ]


def _cpu_s(job: Job) -> float:
    times = [process.cpu_times() for process in processes(job)]
    return sum(one.user + one.system for one in times)


def measure_opening(window: Browser, home: Path, runs: int) -> Figure:
    """Open the dock over many finished jobs, until they are listed and drawn."""
    done = next(folder for folder in sorted(home.iterdir()) if folder.name.endswith("-register"))
    for number in range(1000, 1000 + _FINISHED):
        shutil.copytree(done, home / f"{number}-register")
    took = []
    for _ in range(runs):
        window.work(at_least_s=0.5)
        began = time.perf_counter()
        dock = JobsWidget(window.viewer)
        window.viewer.window.add_dock_widget(dock, name="Jobs", area="right")
        window.work(lambda dock=dock: len(dock.list.jobs) >= _FINISHED)
        took.append(time.perf_counter() - began)
        window.viewer.window.remove_dock_widget(dock)
    detail = f"median of {runs}, {min(took):.2f} to {max(took):.2f} s, until listed and drawn"
    return Figure(
        f"The dock Jobs opens over {_FINISHED} finished jobs", statistics.median(took), "s", detail, at_most=0.3
    )


def measure(options: argparse.Namespace) -> list[Figure]:
    """Open the window, and measure both."""
    with tempfile.TemporaryDirectory() as name, some_large_screen():
        folder = Path(name)
        os.environ["PATHSRGAN_JOBS"] = str(folder / "jobs")
        os.environ["PATHSRGAN_MODELS"] = str(folder / "models")
        slide = write_phantom(folder / "slide", _SLIDE_UM, 3, (4,)).scans[4]
        with browser(slide) as window:
            window.rest()
            figures = measure_heartbeat(window, folder, options.turns, options.seconds)
            return [*figures, measure_opening(window, folder / "jobs", options.runs)]


if __name__ == "__main__":
    command(
        measure,
        ("--seconds", {"type": float, "default": 10.0, "help": "length of a turn (%(default)s)"}),
        ("--turns", {"type": int, "default": 3, "help": "turns with the training running, and held (%(default)s)"}),
        ("--runs", {"type": int, "default": 9, "help": "times the dock is opened (%(default)s)"}),
    )
