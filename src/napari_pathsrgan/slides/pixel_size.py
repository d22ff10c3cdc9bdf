"""How wide a pixel is: what files write, in µm, and whether it can be true."""

from __future__ import annotations

import math

#: Pixels wider than this are no micrograph: 300 dpi, the usual meaningless default, is 85 µm/px.
WIDEST_BELIEVABLE_MPP = 50.0

#: µm per unit of length, by the names OME-Zarr (UDUNITS-2) and OME-XML give them.
UM_PER_UNIT = {
    "nanometer": 1e-3, "nm": 1e-3,
    "micrometer": 1.0, "µm": 1.0, "μm": 1.0, "um": 1.0,
    "millimeter": 1e3, "mm": 1e3,
    "centimeter": 1e4, "cm": 1e4,
    "meter": 1e6, "m": 1e6,
}  # fmt: skip


def believable_pixel_size(row_um: float | None, col_um: float | None) -> tuple[float, float] | None:
    """Return the pixel size a file states, in µm, or None where it's missing or can't be true."""
    if row_um is None or col_um is None:
        return None
    if not all(math.isfinite(size) and 0.0 < size <= WIDEST_BELIEVABLE_MPP for size in (row_um, col_um)):
        return None
    return (row_um, col_um)
