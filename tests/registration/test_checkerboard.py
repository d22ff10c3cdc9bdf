"""The checkerboard shows the same cells in both kinds of squares, and the view lays everything on the 4× scan."""

from __future__ import annotations

import numpy as np

from napari_pathsrgan.plugin.registration.registration_view import DRIFT_SHOWN, registration_layers
from napari_pathsrgan.registration.checkerboard import checkerboard
from napari_pathsrgan.registration.correlation import absorption
from napari_pathsrgan.registration.fine import Registration


def test_squares_of_the_other_scan_fit(registration: Registration) -> None:
    found = registration
    both, mpp, corner = checkerboard(found.low, found.high, found.patches, 20, 1.465)
    alone, _, _ = checkerboard(found.low, found.low, shifted_nowhere(found), 20, 1.465)
    assert both.shape == alone.shape
    np.testing.assert_allclose(corner, (found.patches["row_um"].min(), found.patches["col_um"].min()))
    assert mpp == 1.465
    side = round(60 / mpp)
    assert np.corrcoef(absorption(both).ravel(), absorption(alone).ravel())[0, 1] > 0.9
    np.testing.assert_array_equal(both[:side, :side], alone[:side, :side])
    assert not np.array_equal(both[:side, side : 2 * side], alone[:side, side : 2 * side])


def shifted_nowhere(registration: Registration) -> np.ndarray:
    table = registration.patches.copy()
    table["offset_row_um_20x"] = table["offset_col_um_20x"] = 0
    return table


def test_a_large_slide_is_shown_coarser(registration: Registration) -> None:
    image, mpp, _ = checkerboard(registration.low, registration.high, registration.patches, 20, 0.5, most_px=300)
    assert max(image.shape) <= 300 + 60 / mpp + 1
    assert mpp > 0.5


def test_layers_lie_on_the_low_scan(registration: Registration) -> None:
    (_, scan, _), (image, board, _), (arrows, _, _), (places, points, kind) = registration_layers(
        registration.low, registration.high, registration.patches
    )
    assert kind == "points"
    count = len(registration.patches)
    assert places.shape == (count, 2)
    assert len(points["features"]["correlation"]) == count
    assert scan["units"] == board["units"] == points["units"] == ("um", "um")
    np.testing.assert_allclose(places[:, 0], registration.patches["row_um"] + 75)
    np.testing.assert_allclose(arrows[:, 0], places)
    drift = registration.patches["offset_col_um_20x"] - np.median(registration.patches["offset_col_um_20x"])
    np.testing.assert_allclose(arrows[:, 1, 1], DRIFT_SHOWN * drift, atol=1e-6)
    assert image.dtype == np.uint8


def test_nothing_found_shows_the_scan_alone(registration: Registration) -> None:
    assert len(registration_layers(registration.low, registration.high, registration.patches[:0])) == 1
