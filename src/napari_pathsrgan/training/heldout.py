"""How well a model does on fields it has not seen, beside bicubic enlargement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.evaluation.metrics import PatchModel, psnr, ssim
from napari_pathsrgan.slides.resample import enlarge
from napari_pathsrgan.training.fields import Field, recolour

Pixels = npt.NDArray[np.uint8]


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
