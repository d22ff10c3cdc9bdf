"""Array types that every package shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""An image: (H, W, 3) uint8 RGB, or (H, W) uint8 where its user says so."""
