"""Which patches are for training and which for testing: by slide, or by place where there is one slide."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.registration.fields import TEST_ONE_IN
from napari_pathsrgan.registration.fine import HR_PX, MPP_HR

Split = Literal["train", "test", "place"]
"""What a slide is for; "place": one part of it for testing, the rest for training."""

BY_PLACE: Split = "place"
SPLITS: tuple[Split, ...] = get_args(Split)


def split_of(fingerprint: str) -> Split:
    """Decide by a slide's fingerprint whether it is for "train" or "test": stable whatever else is in the file."""
    digest = hashlib.blake2b(fingerprint.encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest, "big") % TEST_ONE_IN == 0 else "train"


def split_by_place(corners_um: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """Keep one end of a slide for testing: the last sixth of its patches along its longer side.

    Patches that overlap the border between both parts are for neither.

    Parameters
    ----------
    corners_um : (N, 2) float64
        Upper-left corners of patches.

    Returns
    -------
    (N,) array of str
        "train", "test" or "".
    """
    splits = np.full(len(corners_um), "", "U5")
    if len(corners_um) < 2:
        splits[:] = "train"
        return splits
    along = corners_um[:, int(np.ptp(corners_um, axis=0).argmax())]
    border = np.sort(along)[-max(1, len(along) // TEST_ONE_IN)]
    splits[along >= border] = "test"
    splits[along + HR_PX * MPP_HR <= border + 1e-6] = "train"
    return splits
