"""A registration to judge in ten seconds: matched patches, how offsets drift, and the scans as a checkerboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.plugin.layers.scan_layer import LayerTuple, slide_layer
from napari_pathsrgan.registration.checkerboard import checkerboard

if TYPE_CHECKING:
    import napari

    from napari_pathsrgan.registration.pairs import PairsFile, Table
    from napari_pathsrgan.slides.slide import Slide

DRIFT_SHOWN = 40.0
"""Arrows are so much longer than what they stand for: offsets drift by a µm or two over a slide of centimetres."""

_HALF_UM = 75.0
_PURPOSES = {"train": "training", "test": "testing", "place": "training, those at one end for testing"}


def registration_layers(low: Slide, high: Slide, table: Table, magnification: int = 20) -> list[LayerTuple]:
    """Describe a registration as napari layers, all in µm of the 4× scan.

    Parameters
    ----------
    low, high : Slide
        The 4× scan and the one registered to it.
    table : structured array
        Its patches: columns of `registration.fine.PATCH_FIELDS`.
    magnification : int
        Of `high`: 10 or 20.

    Returns
    -------
    list of (data, parameters, kind)
        The scan, the checkerboard, the drift as vectors, and the patches as points coloured by correlation.
    """
    layers = [slide_layer(low)]
    if len(table) == 0:
        return layers
    centres = np.stack([table["row_um"], table["col_um"]], axis=1) + _HALF_UM
    offsets = np.stack([table[f"offset_{axis}_um_{magnification}x"] for axis in ("row", "col")], axis=1)
    middle = np.median(offsets, axis=0)
    correlation = np.asarray(table["correlation" if magnification == 20 else "correlation_10x"], np.float64)
    image, mpp, corner = checkerboard(low, high, table, magnification, low.mpp / 2)
    shared: dict[str, Any] = {"units": ("um", "um")}
    layers += [
        (
            image,
            {
                "name": f"Checkerboard of 4× and {magnification}×",
                "rgb": True,
                "scale": (mpp, mpp),
                "translate": (corner[0] + mpp / 2, corner[1] + mpp / 2),
                "visible": False,
                **shared,
            },
            "image",
        ),
        (
            np.stack([centres, DRIFT_SHOWN * (offsets - middle)], axis=1),
            {
                "name": f"Drift × {DRIFT_SHOWN:.0f}, about ({middle[0]:.0f}, {middle[1]:.0f}) µm",
                "edge_width": 6.0,
                "edge_color": "#E69F00",
                "vector_style": "arrow",
                **shared,
            },
            "vectors",
        ),
        (
            centres,
            {
                "name": f"{len(table)} patches by correlation",
                "features": {"correlation": correlation},
                "face_color": "correlation",
                "face_colormap": "viridis",
                "face_contrast_limits": (0.8, 1.0),
                "size": 40.0,
                "border_width": 0,
                **shared,
            },
            "points",
        ),
    ]
    return layers


@dataclass(frozen=True)
class RegistrationView:
    """What there is to see of one slide of a pairs file.

    Attributes
    ----------
    layers : list of (data, parameters, kind)
        See `registration_layers`; the first reads from `scans`.
    scans : (Slide, Slide)
        The 4× scan and the one registered to it, open.
    summary : str
        Figures about it in a few lines.
    """

    layers: list[LayerTuple]
    scans: tuple[Slide, Slide]
    summary: str

    def close(self) -> None:
        """Close the scans."""
        for scan in self.scans:
            scan.close()


def read_registration(pairs: PairsFile, index: int, magnification: int = 20) -> RegistrationView:
    """Read what there is to see of a slide of a pairs file; takes a second or two.

    Parameters
    ----------
    pairs : PairsFile
    index : int
        Of the slide in ``pairs.slides``.
    magnification : int
        10 or 20.

    Raises
    ------
    PathSRGANError
        See `registration.cutting.open_scans`.
    """
    from napari_pathsrgan.registration.cutting import open_scans
    from napari_pathsrgan.registration.turns import as_scanned

    entry = pairs.slides[index]
    table = as_scanned(pairs.table[entry["first"] : entry["first"] + entry["count"]], entry["found"])
    low, high = open_scans(pairs, index, magnification)
    try:
        return RegistrationView(
            registration_layers(low, high, table, magnification), (low, high), _summary(entry, table, magnification)
        )
    except PathSRGANError:
        low.close()
        high.close()
        raise


def _summary(entry: dict[str, Any], table: Table, magnification: int) -> str:
    found = entry["found"]
    lines = [f"{len(table)} of {found['tried']} patches with cells, for {_PURPOSES[entry['split']]}"]
    if len(table):
        offsets = np.stack([table[f"offset_{axis}_um_{magnification}x"] for axis in ("row", "col")], axis=1)
        middle, drift = np.median(offsets, axis=0), np.ptp(offsets, axis=0).max()
        correlation = np.median(table["correlation" if magnification == 20 else "correlation_10x"])
        lines += [
            f"Offset {_way(middle[0], 'down', 'up')}, {_way(middle[1], 'right', 'left')}",
            f"… drifts by {drift:.1f} µm over the slide",
            f"Correlation {correlation:.2f} (median)",
        ]
    lines += [f"{count} left out: {reason}" for reason, count in found["rejected"].items()]
    return "\n".join([*lines, *found["notes"]])


def _way(offset_um: float, along: str, against: str) -> str:
    return f"{abs(offset_um):.1f} µm {along if offset_um >= 0 else against}"


def show_registration(
    viewer: napari.Viewer, low: Slide, high: Slide, table: Table, magnification: int = 20
) -> list[napari.layers.Layer]:
    """Add a registration's layers to a viewer; see `registration_layers`."""
    import napari

    return [
        viewer.add_layer(napari.layers.Layer.create(data, parameters, kind))
        for data, parameters, kind in registration_layers(low, high, table, magnification)
    ]
