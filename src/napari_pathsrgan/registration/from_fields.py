"""Pairs from single sharp pictures: what a 4× and a 10× scanner would make of them, marked as simulated."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.registration.correlation import density
from napari_pathsrgan.registration.cutting import TEST_ONE_IN
from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, PATCH_FIELDS
from napari_pathsrgan.registration.pairs import Planned, Table, Triplet, append

Pixels = npt.NDArray[np.uint8]

_CELL_DENSITY = 0.06
"""Optical density above the lightest of the picture from which a pixel counts as cells."""


class SimulatedField(Protocol):
    """A field on three grids whose upper-left corners are one point.

    Attributes
    ----------
    lr : (H, W, 3) uint8
        At 1.172 µm/px.
    mr, hr : (2H, 2W, 3) and (4H, 4W, 3) uint8
        At 0.586 and 0.293 µm/px.
    """

    @property
    def lr(self) -> Pixels: ...  # noqa: D102 - described above
    @property
    def mr(self) -> Pixels: ...  # noqa: D102
    @property
    def hr(self) -> Pixels: ...  # noqa: D102


def append_field(
    path: Path,
    name: str,
    picture: bytes,
    mpp: float,
    simulate: Callable[[], SimulatedField],
    seed: int = 0,
    split: str | None = None,
    least_foreground: float = 0.05,
) -> int:
    """Cut a simulated field into patches and append them to a pairs file.

    Parameters
    ----------
    path : Path
        The pairs file.
    name : str
        The picture's.
    picture : bytes
        The picture as stored: tells it from every other.
    mpp : float
        Its pixel size, µm.
    simulate : callable
        Makes the scans; called only if the picture isn't in the file yet or not completely.
    seed : int
        What `simulate` draws its scanner with.
    split : {"train", "test"}, optional
        By default one picture in six is for testing.
    least_foreground : float
        Patches with a smaller share of cells are left out.

    Returns
    -------
    int
        Number of patches; 0 for a picture smaller than 150 µm.

    Raises
    ------
    OutputError, StoreMismatchError
        See `pairs.append`.
    """
    digest = hashlib.blake2b(picture, digest_size=16).hexdigest()
    made = {
        "fingerprints": {"picture": digest},
        "mpp": {"picture": mpp},
        "config": {"seed": seed, "least_foreground": least_foreground},
        "simulated": True,
    }
    simulated: list[SimulatedField] = []

    def field() -> SimulatedField:
        if not simulated:
            simulated.append(simulate())
        return simulated[0]

    def cut(patch: Table) -> Triplet:
        row, col = int(patch["hr_row_px"]) // 4, int(patch["hr_col_px"]) // 4
        lr, mr, hr = (
            image[row * ratio : row * ratio + side, col * ratio : col * ratio + side]
            for image, ratio, side in ((field().lr, 1, LR_PX), (field().mr, 2, MR_PX), (field().hr, 4, HR_PX))
        )
        return lr, mr, hr

    if split is None:
        split = "test" if int(digest, 16) % TEST_ONE_IN == 0 else "train"
    return append(path, name, made, split, lambda: _planned(field(), least_foreground), cut, simulated=True)


def _planned(field: SimulatedField, least_foreground: float) -> Planned:
    """Patches side by side, spread so that both ends of the field are used."""
    plane = density(field.lr)
    cells = plane > np.percentile(plane, 1) + _CELL_DENSITY
    axes = [
        np.unique(np.linspace(0, size - LR_PX, -(-size // LR_PX)).astype(int)) if size >= LR_PX else np.empty(0, int)
        for size in plane.shape
    ]
    places = [
        (row, col, float(cells[row : row + LR_PX, col : col + LR_PX].mean())) for row in axes[0] for col in axes[1]
    ]
    kept = [place for place in places if place[2] >= least_foreground]
    table = np.zeros(len(kept), PATCH_FIELDS)
    for index, (row, col, share) in enumerate(kept):
        record = table[index]
        record["row_um"], record["col_um"] = row * 1.172, col * 1.172
        record["mr_row_px"], record["mr_col_px"] = 2 * row, 2 * col
        record["hr_row_px"], record["hr_col_px"] = 4 * row, 4 * col
        record["correlation"] = record["correlation_10x"] = 1.0
        record["foreground"] = share
    return Planned(table, np.full(len(kept), ""), {"tried": len(places)})
