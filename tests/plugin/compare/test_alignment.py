"""Layers of 1.465, 0.586 and 0.293 µm/px lie on each other in every compare mode, measured on what the screen shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.plugin.crosses import PLACES_UM, find_crosses, scan_layer

from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.compare.comparison import Comparison

HALF_PIXEL_UM = 0.293 / 2
CENTRE_UM = (380.8, 412.2)
"""One of the crosses, so that there is one in every pane."""
_LABEL_PX = 40
"""Height of what is written over the pictures."""
MPPS = (1.465, 0.586, 0.293)
ZOOMS = (0.15, 0.62)
"""µm per pixel of the screen: each layer is drawn from its finest level in some, from coarser ones in others."""


class Bench:
    """A viewer that looks at crosses, and what a test measures in it."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.comparison = Comparison(viewer)

    def add(self, *layers: Any) -> None:
        for layer in layers:
            self.viewer.add_layer(layer)
        self.viewer.canvas.grid.stride = 1
        self.viewer.canvas.grid.shape = (1, -1)
        self.viewer.canvas.grid.spacing = 2
        self.viewer.canvas.grid.enabled = True
        self.qtbot.wait(30)

    def look(self, um_per_px: float) -> None:
        self.viewer.scene.camera.center = CENTRE_UM
        self.viewer.scene.camera.zoom = 1 / um_per_px
        self.qtbot.wait(50)

    def errors(self, panes: list[Any] | None = None) -> list[float]:
        """How far each cross in each pane is from where it belongs, µm."""
        self.qtbot.wait(30)
        canvas = self.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)
        ratio = canvas.shape[1] / self.viewer.canvas.size[1]
        um_per_px = 1 / (self.viewer.scene.camera.zoom * ratio)
        centre = np.array(self.viewer.scene.camera.center[-2:])
        found = []
        for rect in panes or [pane.rect for pane in self.comparison._canvas.panes()]:
            top, left = (rect.top() + _LABEL_PX) * ratio, rect.left() * ratio
            size = np.array([rect.height() - _LABEL_PX, rect.width()]) * ratio
            inner = canvas[int(np.ceil(top)) : int(top + size[0]), int(np.ceil(left)) : int(left + size[1])]
            shift = np.array([np.ceil(top) - top, np.ceil(left) - left])
            corner = centre + ([_LABEL_PX / 2 * ratio, 0] - size / 2 + shift) * um_per_px
            dark = np.abs(inner.mean(axis=2) - np.median(inner.mean(axis=2)))
            crosses = find_crosses(dark, corner, um_per_px)
            found += [float(np.abs(place - PLACES_UM[number]).max()) for number, place in crosses.items()]
        return found


@pytest.fixture
def bench(shared_viewer: Any, qtbot: Any) -> Iterator[Bench]:
    shared_viewer.window.resize(1300, 700)
    made = Bench(shared_viewer, qtbot)
    yield made
    made.comparison.close()
    shared_viewer.layers.clear()


@pytest.mark.parametrize("um_per_px", ZOOMS)
def test_side_by_side(bench: Bench, um_per_px: float) -> None:
    bench.add(*(scan_layer(mpp) for mpp in MPPS))
    bench.look(um_per_px)
    errors = bench.errors()
    assert len(errors) >= 3  # one in each
    assert max(errors) < HALF_PIXEL_UM


@pytest.mark.parametrize("um_per_px", ZOOMS)
@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_two_on_each_other(bench: Bench, pair: tuple[int, int], um_per_px: float) -> None:
    bench.add(*(scan_layer(MPPS[index]) for index in pair))
    comparison = bench.comparison
    comparison.set_mode(modes.SWIPE)
    bench.look(um_per_px)
    for place in (0.0, 0.5, 1.0):
        comparison.overlay.divider_moved.emit(place)
        errors = bench.errors()
        assert len(errors) >= 2
        assert max(errors) < HALF_PIXEL_UM
    comparison.set_mode(modes.LENS)
    comparison.overlay.lens_moved.emit(0.4, 0.5)
    errors = bench.errors()
    assert len(errors) >= 2
    assert max(errors) < HALF_PIXEL_UM
    comparison.set_mode(modes.FLICKER)
    for held in (False, True):
        comparison.hold(held)
        errors = bench.errors()
        assert len(errors) >= 2
        assert max(errors) < HALF_PIXEL_UM
    comparison.hold(False)


@pytest.mark.parametrize("um_per_px", ZOOMS)
@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2), (2, 0)])
def test_difference(bench: Bench, pair: tuple[int, int], um_per_px: float) -> None:
    """Of crosses and empty background: the difference is the crosses, in their places."""
    bench.add(scan_layer(MPPS[pair[0]]), scan_layer(MPPS[pair[1]], blank=True))
    bench.look(um_per_px)
    bench.comparison.set_mode(modes.DIFFERENCE)
    difference = bench.comparison.derived
    difference.colormap, difference.contrast_limits = "gray", (0, 255)
    difference.colorbar.visible = False
    errors = bench.errors()
    assert len(errors) >= 2
    assert max(errors) < HALF_PIXEL_UM


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_pictures_of_the_same_cancel_out(bench: Bench, pair: tuple[int, int]) -> None:
    """A displacement of half a 20× pixel would leave more."""
    left = {}
    for shift_um in (0.0, 2 * HALF_PIXEL_UM):
        first, second = (scan_layer(MPPS[index]) for index in pair)
        second.translate = np.array(second.translate) + shift_um
        bench.add(first, second)
        bench.look(0.293)
        bench.comparison.set_mode(modes.DIFFERENCE)
        bench.qtbot.wait(60)
        difference = bench.comparison.derived
        part = slice(round(300 / difference.scale[0]), round(500 / difference.scale[0]))
        left[shift_um] = float(difference.data[0][part, part].astype(float).mean())
        bench.viewer.layers.clear()
        bench.qtbot.wait(60)
    assert left[0.0] < 0.98 * left[2 * HALF_PIXEL_UM]
