"""Names for results beside the files that they are made from."""

from __future__ import annotations

import os
from pathlib import Path

_ENDINGS = ("-4x", "-10x", "-20x", "_4x", "_10x", "_20x", "-pairs")


def beside(path: Path, ending: str) -> Path | None:
    """Name a result beside a file, with a number where the name is taken; None where nothing can be written there.

    Parameters
    ----------
    path : Path
    ending : str
        What follows the stem of the file, such as ``-20x.ome.zarr``.
    """
    stem = path.name.split(".")[0]
    for magnification in _ENDINGS:
        stem = stem.removesuffix(magnification)
    if stem in ("4x", "10x", "20x"):
        stem = path.parent.name
    if not os.access(path.parent, os.W_OK):
        return None
    wanted, number = path.parent / f"{stem}{ending}", 1
    while wanted.exists():
        number += 1
        first, dot, rest = ending.partition(".")
        wanted = path.parent / f"{stem}{first}-{number}{dot}{rest}"
    return wanted
