"""Pairs from single sharp images and phantoms: what 4× and 10× scanners would make of them, marked as simulated.

Each image is one slide of the pairs file, with the patches of its first simulated scanner first. Images are scanned
in processes of their own and written in order, so that the file comes out the same however many there are.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathsrgan.child_processes import end_with_parent, safe_children
from napari_pathsrgan.errors import OptionError, WorkerError
from napari_pathsrgan.phantom.field_image import phantom_field
from napari_pathsrgan.registration.correlation import absorption
from napari_pathsrgan.registration.fields import (
    MPP_HR,
    MPP_LR,
    Field,
    is_held_out,
    list_fields,
    make_field,
    read_image,
)
from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, PATCH_FIELDS
from napari_pathsrgan.registration.pairs import PairsFile, Planned, Table, Triplet, append, is_pairs_file

if TYPE_CHECKING:
    from napari_pathsrgan.registration.config import FieldsConfig

IMAGE_FORMATION = "linear intensity, randomised tone curves"
"""Which forward model made the scans: pairs of another one are never taken for these."""
_CELL_ABSORPTION = 0.06
"""Absorbed share of the light above that of the lightest pixels, from which a pixel counts as cells."""


@dataclass(frozen=True)
class _Source:
    """An image not yet scanned: what it is called, what tells it from others, what it is for, and how it is made."""

    name: str
    made: dict[str, Any]
    split: str
    make: Callable[[], Field]


def append_fields(
    path: Path,
    config: FieldsConfig,
    split: str | None = None,
    workers: int | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> None:
    """Scan images and phantoms by simulated scanners and append their patches to a pairs file.

    What is in the file already is not done again; a killed run goes on where it stopped.

    Parameters
    ----------
    path : Path
        The pairs file.
    config : FieldsConfig
    split : {"train", "test"}, optional
        By default one image in six, chosen by its name, is for testing. Phantoms are always for training.
    workers : int, optional
        Processes; by default as many as there are cores. Other than 1, a script that calls this needs the usual
        ``if __name__ == "__main__"``.
    progress : callable (done, total), optional
        Called with images done and to do.

    Raises
    ------
    OptionError
        If there are neither images nor phantoms, or an image cannot be read.
    WorkerError
        If one of the processes is killed.
    OutputError, StoreMismatchError
        See `pairs.append`.
    """
    sources = [*_images(config, split), *_phantoms(config)]
    if not sources:
        raise OptionError("There is nothing to scan.", "Give a folder of images, or a number of phantoms.")
    done = _complete(path)
    wanted = [source for source in sources if source.made not in done]
    finished = len(sources) - len(wanted)
    for source, field in zip(wanted, _scanned(wanted, _cores() if workers is None else workers), strict=True):
        append_field(path, source.name, source.made, field, config.least_foreground, source.split)
        finished += 1
        if progress:
            progress(finished, len(sources))


def append_field(path: Path, name: str, made: dict[str, Any], field: Field, least_foreground: float, split: str) -> int:
    """Cut a scanned field into patches and append them to a pairs file.

    Parameters
    ----------
    path : Path
        The pairs file.
    name : str
        The image's.
    made : dict
        Tells this image and its scanners from every other, in plain values.
    field : Field
    least_foreground : float
        Patches with a smaller share of cells are left out.
    split : {"train", "test"}

    Returns
    -------
    int
        Number of patches; 0 for an image smaller than 150 µm.

    Raises
    ------
    OutputError, StoreMismatchError
        See `pairs.append`.
    """

    def cut(patch: Table) -> Triplet:
        row, col = int(patch["hr_row_px"]) // 4, int(patch["hr_col_px"]) // 4
        scan = field.scans[int(patch["scanner"])]
        lr, mr, hr = (
            image[row * ratio : row * ratio + side, col * ratio : col * ratio + side]
            for image, ratio, side in ((scan.lr, 1, LR_PX), (scan.mr, 2, MR_PX), (field.hr, 4, HR_PX))
        )
        return lr, mr, scan.camera.recolour(hr)

    return append(path, name, made, split, lambda: _planned(field, least_foreground), cut, simulated=True)


def _images(config: FieldsConfig, split: str | None) -> Iterator[_Source]:
    if config.folder is None:
        return
    for path in list_fields(config.folder):
        yield _Source(
            path.stem,
            _made({"image": hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()}, config),
            split or ("test" if is_held_out(path.name) else "train"),
            partial(_scan_image, path, config.mpp, config.scanners, config.seed),
        )


def _phantoms(config: FieldsConfig) -> Iterator[_Source]:
    for index in range(config.phantoms):
        yield _Source(
            f"phantom {index}",
            _made({"phantom": f"{config.seed}-{index}"}, config),
            "train",
            partial(_scan_phantom, index, config.scanners, config.seed),
        )


def _made(fingerprints: dict[str, str], config: FieldsConfig) -> dict[str, Any]:
    settings = config.model_dump(mode="json", exclude={"folder", "phantoms"})
    return {"fingerprints": fingerprints, "config": settings, "simulated": IMAGE_FORMATION}


def _scan_image(path: Path, mpp: float, scanners: int, seed: int) -> Field:
    return make_field(path.name, read_image(path), mpp, scanners, seed)


def _scan_phantom(index: int, scanners: int, seed: int) -> Field:
    specimen_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
    return make_field(f"phantom {index}", phantom_field(specimen_seed), MPP_HR, scanners, seed)


def _complete(path: Path) -> list[dict[str, Any]]:
    """How the slides were made that are wholly in the file."""
    if not is_pairs_file(path):
        return []
    pairs = PairsFile(path)
    return [slide["made"] for slide in pairs.slides if slide["first"] + slide["count"] <= len(pairs)]


def _scanned(sources: Sequence[_Source], workers: int) -> Iterator[Field]:
    workers = min(workers, len(sources))
    if workers <= 1:
        yield from (source.make() for source in sources)
        return
    # Spawned: forking a process in which torch already runs its threads can hang.
    with safe_children(), ProcessPoolExecutor(workers, get_context("spawn"), _begin_process) as pool:
        try:
            # A few at a time: all fields of a large folder would not fit into memory.
            for first in range(0, len(sources), 4 * workers):
                yield from pool.map(_call, [source.make for source in sources[first : first + 4 * workers]])
        except BrokenProcessPool as error:
            raise WorkerError(
                "A process that simulates scans was ended from outside.",
                "Most likely memory ran out: close other programs, and run the same command again.",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _call(make: Callable[[], Field]) -> Field:
    return make()


def _begin_process() -> None:
    """Leave Ctrl+C to the process that waits for the fields, and end with it."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _planned(field: Field, least_foreground: float) -> Planned:
    """Patches side by side, spread so that both ends of the field are used; as many again for each scanner."""
    plane = absorption(field.scans[0].lr)
    cells = plane > np.percentile(plane, 1) + _CELL_ABSORPTION
    axes = [
        np.unique(np.linspace(0, size - LR_PX, -(-size // LR_PX)).astype(int)) if size >= LR_PX else np.empty(0, int)
        for size in plane.shape
    ]
    places = [
        (row, col, float(cells[row : row + LR_PX, col : col + LR_PX].mean())) for row in axes[0] for col in axes[1]
    ]
    kept = [place for place in places if place[2] >= least_foreground]
    table = np.zeros(len(kept) * len(field.scans), PATCH_FIELDS)
    for index, (row, col, share) in enumerate(kept * len(field.scans)):
        record = table[index]
        record["row_um"], record["col_um"] = row * MPP_LR, col * MPP_LR
        record["mr_row_px"], record["mr_col_px"] = 2 * row, 2 * col
        record["hr_row_px"], record["hr_col_px"] = 4 * row, 4 * col
        record["correlation"] = record["correlation_10x"] = 1.0
        record["foreground"] = share
        record["scanner"] = index // len(kept)
    return Planned(table, np.full(len(table), ""), {"tried": len(places) * len(field.scans)})
