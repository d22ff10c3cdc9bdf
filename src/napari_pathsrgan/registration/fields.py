"""Triplets from single sharp fields: each scanned by simulated scanners at 4×, and by a clean one at 10×."""

from __future__ import annotations

import hashlib
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
TEST_ONE_IN = 6
"""One field in so many is for testing, as 24 of the paper's 142 slides are (Ma et al. 2020, § IV-A)."""
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


def is_held_out(name: str, one_in: int = TEST_ONE_IN) -> bool:
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
