from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.plugin.conftest import Window, write_slide
from tests.plugin.crosses import PLACES_UM, draw_crosses

from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.cutting import provenance
from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, PATCH_FIELDS
from napari_pathsrgan.registration.pairs import Planned, append
from napari_pathsrgan.slides.open_slide import open_slide

pytestmark = pytest.mark.usefixtures("shared_process")
OFFSETS_UM = {10: np.array([12.6, -7.7]), 20: np.array([-31.3, 20.2])}
"""How much further on the finer scans show the same, at the first patch; it drifts from there."""
DRIFT = 2e-3


def offset_um(magnification: int, place: np.ndarray) -> np.ndarray:
    return OFFSETS_UM[magnification] + DRIFT * (place - 400)


@pytest.fixture
def scans(tmp_path: Path) -> dict[int, Path]:
    """A 4× scan of crosses, and finer scans of them."""
    paths = {}
    for magnification, mpp in ((4, 1.465), (10, 0.586), (20, 0.293)):
        paths[magnification] = write_slide(
            tmp_path / f"{magnification}x.svs", draw_crosses(mpp), mpp=mpp, power=magnification
        )
    return paths


@pytest.fixture
def pairs_path(tmp_path: Path, scans: dict[int, Path]) -> Path:
    path = tmp_path / "pairs.zarr"

    def cut(_row: np.void) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lr, mr, hr = (np.full((side, side, 3), 200, np.uint8) for side in (LR_PX, MR_PX, HR_PX))
        return lr, mr, hr

    table = np.zeros(9, PATCH_FIELDS)
    table["row_um"], table["col_um"] = (grid.ravel() for grid in np.meshgrid((100, 300, 500), (100, 300, 500)))
    centres = np.stack([table["row_um"], table["col_um"]], axis=1) + 75.0
    for magnification in (10, 20):
        for axis, name in enumerate(("row", "col")):
            table[f"offset_{name}_um_{magnification}x"] = offset_um(magnification, centres)[:, axis]
    found = {"tried": 9, "rejected": {}, "notes": [], "scans": {f"{key}x": one.name for key, one in scans.items()}}
    with open_slide(scans[4]) as low, open_slide(scans[10]) as mid, open_slide(scans[20]) as high:
        made = provenance(low, mid, high, RegistrationConfig())
        append(path, "crosses", made, "train", lambda: Planned(table, np.full(9, "", np.str_), found), cut)
    return path


def test_scans_come_beside_their_slide_where_they_were_registered(
    make_window: Callable[..., Window], scans: dict[int, Path], pairs_path: Path
) -> None:
    window = make_window(scans[4])
    window.dock.compare_actions.add_scans(pairs_path)
    window.settle()
    assert [layer.name.split(" · ")[0] for layer in window.viewer.layers] == [
        "4× scan", "SR-10× computed", "SR-20× computed", "10× scan", "20× scan",
    ]  # fmt: skip
    assert not any(SLIDE_KEY in layer.metadata for layer in list(window.viewer.layers)[1:])
    assert len(window.dock.comparison._canvas.panes()) == 5
    assert window.dock.form.slides.count() == 1
    for place in PLACES_UM[[0, 7, 19]]:
        window.look(*place, 0.3)
        window.settle(0.3)
        for magnification, mpp in ((10, 0.586), (20, 0.293)):
            layer = next(layer for layer in window.viewer.layers if layer.name.startswith(f"{magnification}× scan"))
            there = np.array(layer.world_to_data(place)) * mpp + mpp / 2
            np.testing.assert_allclose(there, place + offset_um(magnification, place), atol=0.05)


def test_scans_can_be_swiped_and_go_with_their_slide(
    make_window: Callable[..., Window], scans: dict[int, Path], pairs_path: Path
) -> None:
    window = make_window(scans[4])
    window.dock.compare_actions.add_scans(pairs_path)
    window.settle()
    window.dock.compare_actions.add_scans(pairs_path)  # again: not twice
    window.settle()
    assert len(window.viewer.layers) == 5
    comparison = window.dock.comparison
    comparison.choose(first=window.view("SR-20")[0])
    comparison.choose(second=window.viewer.layers[-1])
    comparison.set_mode(modes.SWIPE)
    window.settle()
    assert [layer.name.split(" · ")[0] for layer in (comparison.first, comparison.second)] == [
        "SR-20× computed", "20× scan",
    ]  # fmt: skip
    comparison.set_mode(modes.SIDE_BY_SIDE)
    slides = [scan.slide for _, scan in window.dock.scans._scans]
    window.viewer.layers.remove(window.viewer.layers[0])
    window.settle()
    assert len(window.viewer.layers) == 0
    assert all(slide._closed for slide in slides)


def test_another_slide_s_pairs_file_is_refused_in_a_sentence(
    make_window: Callable[..., Window], slide_path: Path, pairs_path: Path, tmp_path: Path
) -> None:
    window = make_window(slide_path)
    window.dock.compare_actions.add_scans(pairs_path)
    assert "pairs.zarr holds no registration of case-17." in window.dock.messages.text
    window.dock.compare_actions.add_scans(tmp_path)
    assert tmp_path.name in window.dock.messages.text
    assert len(window.viewer.layers) == 3
