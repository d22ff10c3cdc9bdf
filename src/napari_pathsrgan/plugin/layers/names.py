"""Names of our layers: napari's writers make file names of them, and take what follows a full stop for a suffix."""

from __future__ import annotations

import re

from napari_pathsrgan.text import printable

_UNSAFE = re.compile(r'[<>:"/\\|?*.]')
"""What some file system refuses or takes for a folder or a suffix."""
_LONGEST = 60
"""Characters of a name that comes from a file or a model; all file systems take 255 bytes."""


def safe_name(text: str) -> str:
    """Make a text from elsewhere, a slide's or a model's name, fit to be part of a file name."""
    return _UNSAFE.sub("-", printable(text, _LONGEST)).strip()


def pixel_size(mpp: float) -> str:
    """Write a pixel size, µm, the way layer names have it: without a slash or a decimal point."""
    return f"{1000 * mpp:.0f} nm per px"


def without_pixel_size(name: str) -> str:
    """Shorten a layer's name by what `pixel_size` wrote into it."""
    return re.sub(r" · \d+ nm per px", "", name)
