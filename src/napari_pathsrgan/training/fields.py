"""Training triplets from single sharp fields: each scanned by simulated scanners at 4×, and by a clean one at 10×."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.phantom.optics import density_of, scan_field
from napari_pathsrgan.phantom.settings import CLEAN, OBJECTIVES, ColourResponse, ScannerSettings, draw_settings
from napari_pathsrgan.slides.resample import resample_array

Pixels = npt.NDArray[np.uint8]

MPP_LR, MPP_MR, MPP_HR = 1.172, 0.586, 0.293
PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
_PURE = ColourResponse(white=(1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Scan:
    """One simulated 4× scan of a field, on the network's input grid.

    Attributes
    ----------
    lr : (H, W, 3) uint8
        At 1.172 µm/px.
    colour : ColourResponse
        To be applied to the targets, so that a network learns to keep a scanner's colours.
    """

    lr: Pixels
    colour: ColourResponse


@dataclass(frozen=True)
class Field:
    """A sharp field and what scanners made of it.

    Attributes
    ----------
    name : str
    scans : tuple of Scan
        The first through clean optics, the others through drawn ones.
    mr, hr : (2H, 2W, 3) and (4H, 4W, 3) uint8
        At 0.586 and 0.293 µm/px in the field's own colours, white at 1.
    """

    name: str
    scans: tuple[Scan, ...]
    mr: Pixels
    hr: Pixels


def is_held_out(name: str, one_in: int) -> bool:
    """Decide by the hash of its name whether a field is left out of training: stable whatever else is in the folder."""
    digest = hashlib.blake2b(Path(name).stem.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % one_in == 0


def list_fields(folder: Path) -> list[Path]:
    """List the pictures of a folder by name.

    Raises
    ------
    OptionError
        If there is none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)
    if not found:
        raise OptionError(f"There are no pictures in {folder}.", "Give a folder of JPEG, PNG or TIFF fields.")
    return found


def read_picture(path: Path) -> Pixels:
    """Read a picture as RGB uint8.

    Raises
    ------
    OptionError
        If OpenCV can't read it.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise OptionError(f"{path.name} can't be read as a picture.", "Remove it from the folder, or save it again.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def recolour(image: Pixels, colour: ColourResponse) -> Pixels:
    """Show a picture of white 1 as another scanner would: pointwise, so one table per channel.

    Parameters
    ----------
    image : (H, W, 3) uint8
    colour : ColourResponse

    Returns
    -------
    (H, W, 3) uint8
    """
    level = np.arange(256, dtype=np.float64) / 255
    white = np.asarray(colour.white)
    table = np.rint(255 * white[None, :] * level[:, None] ** colour.gamma)
    return np.asarray(cv2.LUT(image, table.astype(np.uint8)[None]), dtype=np.uint8)


def scan_to_input_grid(
    density: npt.NDArray[np.float32], mpp: float, settings: ScannerSettings, rng: np.random.Generator
) -> Pixels:
    """Scan a field at 4× and put it on the network's input grid, as a slide's pixels are at inference.

    Parameters
    ----------
    density : (H, W, 3) float32
        Optical density of the field.
    mpp : float
        Its pixel size, µm.
    settings, rng
        The scanner.

    Returns
    -------
    (⌈h·1.25⌉, ⌈w·1.25⌉, 3) uint8
        At 1.172 µm/px for an h × w scan.
    """
    objective = OBJECTIVES[4]
    return resample_array(scan_field(density, mpp, objective, settings, rng), objective.mpp, MPP_LR)


def make_field(name: str, picture: Pixels, mpp: float, scans: int, seed: int) -> Field:
    """Make a field's targets and its simulated scans.

    Parameters
    ----------
    name : str
        Seeds the scanners together with `seed`.
    picture : (H, W, 3) uint8
        Sharp RGB.
    mpp : float
        Its pixel size, µm.
    scans : int
        How many; the first through clean optics.
    seed : int

    Returns
    -------
    Field
    """
    key = int.from_bytes(hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest(), "big")
    rng = np.random.default_rng(key)
    density = density_of(picture)
    rows, cols = (int(size * mpp / MPP_LR) - 2 for size in picture.shape[:2])
    hr = resample_array(picture, mpp, MPP_HR)[: 4 * rows, : 4 * cols]
    pure = ScannerSettings(colour=_PURE)
    mr = scan_field(density, mpp, OBJECTIVES[10], pure, rng)[: 2 * rows, : 2 * cols]
    made = []
    for index in range(scans):
        settings = CLEAN if index == 0 else draw_settings(rng, OBJECTIVES[4])
        made.append(Scan(scan_to_input_grid(density, mpp, settings, rng)[:rows, :cols], settings.colour))
    return Field(name, tuple(made), mr, hr)


def make_fields(
    pictures: Iterable[tuple[str, Pixels]],
    mpp: float,
    scans: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> list[Field]:
    """Make all fields, telling how many are done."""
    fields = []
    for name, picture in pictures:
        fields.append(make_field(name, picture, mpp, scans, seed))
        if progress:
            progress(len(fields))
    return fields


class PatchSampler:
    """Draws batches of triplets from fields.

    Of a few random places the one with the most structure is taken, so glass is seen but does not dominate.

    Parameters
    ----------
    fields : sequence of Field
    patch_lr_px : int
        Side of a patch on the input grid.
    candidates : int
        Places looked at for each patch.
    """

    def __init__(self, fields: Sequence[Field], patch_lr_px: int, candidates: int = 3) -> None:
        self._fields = [f for f in fields if min(f.scans[0].lr.shape[:2]) >= patch_lr_px]
        if not self._fields:
            raise OptionError(
                f"No field is {patch_lr_px * MPP_LR:.0f} µm wide.", "Give larger fields or a smaller patch."
            )
        self._side = patch_lr_px
        self._candidates = candidates

    def draw(self, batch: int, rng: np.random.Generator) -> tuple[Pixels, Pixels, Pixels]:
        """Draw a batch.

        Returns
        -------
        tuple of (N, s, s, 3), (N, 2s, 2s, 3), (N, 4s, 4s, 3) uint8
            Input, 10× and 20× targets, turned and flipped alike.
        """
        triplets = [self._draw_one(rng) for _ in range(batch)]
        lr, mr, hr = (np.stack(members) for members in zip(*triplets, strict=True))
        return lr, mr, hr

    def _draw_one(self, rng: np.random.Generator) -> tuple[Pixels, ...]:
        field = self._fields[rng.integers(len(self._fields))]
        clean = field.scans[0].lr
        side = self._side
        places = [
            tuple(int(rng.integers(size - side + 1)) for size in clean.shape[:2]) for _ in range(self._candidates)
        ]
        row, col = max(places, key=lambda at: float(clean[at[0] : at[0] + side, at[1] : at[1] + side, 1].std()))
        if rng.random() < 0.15:
            row, col = places[0]
        scan = field.scans[rng.integers(len(field.scans))]
        windows = [
            image[f * row : f * (row + side), f * col : f * (col + side)]
            for image, f in ((scan.lr, 1), (field.mr, 2), (field.hr, 4))
        ]
        windows[1:] = [recolour(window, scan.colour) for window in windows[1:]]
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        return tuple(np.rot90(w[:, ::-1] if mirrored else w, turns) for w in windows)
