"""Figures of a training on their way to whoever watches it: a callback in another process, TensorBoard."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.private_files import private_folder
from napari_pathsrgan.training.run_folder import METRICS_FILE

Report = Callable[[dict[str, Any]], None]
_POLL_S = 0.5


@contextmanager
def tail_metrics(folder: Path, report: Report) -> Iterator[None]:
    """Report what other processes append to a run's metrics while the block runs.

    Parameters
    ----------
    folder : Path
        The run folder.
    report : callable
        Gets each new row, from a thread of its own.
    """
    path, over = folder / METRICS_FILE, threading.Event()
    place = path.stat().st_size if path.exists() else 0

    def read_on(place: int) -> int:
        if not path.exists():
            return place
        with path.open("rb") as file:
            file.seek(min(place, path.stat().st_size))
            lines = file.read().split(b"\n")
        for line in lines[:-1]:
            report(json.loads(line))
        return place + sum(len(line) + 1 for line in lines[:-1])

    def watch(place: int) -> None:
        while not over.wait(_POLL_S):
            place = read_on(place)
        read_on(place)

    watcher = threading.Thread(target=watch, args=(place,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


@contextmanager
def tensorboard_log(folder: Path, wanted: bool) -> Iterator[Report]:
    """Give a function that writes rows for TensorBoard, into ``tensorboard/`` of the run folder; or does nothing.

    Raises
    ------
    OptionError
        If TensorBoard is wanted but not installed.
    """
    if not wanted:
        yield lambda row: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise OptionError("TensorBoard is not installed.", "Install it: pip install tensorboard.") from error
    writer = SummaryWriter(str(private_folder(folder / "tensorboard")))

    def write(row: dict[str, Any]) -> None:
        for name, value in row.items():
            if isinstance(value, float):
                writer.add_scalar(name, value, row["step"])

    try:
        yield write
    finally:
        writer.close()
