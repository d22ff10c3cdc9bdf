"""How well a model does on fields it has not seen, beside bicubic enlargement."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from napari_pathsrgan.slides.resample import enlarge
from napari_pathsrgan.training.fields import Field, recolour

Pixels = npt.NDArray[np.uint8]

_LEAST_SQUARED_ERROR = 1e-5
"""Identical pictures count as this far apart, so that a mean over fields stays finite: 98 dB."""


class PatchModel(Protocol):
    """Something that super-resolves a patch: an `Engine`, say."""

    def apply(self, patch: Pixels) -> tuple[Pixels, Pixels]:
        """Give (2H, 2W, 3) and (4H, 4W, 3) uint8 for (H, W, 3) uint8."""


def psnr(computed: Pixels, real: Pixels) -> float:
    """Peak signal-to-noise ratio over all pixels and colours.

    Parameters
    ----------
    computed, real : (H, W, 3) uint8
        RGB.

    Returns
    -------
    float
        dB relative to 255; at most 98.
    """
    difference = computed.astype(np.float32) - real.astype(np.float32)
    error = max(float(np.mean(difference**2, dtype=np.float64)), _LEAST_SQUARED_ERROR)
    return 10 * math.log10(255**2 / error)


def ssim(computed: Pixels, real: Pixels) -> float:
    """Structural similarity, the mean over R, G and B (Wang et al. 2004: Gaussian window of s.d. 1.5 px).

    Parameters
    ----------
    computed, real : (H, W, 3) uint8
        RGB, at least 11 px a side.

    Returns
    -------
    float
        1 for identical pictures.
    """
    return float(
        structural_similarity(
            computed,
            real,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def evaluate(model: PatchModel, fields: Iterable[Field]) -> dict[str, float]:
    """Compare a model and bicubic enlargement with the real 10× and 20× pictures of fields.

    Parameters
    ----------
    model : PatchModel
        Gets every simulated 4× scan of every field whole.
    fields : iterable of Field
        Left out of training. Their targets are shown in each scan's own colours.

    Returns
    -------
    dict of str to float
        Means over scans, to four decimals: ``psnr_20x_clean`` (dB) and ``ssim_20x_clean``, the same of bicubic as
        ``psnr_20x_clean_bicubic``; likewise for ``10x``, and for ``drawn`` scanners where fields have them. Empty
        without fields.
    """
    seen: defaultdict[str, list[float]] = defaultdict(list)
    for field in fields:
        for index, scan in enumerate(field.scans):
            kind = "drawn" if index else "clean"
            computed_mr, computed_hr = model.apply(scan.lr)
            pictures = (
                ("10x", recolour(field.mr, scan.colour), computed_mr, enlarge(scan.lr, 2)),
                ("20x", recolour(field.hr, scan.colour), computed_hr, enlarge(scan.lr, 4)),
            )
            for view, real, computed, bicubic in pictures:
                for method, picture in (("", computed), ("_bicubic", bicubic)):
                    seen[f"psnr_{view}_{kind}{method}"].append(psnr(picture, real))
                    seen[f"ssim_{view}_{kind}{method}"].append(ssim(picture, real))
    return {name: round(_mean(values), 4) for name, values in sorted(seen.items())}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
