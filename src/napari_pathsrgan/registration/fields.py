"""Triplets from single sharp fields, each scanned at 4× and at 10× by simulated scanners of one camera."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.imaging.forward import scan_field
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import CLEAN, ScannerSettings, random_settings, random_target_settings
from napari_pathsrgan.slides.computed import refuse_computed_file
from napari_pathsrgan.slides.resample import resample_array

if TYPE_CHECKING:
    from napari_pathsrgan.imaging.tone import CameraResponse
    from napari_pathsrgan.types import Pixels

MPP_LR, MPP_MR, MPP_HR = 1.172, 0.586, 0.293
TEST_ONE_IN = 6
"""One field in so many is for testing, as 24 of the paper's 142 slides are (Ma et al. 2020, § IV-A)."""
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}


@dataclass(frozen=True)
class Scan:
    """One simulated scan of a field at 4×, and the same camera's at 10×.

    Attributes
    ----------
    lr : (H, W, 3) uint8
        The 4× scan on the network's input grid, 1.172 µm/px.
    mr : (2H, 2W, 3) uint8
        The 10× scan at 0.586 µm/px: what that objective gives, in the scanner's colours.
    camera : CameraResponse
        To be applied to the 20× target, so that a network learns to keep a scanner's colours.
    """

    lr: Pixels
    mr: Pixels
    camera: CameraResponse


@dataclass(frozen=True)
class Field:
    """A sharp field and what scanners made of it.

    Attributes
    ----------
    name : str
    scans : tuple of Scan
        The first through clean optics, the others through randomised scanners.
    hr : (4H, 4W, 3) uint8
        At 0.293 µm/px in the field's own colours, white at 1.
    """

    name: str
    scans: tuple[Scan, ...]
    hr: Pixels

    def hr_of(self, scan: Scan) -> Pixels:
        """Return the 20× target in a scan's colours, (4H, 4W, 3) uint8."""
        return scan.camera.recolour(self.hr)


def is_held_out(name: str, one_in: int = TEST_ONE_IN) -> bool:
    """Decide by the hash of its name whether a field is left out of training: stable whatever else is in the folder."""
    digest = hashlib.blake2b(Path(name).stem.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % one_in == 0


def list_fields(folder: Path) -> list[Path]:
    """List the images of a folder by name.

    Raises
    ------
    OptionError
        If there is none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise OptionError(f"There are no images in {folder}.", "Give a folder of JPEG, PNG or TIFF fields.")
    return found


def read_image(path: Path) -> Pixels:
    """Read an image as RGB uint8.

    Raises
    ------
    OptionError
        If OpenCV cannot read it.
    ComputedSlideError
        If it is an image or a map that this program computed.
    """
    refuse_computed_file(path)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise OptionError(f"{path.name} cannot be read as an image.", "Remove it from the folder, or save it again.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def scan_to_input_grid(field: Pixels, mpp: float, settings: ScannerSettings, rng: np.random.Generator) -> Pixels:
    """Scan a field at 4× and put it on the network's input grid, as a slide's pixels are at inference.

    Parameters
    ----------
    field : (h, w, 3) uint8
        Sharp RGB.
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
    return resample_array(scan_field(field, mpp, objective, settings, rng), objective.mpp, MPP_LR)


def random_scanners(name: str, scans: int, seed: int) -> list[tuple[ScannerSettings, ScannerSettings]]:
    """Draw the scanners that a field is seen through.

    Parameters
    ----------
    name : str
        Seeds the draw together with `seed`.
    scans : int
        How many; the first is clean.
    seed : int

    Returns
    -------
    list of (ScannerSettings, ScannerSettings)
        At 4× and at 10×.
    """
    rng = np.random.default_rng(_key(name, seed, "scanners"))
    drawn = [(CLEAN, CLEAN)]
    for _ in range(scans - 1):
        low = random_settings(rng, OBJECTIVES[4])
        drawn.append((low, random_target_settings(rng, low.camera)))
    return drawn


def make_field(name: str, image: Pixels, mpp: float, scans: int, seed: int) -> Field:
    """Make a field's targets and its simulated scans.

    Parameters
    ----------
    name : str
        Seeds scanners and noise together with `seed`.
    image : (H, W, 3) uint8
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
    rng = np.random.default_rng(_key(name, seed, "noise"))
    rows, cols = (int(size * mpp / MPP_LR) - 2 for size in image.shape[:2])
    made = []
    for low, middle in random_scanners(name, scans, seed):
        lr = scan_to_input_grid(image, mpp, low, rng)[:rows, :cols]
        mr = scan_field(image, mpp, OBJECTIVES[10], middle, rng)[: 2 * rows, : 2 * cols]
        made.append(Scan(lr, mr, low.camera))
    return Field(name, tuple(made), resample_array(image, mpp, MPP_HR)[: 4 * rows, : 4 * cols])


def _key(name: str, seed: int, purpose: str) -> int:
    digest = hashlib.blake2b(f"{seed} {purpose} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
