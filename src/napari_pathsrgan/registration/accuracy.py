"""How well patches lie on each other: the paper's measure (Table II), and on a phantom the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.registration.correlation import absorption, match, sample_plane
from napari_pathsrgan.registration.fine import HR_PX, MPP_HR

if TYPE_CHECKING:
    from napari_pathsrgan.phantom.truth import PhantomTruth
    from napari_pathsrgan.registration.pairs import PairsFile

MAGNIFIED = 10
"""How much the paper magnifies patches before it matches them again (Ma et al. 2020, § III-B)."""

PAPER_ROWS = {
    10: {"mean_px": (0.37, 0.38), "sd_px": (0.27, 0.27)},
    20: {"mean_px": (0.38, 0.39), "sd_px": (0.72, 0.82)},
}
"""Ma et al. 2020, Table II, over 5,000 pairs: X and Y; the paper gives no unit, taken as pixels of the finer scan."""

_PART_PX, _REACH_PX = 64, 3
_MPP = {10: 2 * MPP_HR, 20: MPP_HR}
Table = npt.NDArray[np.void]
Errors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Accuracy:
    """How far apart the images of pairs lie.

    Attributes
    ----------
    magnification : int
        10 or 20: which scan against the 4× one.
    errors_px : (N, 2) float64
        Along rows and columns, pixels of that scan.
    measure : {"table-ii", "truth"}
        Matched again as in the paper, or known.
    """

    magnification: int
    errors_px: Errors
    measure: str

    def row(self) -> dict[str, Any]:
        """One row of the table: sizes of errors along (X, Y), that is columns and rows, and as a distance, pixels."""
        size = np.abs(self.errors_px)
        distance = np.hypot(*self.errors_px.T)
        values = [
            ("mean_px", size.mean(axis=0)),
            ("sd_px", size.std(axis=0)),
            ("p95_px", np.percentile(size, 95, axis=0)),
            ("max_px", size.max(axis=0)),
        ]
        row: dict[str, Any] = {"scans": f"4×–{self.magnification}×", "measure": self.measure, "pairs": len(size)}
        row |= {name: (round(float(by_col), 4), round(float(by_row), 4)) for name, (by_row, by_col) in values}
        row["mean_distance_px"] = round(float(distance.mean()), 4)
        row["p95_distance_px"] = round(float(np.percentile(distance, 95)), 4)
        return row

    def histogram(self, bins: int = 12) -> tuple[npt.NDArray[np.int64], Errors]:
        """Count distances, pixels: counts, and the edges between them up to the 99th percentile; the last is open."""
        distance = np.hypot(*self.errors_px.T)
        top = max(float(np.percentile(distance, 99)), 1e-3)
        counts, edges = np.histogram(np.minimum(distance, top), bins, (0, top))
        return counts.astype(np.int64), edges


def true_errors_px(table: Table, truth: PhantomTruth, magnification: int) -> Errors:
    """Error of measured offsets at the patches' centres, where it is known.

    Parameters
    ----------
    table : structured array
        Columns of `fine.PATCH_FIELDS`, in the positions of the scans as they were made (`turns.as_scanned`).
    truth : PhantomTruth
    magnification : int
        10 or 20.

    Returns
    -------
    (N, 2) float64
        Along rows and columns, pixels of that scan.
    """
    here = np.stack([table["row_um"], table["col_um"]], axis=1) + HR_PX * MPP_HR / 2
    at = truth.offsets[4].specimen_um(here[:, 0], here[:, 1])
    expected = np.stack(at, axis=1) + np.stack(truth.offsets[magnification].at(*at), axis=1) - here
    measured = np.stack([table[f"offset_{axis}_um_{magnification}x"] for axis in ("row", "col")], axis=1)
    return np.asarray((measured - expected) / _MPP[magnification])


def table_ii_accuracy(
    pairs: PairsFile, count: int = 5000, seed: int = 0, progress: Callable[[float, float], None] | None = None
) -> tuple[Accuracy, Accuracy]:
    """Magnify pairs ten times and match them again (Ma et al. 2020, § III-B, Table II).

    Of each pair the 64 × 64 10× pixels of most structure are compared, which keeps the magnified image small.

    Parameters
    ----------
    pairs : PairsFile
    count : int
        How many pairs, drawn at random.
    seed : int
    progress : callable (done, total), optional

    Returns
    -------
    (Accuracy, Accuracy)
        4×–10× in pixels at 10×, and 4×–20× in pixels at 20×.

    Raises
    ------
    OptionError
        If the file holds no pairs.
    """
    if len(pairs) == 0:
        raise OptionError(f"{pairs.path.name} holds no pairs.", "Register slides into it first.")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(pairs))[:count])
    errors: dict[int, list[tuple[float, float]]] = {10: [], 20: []}
    for done, index in enumerate(chosen, 1):
        lr, mr, hr = pairs[int(index)]
        low = absorption(lr)
        for power, finer in ((10, mr), (20, hr)):
            errors[power].append(_again(low, absorption(finer), 2 if power == 10 else 4))
        if progress:
            progress(done, len(chosen))
    return (
        Accuracy(10, np.array(errors[10]), "table-ii"),
        Accuracy(20, np.array(errors[20]), "table-ii"),
    )


def _again(low: npt.NDArray[np.float32], finer: npt.NDArray[np.float32], ratio: int) -> tuple[float, float]:
    """Where the low image of a pair shows the middle of the finer one, both magnified; pixels of the finer."""
    side = _PART_PX * (ratio // 2)
    steps = np.arange(0, finer.shape[0] - side + 1, side // 2)
    inner = [(row, col) for row in steps[1:-1] for col in steps[1:-1]]
    top, left = max(inner, key=lambda at: float(finer[at[0] : at[0] + side, at[1] : at[1] + side].std()))
    scale = MAGNIFIED // (ratio // 2)  # a 20× pixel is half as large: the same magnification from the 10× grid
    reach = _REACH_PX * MAGNIFIED
    template = sample_plane(finer, 1 / scale, (float(top), float(left)), (side * scale,) * 2)
    pitch = 1 / (ratio * scale)
    start = (top / ratio - reach * pitch, left / ratio - reach * pitch)
    window = sample_plane(low, pitch, start, (side * scale + 2 * reach,) * 2)
    peak = match(template, window)
    return (peak.row - reach) / scale, (peak.col - reach) / scale
