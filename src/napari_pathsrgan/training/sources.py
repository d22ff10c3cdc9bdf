"""Where training fields come from: the pictures of a folder and phantoms, made in parallel processes.

Imports no torch, so that each of those processes starts at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.errors import OptionError, WorkerError
from napari_pathsrgan.phantom.cells import Specimen
from napari_pathsrgan.phantom.optics import develop, image_layers
from napari_pathsrgan.phantom.settings import OBJECTIVES, ColourResponse, ScannerSettings
from napari_pathsrgan.training.fields import MPP_HR, Field, Pixels, is_held_out, list_fields, make_field, read_picture

if TYPE_CHECKING:
    from napari_pathsrgan.training.config import FieldsConfig

PHANTOM_UM = (280.0, 360.0)
"""Height and width of a synthetic field: about a camera's field at 40×."""
_PHANTOM_GLASS = 0.15
_SHARP = ScannerSettings(colour=ColourResponse(white=(1.0, 1.0, 1.0)))


@dataclass(frozen=True)
class GatheredFields:
    """Fields by their use.

    Attributes
    ----------
    training : tuple of Field
        Pictures and phantoms to learn from.
    held_out : tuple of Field
        Pictures never learnt from; no phantoms.
    """

    training: tuple[Field, ...]
    held_out: tuple[Field, ...]


def phantom_picture(seed: int) -> Pixels:
    """Draw a synthetic field as an objective of 20× shows it when every depth is in focus.

    Parameters
    ----------
    seed : int
        At least 0.

    Returns
    -------
    (H, W, 3) uint8
        At 0.293 µm/px, glass at 255.
    """
    specimen = Specimen(seed, PHANTOM_UM, _PHANTOM_GLASS)
    shape = (int(PHANTOM_UM[0] / MPP_HR), int(PHANTOM_UM[1] / MPP_HR))
    layers = specimen.render_layers(0.0, 0.0, *shape, MPP_HR)
    flat = np.zeros((*shape, 3), np.float32)
    for _, density in layers:
        flat += density
    imaged = image_layers([(0.0, flat)], MPP_HR, OBJECTIVES[20], _SHARP)
    return develop(imaged, _SHARP, np.random.default_rng(seed))


def gather_fields(
    config: FieldsConfig, seed: int, workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> GatheredFields:
    """Make every field that a training needs.

    Parameters
    ----------
    config : FieldsConfig
    seed : int
        Of scanners and phantoms.
    workers : int, optional
        Processes; by default as many as there are cores. Other than 1, a script that calls this needs the usual
        ``if __name__ == "__main__"``.
    progress : callable, optional
        Told the fields made and to make.

    Returns
    -------
    GatheredFields

    Raises
    ------
    OptionError
        If the folder holds no pictures, one can't be read, or all are left out of training.
    WorkerError
        If one of the processes is killed.
    """
    paths = list_fields(config.folder)
    held_out = [path for path in paths if is_held_out(path.name, config.hold_out_every)]
    learnt = [path for path in paths if path not in held_out]
    if not learnt and not config.phantoms:
        raise OptionError(
            f"All {len(paths)} pictures in {config.folder} are left out of training.", "Give more pictures."
        )
    makers: list[Callable[[], Field]] = [
        *(partial(_from_picture, path, config.mpp, config.scans_per_field, seed) for path in learnt),
        *(partial(_from_phantom, index, config.scans_per_field, seed) for index in range(config.phantoms)),
        *(partial(_from_picture, path, config.mpp, config.scans_per_field, seed) for path in held_out),
    ]
    fields = []
    for field in _make(makers, _cores() if workers is None else workers):
        fields.append(field)
        if progress:
            progress(len(fields), len(makers))
    n_training = len(makers) - len(held_out)
    return GatheredFields(tuple(fields[:n_training]), tuple(fields[n_training:]))


def _make(makers: Sequence[Callable[[], Field]], workers: int) -> Iterator[Field]:
    workers = min(workers, len(makers))
    if workers <= 1:
        yield from (make() for make in makers)
        return
    # Spawned: forking a process in which torch already runs its threads can hang.
    with ProcessPoolExecutor(workers, get_context("spawn"), _ignore_interrupts) as pool:
        try:
            yield from pool.map(_call, makers)
        except BrokenProcessPool as error:
            raise WorkerError(
                "A process that makes training fields was ended from outside.",
                "Most likely memory ran out: close other programs, or train on fewer pictures.",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _call(make: Callable[[], Field]) -> Field:
    return make()


def _ignore_interrupts() -> None:
    """Leave Ctrl+C to the process that waits for the fields."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _from_picture(path: Path, mpp: float, scans: int, seed: int) -> Field:
    return make_field(path.name, read_picture(path), mpp, scans, seed)


def _from_phantom(index: int, scans: int, seed: int) -> Field:
    specimen_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
    return make_field(f"phantom {index}", phantom_picture(specimen_seed), MPP_HR, scans, seed)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
