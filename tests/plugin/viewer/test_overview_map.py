from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from tests.plugin.conftest import Window

from napari_pathsrgan.plugin.viewer.overview_map import OverviewMap, magnification_text, visible_um
from napari_pathsrgan.tiles.grid import CORE


def test_a_click_on_the_map_jumps_there_and_a_drag_follows(qtbot: Any) -> None:
    overview = OverviewMap()
    qtbot.addWidget(overview)
    overview.resize(300, 200)
    overview.set_slide(np.zeros((50, 100, 3), np.uint8), (1000.0, 2000.0))  # drawn 300 × 150, at the top
    places: list[tuple[float, float]] = []
    overview.jumped.connect(lambda row, col: places.append((row, col)))
    qtbot.mouseClick(overview, Qt.MouseButton.LeftButton, pos=QPoint(150, 75))
    qtbot.mouseClick(overview, Qt.MouseButton.LeftButton, pos=QPoint(0, 199))
    qtbot.mouseClick(overview, Qt.MouseButton.RightButton, pos=QPoint(150, 100))
    np.testing.assert_allclose(places, [(500, 1000), (1000, 0)])
    overview.set_slide(None)
    qtbot.mouseClick(overview, Qt.MouseButton.LeftButton, pos=QPoint(150, 100))
    assert len(places) == 2


def test_the_map_shows_picture_shading_and_frame(qtbot: Any) -> None:
    overview = OverviewMap()
    qtbot.addWidget(overview)
    overview.resize(200, 200)
    overview.set_slide(np.full((50, 50, 3), 255, np.uint8), (1000.0, 1000.0))
    blocks = np.zeros((2, 2), bool)
    blocks[1, 0] = True
    overview.set_computed(blocks, (1200.0, 1200.0))  # blocks overhang the slide
    overview.set_visible(100, 600, 200, 300)
    picture = overview.grab().toImage()

    def colour(row: int, col: int) -> tuple[int, int, int]:
        pixel = picture.pixelColor(col, row)
        return pixel.red(), pixel.green(), pixel.blue()

    assert colour(60, 60) == (255, 255, 255)
    red, _, blue = colour(160, 60)  # 800 µm down, 300 across: in block (1, 0)
    assert red < blue
    assert colour(118, 60) == (255, 255, 255)  # 590 µm: not yet
    red, _, blue = colour(20, 150)  # the frame's upper edge
    assert red > blue + 80


@pytest.mark.usefixtures("shared_process")
def test_the_frame_is_what_a_pane_shows(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    window.look(700, 900, 0.5)
    window.until(lambda: np.allclose(window.dock.overview._visible_um, visible_um(window.viewer)))
    row, col, height, width = window.dock.overview._visible_um
    np.testing.assert_allclose((row + height / 2, col + width / 2), (700, 900))
    pane = window.viewer.canvas.viewbox_size(window.viewer.layers)
    np.testing.assert_allclose((height, width), np.array(pane) * 0.5)
    corners = window.viewer.layers[0].corner_pixels * 1.465
    assert abs(corners[1, 1] - corners[0, 1] - width) < 2 * 512 * 1.465
    for axis, (start, length) in enumerate(((row, height), (col, width))):
        assert corners[0, axis] <= start + 1.465
        assert corners[1, axis] + 1.465 >= start + length - 1.465
    before = window.dock.overview._visible_um
    window.viewer.window.resize(1200, 600)
    window.until(lambda: window.dock.overview._visible_um != before)

    window.dock.overview.jumped.emit(300.0, 400.0)
    np.testing.assert_allclose(window.viewer.scene.camera.center[-2:], (300, 400))


@pytest.mark.usefixtures("shared_process")
def test_the_shaded_area_is_what_was_computed(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    told: list[tuple[np.ndarray, tuple[float, float]]] = []
    window.dock.overview.set_computed = lambda *arguments: told.append(arguments)
    window.look(600, 900, 0.3)
    window.wait_sharp()
    window.wait_quiet()
    blocks, extent_um = told[-1]
    side_um = CORE * 1.172
    assert extent_um == (blocks.shape[0] * side_um, blocks.shape[1] * side_um)
    assert blocks[int(600 / side_um), int(900 / side_um)]
    whole = [key for key in window.session.compute.cache._tiles if key.level < 2 and key.part is None]
    assert blocks.sum() == len({(key.row, key.col) for key in whole})


@pytest.mark.usefixtures("shared_process")
def test_magnification_and_scale_bar_follow_the_camera(make_window: Callable[..., Window], slide_path: Path) -> None:
    window = make_window(slide_path)
    overlays = window.viewer.canvas.overlays
    window.look(600, 900, 0.293)
    assert overlays.text.visible
    assert overlays.scale_bar.visible
    window.until(lambda: overlays.text.text == "on screen: 20× · 0.293 µm/px")  # in brief while docks find their room
    window.until(lambda: np.allclose(window.dock.overview._visible_um, visible_um(window.viewer)))


@pytest.mark.parametrize(
    ("um_per_px", "text"), [(1.465, "on screen: 4× · 1.47 µm/px"), (0.14648, "on screen: 40× · 0.146 µm/px")]
)
def test_magnification_in_both_languages(um_per_px: float, text: str) -> None:
    assert magnification_text(um_per_px) == text
