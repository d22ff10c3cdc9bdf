"""Names of our layers: napari's writers make file names of them, and take what follows a full stop for a suffix."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r'[<>:"/\\|?*.\x00-\x1f\x7f-\x9f\u2028-\u202f\u2066-\u2069]')
"""What some file system refuses or takes for a folder or a suffix, and what cannot be seen."""
_LONGEST = 60
"""Characters of a name that comes from a file or a model; all file systems take 255 bytes."""


def safe_name(text: str) -> str:
    """Make a text from elsewhere, a slide's or a model's name, fit to be part of a file name."""
    name = _UNSAFE.sub("-", text).strip()
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def pixel_size(mpp: float) -> str:
    """Write a pixel size, µm, the way layer names have it: without a slash or a decimal point."""
    return f"{1000 * mpp:.0f} nm per px"


def without_pixel_size(name: str) -> str:
    """Shorten a layer's name by what `pixel_size` wrote into it."""
    return re.sub(r" · \d+ nm per px", "", name)
