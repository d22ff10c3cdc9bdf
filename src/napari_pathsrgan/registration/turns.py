"""How scans were turned, as a pairs file holds it, and positions in the scans as they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.registration.fine import HR_PX, MPP_HR
from napari_pathsrgan.registration.turned import Similarity, TurnedSlide

if TYPE_CHECKING:
    from napari_pathsrgan.registration.fine import Registration

Table = npt.NDArray[np.void]

_HALF_UM = HR_PX * MPP_HR / 2
_MOST_SHOWN = 0.02
"""Offsets that grow faster along the slide, as by a turn of 1.1°, are not shown as a field of offsets."""


def turns_of(registration: Registration) -> dict[str, Any]:
    """Describe how the 4× and the 10× scan were turned, in plain values; None for one that was not."""
    scans = {"4x": registration.low_as_high, "10x": registration.mid_as_high}
    return {power: scan.similarity.record() if isinstance(scan, TurnedSlide) else None for power, scan in scans.items()}


def as_scanned(table: Table, found: dict[str, Any]) -> Table:
    """Express patches in the positions of the scans as they were made, where some were turned.

    Parameters
    ----------
    table : structured array
        A slide's rows of a pairs file.
    found : dict
        The slide's, from the same file.

    Returns
    -------
    structured array
        The same with other corners and offsets: those of a patch whose centre lies right, taken as not turned.
    """
    low, mid = read_turns(found)
    own = table.copy()
    centre = np.stack([table["row_um"], table["col_um"]], axis=1) + _HALF_UM
    here = centre if low is None else low.undo(centre)
    own["row_um"], own["col_um"] = (here - _HALF_UM).T
    for power, turn in (("10x", mid), ("20x", None)):
        there = centre + np.stack([table[f"offset_{axis}_um_{power}"] for axis in ("row", "col")], axis=1)
        offset = (there if turn is None else turn.undo(there)) - here
        own[f"offset_row_um_{power}"], own[f"offset_col_um_{power}"] = offset.T
    return own


def read_turns(found: dict[str, Any]) -> tuple[Similarity | None, Similarity | None]:
    """Return how the 4× and the 10× scan were turned as the 20× scan lies."""
    records = found.get("turned", {})
    low, mid = (Similarity.from_record(records[power]) if records.get(power) else None for power in ("4x", "10x"))
    return low, mid


def is_turned(found: dict[str, Any], magnification: int) -> bool:
    """Whether a finer scan is turned against the 4× one by more than a field of offsets shows."""
    low, mid = (np.eye(2) if turn is None else turn.matrix for turn in read_turns(found))
    between = low if magnification == 20 else np.linalg.inv(mid) @ low
    return bool(np.abs(between - np.eye(2)).max() > _MOST_SHOWN)
