"""What a job's files hold beside its state: curves, images, log. Read in a thread, each time only what is new."""

from __future__ import annotations

import stat
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QImageReader

from napari_pathsrgan.jobs.progress import LineReader
from napari_pathsrgan.jobs.record import PROGRESS, log_tail

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pathsrgan.jobs.listing import Job

METRICS, SAMPLES = "metrics.jsonl", "samples"
"""What a training keeps in its run folder: figures, a JSON object a line, and images of how it does by now."""

MOST_IMAGES, IMAGE_PX = 3, 1024
_MOST_CURVES, _MOST_STEPS = 100, 10**12
_NO_FIGURES = {"step", "phase", "seconds", "done", "total", "task", "time", "epoch"}


@dataclass(frozen=True)
class Reading:
    """What was found at one moment.

    Attributes
    ----------
    job : Job
    curves : dict
        Name → (steps, values), each list as long as the other.
    log : str
        The end of it.
    images : tuple of (name, QImage)
        The latest first.
    """

    job: Job
    curves: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    log: str = ""
    images: tuple[tuple[str, QImage], ...] = ()


class JobReader:
    """Reads one job's files again and again.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job) -> None:
        self._told = LineReader(job.folder / PROGRESS)
        self._measured = LineReader((job.out or job.folder) / METRICS)
        self._curves: dict[str, tuple[list[float], list[float]]] = {}
        self._images: dict[tuple[str, int, int], QImage] = {}

    def read(self, job: Job) -> Reading:
        """Read what there is by now."""
        for reader in (self._told, self._measured):
            rows, anew = reader.read()
            if anew:
                self._curves.clear()
            for row in rows:
                self._take(row)
        curves = {name: (list(steps), list(values)) for name, (steps, values) in self._curves.items()}
        return Reading(job, curves, log_tail(job.folder), self._images_of(job.out))

    def _take(self, row: dict[str, Any]) -> None:
        step = row.get("step", row.get("done"))
        if isinstance(step, bool) or not isinstance(step, (int, float)) or not 0 <= step <= _MOST_STEPS:
            return
        for name, value in _figures(row):
            if name not in self._curves and len(self._curves) >= _MOST_CURVES:
                continue
            steps, values = self._curves.setdefault(name, ([], []))
            while steps and steps[-1] >= step:  # it went on from an earlier checkpoint
                steps.pop()
                values.pop()
            steps.append(step)
            values.append(value)

    def _images_of(self, out: Path | None) -> tuple[tuple[str, QImage], ...]:
        if out is None or not out.is_dir():
            return ()
        try:
            found = sorted([*out.glob(f"{SAMPLES}/*.png"), *out.glob("*.png")], key=_in_order, reverse=True)
        except OSError:
            return ()
        images = {}
        for path in found[:MOST_IMAGES]:
            try:
                about = path.stat()
            except OSError:
                continue
            if not stat.S_ISREG(about.st_mode):
                continue
            key = (path.stem, about.st_mtime_ns, about.st_size)
            image = self._images.get(key) or _load(path)
            if image is not None:
                images[key] = image
        self._images = images
        return tuple((name, image) for (name, _, _), image in images.items())


def _figures(row: dict[str, Any]) -> list[tuple[str, float]]:
    """Give the figures of a row, and of the groups in it, such as losses."""
    groups = [value for value in row.values() if isinstance(value, dict)]
    return [
        (name, float(value))
        for group in (row, *groups)
        for name, value in group.items()
        if type(value) in (int, float) and abs(value) <= sys.float_info.max
        if name not in _NO_FIGURES and not name.startswith("s_per_")
    ]


def _in_order(path: Path) -> tuple[float, str]:
    """By the last number in the name, which is the step: clocks are put back."""
    digits = "".join(sign if sign.isdigit() else " " for sign in path.stem).split()
    return (float(digits[-1]) if digits else 0.0, path.name)


def _load(path: Path) -> QImage | None:
    """Read an image, no larger than is of use; None for half of one."""
    reader = QImageReader(str(path))
    size = reader.size()
    if max(size.width(), size.height()) > IMAGE_PX:
        reader.setScaledSize(size.scaled(QSize(IMAGE_PX, IMAGE_PX), Qt.AspectRatioMode.KeepAspectRatio))
    image = reader.read()
    return None if image.isNull() else image
