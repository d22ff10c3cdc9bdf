"""Names and labels of our layers.

napari's writers make file names of layer names and take what follows a full stop for a suffix, so a name holds neither
full stop nor slash. The label on the canvas is a text of its own: it says what the layer shows, however the user names
the layer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from napari.layers import Layer

NAME_KEY = "pathsrgan_name"
"""Metadata of our layers: the name they were given, without the slide's."""
LABEL_KEY = "pathsrgan_label"
"""Metadata of our layers: what the label on the canvas says they show."""
OF_SLIDE_KEY = "pathsrgan_of_slide"
"""Metadata of our layers: fingerprint of the slide that they show."""

_UNSAFE = re.compile(r'[<>:"/\\|?*.]')
"""What some file system refuses or takes for a folder or a suffix."""
LONGEST_NAME = 60
"""Characters of a name that comes from a file or a model; all file systems take 255 bytes."""


def safe_name(text: str) -> str:
    """Make a text from elsewhere, a slide's or a model's name, fit to be part of a file name."""
    return _UNSAFE.sub("-", printable(text, LONGEST_NAME)).strip()


def pixel_size(mpp: float) -> str:
    """Write a pixel size, µm, the way layer names have it: without a slash or a decimal point."""
    return f"{1000 * mpp:.0f} nm per px"


def slide_of(layer: Layer) -> str:
    """Find the slide that a layer shows, by its fingerprint; empty for layers that are not ours."""
    return str(layer.metadata.get(OF_SLIDE_KEY, ""))


def pane_label(layer: Layer) -> str:
    """Write what the canvas says of a layer.

    Of ours, what it shows, after the slide's name where there are several or the name that the user gave the layer. Of
    others, the layer's name.
    """
    label, given = layer.metadata.get(LABEL_KEY), layer.metadata.get(NAME_KEY)
    if not label:
        return str(layer.name)
    before, found, _ = layer.name.partition(given or "\0")
    return f"{before}{label}" if found else f"{layer.name} · {label}"


def short_label(layer: Layer) -> str:
    """Write a layer's label, or name, without the pixel size."""
    return re.sub(r" · (\d+ nm per px|[\d.]+ µm/px)", "", pane_label(layer))
