"""Scan one specimen at several magnifications into slide files, and write down the truth."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_pathsrgan.atomic_write import atomic_write
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import WELL_KEPT, random_settings
from napari_pathsrgan.phantom.cells import Specimen
from napari_pathsrgan.phantom.scan import Scan
from napari_pathsrgan.phantom.slide_file import TILE_PX, FileFormat, write_pyramid
from napari_pathsrgan.phantom.truth import PhantomTruth, Turn, random_offset

if TYPE_CHECKING:
    from napari_pathsrgan.imaging.scanner import ScannerSettings
    from napari_pathsrgan.types import Pixels


@dataclass(frozen=True, slots=True)
class PhantomFiles:
    """What `write_phantom` wrote.

    Attributes
    ----------
    folder : Path
        The folder.
    scans : dict of int to Path
        Slide files by magnification.
    truth, cells : Path
        `truth.json` (`PhantomTruth`) and `cells.csv`.
    nuclei : Path or None
        Mask of nuclei on the pixels of the 20× scan; None without one.
    """

    folder: Path
    scans: dict[int, Path]
    truth: Path
    cells: Path
    nuclei: Path | None


def write_phantom(
    out_dir: Path,
    size_um: float | tuple[float, float],
    seed: int,
    magnifications: Sequence[int] = (4, 10, 20),
    background_share: float = 0.4,
    max_global_offset_um: float = 40.0,
    turns: Mapping[int, Turn] | None = None,
    progress: Callable[[float], None] | None = None,
) -> PhantomFiles:
    """Make a specimen, scan it and write the scans and the truth into a new folder.

    The folder appears complete or not at all. The same arguments give the same bytes.

    Parameters
    ----------
    out_dir : Path
        Folder to make, with the folders that it lies in.
    size_um : float or (height, width)
        Size of the specimen, µm.
    seed : int
        At least 0.
    magnifications : sequence of int
        Which of 4, 10 and 20.
    background_share : float
        Share of the area without cells, 0 to 1.
    max_global_offset_um : float
        Bound of each scan's displacement as a whole, along each axis, µm.
    turns : mapping of int to Turn, optional
        How the slide was put in for each magnification's scan; as it lies otherwise.
    progress : callable, optional
        Called with share done, 0 to 1.

    Returns
    -------
    PhantomFiles

    Raises
    ------
    OptionError
        If a value makes no sense.
    OutputError
        If the folder exists or cannot be written.
    """
    size = (float(size_um), float(size_um)) if isinstance(size_um, int | float) else size_um
    _check(size, seed, magnifications, background_share)
    with atomic_write(out_dir) as partial:
        partial.mkdir()
        specimen = Specimen(seed, size, background_share)
        rng = np.random.default_rng([seed, 7])
        offsets = {power: random_offset(rng, size, max_global_offset_um) for power in sorted(OBJECTIVES)}
        offsets |= {power: replace(offsets[power], turn=turn) for power, turn in (turns or {}).items()}
        settings = {power: random_settings(rng, OBJECTIVES[power], ranges=WELL_KEPT) for power in sorted(OBJECTIVES)}
        scans = {
            power: Scan(specimen, power, settings[power], offsets[power]) for power in dict.fromkeys(magnifications)
        }
        work = _Work(scans, progress)
        for power, scan in scans.items():
            _write_scan(partial, power, scan, settings[power], work)
        truth = PhantomTruth(
            seed, size, background_share, _write_cells(partial / "cells.csv", specimen),
            {power: offsets[power] for power in scans}, {power: asdict(settings[power]) for power in scans},
        )  # fmt: skip
        truth.save(partial / "truth.json")
    paths = {power: out_dir / f"{power}x.tiff" for power in scans}
    nuclei = out_dir / "nuclei_20x.tiff" if 20 in scans else None
    return PhantomFiles(out_dir, paths, out_dir / "truth.json", out_dir / "cells.csv", nuclei)


def _check(size_um: tuple[float, float], seed: int, magnifications: Sequence[int], background_share: float) -> None:
    unknown = sorted(set(magnifications) - set(OBJECTIVES))
    if unknown or not magnifications:
        raise OptionError(f"There is no objective for {unknown or 'no magnification'}.", "Choose among 4, 10 and 20.")
    if min(size_um) < 100:
        raise OptionError(f"A specimen of {min(size_um):g} µm is too small to scan.", "Take at least 100 µm.")
    if seed < 0:
        raise OptionError(f"The seed {seed} is negative.", "Take 0 or more.")
    if not 0 <= background_share <= 1:
        raise OptionError(f"A background share of {background_share:g} makes no sense.", "Take a number from 0 to 1.")


class _Work:
    """How much of all scans is done."""

    def __init__(self, scans: dict[int, Scan], progress: Callable[[float], None] | None) -> None:
        self._total = sum(scan.shape[0] * scan.shape[1] for scan in scans.values())
        self._done = 0
        self._progress = progress

    def add(self, pixels: int) -> None:
        self._done += pixels
        if self._progress is not None:
            self._progress(self._done / self._total)


def _write_scan(folder: Path, power: int, scan: Scan, settings: ScannerSettings, work: _Work) -> None:
    mask_rows: list[list[bytes]] = []

    def chunks() -> Iterator[tuple[int, int, Pixels]]:
        for row, col, height, width in scan.chunks():
            pixels = scan.pixels(row, col, height, width)
            if power == 20:
                # At once, while the cells drawn for the scan are still there.
                _collect(mask_rows, row, scan.nucleus_mask(row, col, height, width))
            work.add(height * width)
            yield row, col, pixels

    file_format = FileFormat(power, scan.objective.mpp, settings.jpeg_quality, settings.jpeg_subsampling)
    write_pyramid(folder / f"{power}x.tiff", scan.shape, chunks(), file_format)
    if power == 20:
        tifffile.imwrite(
            folder / "nuclei_20x.tiff", (tile for tiles in mask_rows for tile in tiles), shape=scan.shape,
            dtype=np.uint8, tile=(TILE_PX, TILE_PX), compression="zlib", bigtiff=True, photometric="minisblack",
            metadata=None, software=False, resolution=(1e4 / scan.objective.mpp,) * 2, resolutionunit="CENTIMETER",
        )  # fmt: skip


def _collect(mask_rows: list[list[bytes]], row: int, mask: Pixels) -> None:
    """Compress a chunk's mask by tiles; a mask is empty nearly everywhere, so all of them fit into memory."""
    for tile_row in range(0, mask.shape[0], TILE_PX):
        number = (row + tile_row) // TILE_PX
        if number == len(mask_rows):
            mask_rows.append([])
        for tile_col in range(0, mask.shape[1], TILE_PX):
            part = mask[tile_row : tile_row + TILE_PX, tile_col : tile_col + TILE_PX]
            tile = np.zeros((TILE_PX, TILE_PX), np.uint8)
            tile[: part.shape[0], : part.shape[1]] = part
            mask_rows[number].append(zlib.compress(tile.tobytes(), 6))


def _write_cells(path: Path, specimen: Specimen) -> int:
    """Write all cells as CSV, positions in the specimen; return their number."""
    height, width = specimen.size_um
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(
            ["row_um", "col_um", "class", "nucleus_row_um", "nucleus_col_um", "nucleus_radius_um", "depth_um"]
        )
        for top, bottom in pairwise([*np.arange(0, height, 1024.0), height]):
            for cell in specimen.cells_in(top, 0.0, bottom - top, width):
                numbers = (*cell.centre_um, *cell.nucleus_um, cell.nucleus_radius_um, cell.depth_um)
                row, col, nucleus_row, nucleus_col, radius, depth = (f"{number:.4f}" for number in numbers)
                table.writerow([row, col, cell.kind, nucleus_row, nucleus_col, radius, depth])
                count += 1
    return count
