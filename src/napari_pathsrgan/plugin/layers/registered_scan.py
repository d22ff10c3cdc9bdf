"""A real 10× or 20× scan laid on the 4× one, where a pairs file's registration says that it belongs.

Two scans of a slide lie some distance apart, and that drifts by a µm or two over the slide. A layer can only be moved
as a whole, so it is moved to where it fits in the middle of what is in sight, each time the camera has come to rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathsrgan.errors import StoreMismatchError
from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY, slide_layer
from napari_pathsrgan.registration.cutting import open_scans
from napari_pathsrgan.registration.offset_field import OffsetField
from napari_pathsrgan.registration.pairs import PairsFile
from napari_pathsrgan.registration.turns import as_scanned

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_pathsrgan.slides.slide import Slide

_HALF_PATCH_UM = 75.0
_LEAST_MOVE_UM = 0.02
"""Less is not seen: a fifteenth of a 20× pixel."""


class RegisteredScan:
    """A scan as a layer.

    Parameters
    ----------
    slide : Slide
        The finer scan; closed here.
    places_um, offsets_um : (N, 2) float64
        Where in the 4× scan patches were matched, and how much further on the finer scan shows the same.
    """

    def __init__(self, slide: Slide, places_um: Any, offsets_um: Any) -> None:
        from napari.layers import Image

        self.slide = slide
        self._field = OffsetField(places_um, offsets_um)
        self._half_pixel_um = np.array(slide.pixel_size_um) / 2
        self._offset_um = np.median(offsets_um, axis=0)
        levels, parameters, _ = slide_layer(slide)
        metadata = {key: value for key, value in parameters["metadata"].items() if key != SLIDE_KEY}
        translate = self._half_pixel_um - self._offset_um
        self.layer: Image = Image(levels, **{**parameters, "translate": translate, "metadata": metadata})

    def fit(self, centre_um: tuple[float, float]) -> None:
        """Move the layer to where it fits best about a place of the 4× scan, µm."""
        offset_um = self._field.at(np.array([centre_um]))[0]
        if np.abs(offset_um - self._offset_um).max() >= _LEAST_MOVE_UM:
            self._offset_um = offset_um
            self.layer.translate = self._half_pixel_um - offset_um

    def close(self) -> None:
        """Close the file."""
        self.slide.close()


def open_registered(path: Path, fingerprint: str, name: str) -> list[RegisteredScan]:
    """Open the 10× and the 20× scan that a slide was registered with.

    Parameters
    ----------
    path : Path
        A pairs file.
    fingerprint : str
        The 4× slide's.
    name : str
        What the user knows it by.

    Raises
    ------
    StoreMismatchError
        If it is no pairs file, or nothing in it is of this slide.
    PathSRGANError
        See `registration.cutting.open_scans`.
    """
    pairs = PairsFile(path)
    entries = [
        (index, entry)
        for index, entry in enumerate(pairs.slides)
        if not entry["simulated"] and entry["made"]["fingerprints"].get("4x") == fingerprint and entry["count"]
    ]
    if not entries:
        raise StoreMismatchError(
            f"{path.name} holds no registration of {name}.",
            "Choose the pairs file that this slide was registered into.",
        )
    index, entry = entries[-1]
    table = as_scanned(pairs.table[entry["first"] : entry["first"] + entry["count"]], entry["found"])
    places = np.stack([table["row_um"], table["col_um"]], axis=1) + _HALF_PATCH_UM
    scans: list[RegisteredScan] = []
    for magnification in (10, 20):
        low, high = open_scans(pairs, index, magnification)
        low.close()
        offsets = np.stack([table[f"offset_{axis}_um_{magnification}x"] for axis in ("row", "col")], axis=1)
        scans.append(RegisteredScan(high, places, offsets))
    return scans
