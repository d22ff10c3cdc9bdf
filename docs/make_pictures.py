"""Make the pictures of the documentation: ``python docs/make_pictures.py [--field PICTURE] [--slide SLIDE]``.

Opens real windows, on a virtual screen where there is none, and writes docs/images/*.jpg. The phantom needs nothing;
a cytology field (0.27 µm/px) is scanned through the 4× optics first; a slide is shown as it is. ``--compare``: only
the pictures of docs/compare.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import random_settings
from napari_pathsrgan.inference.tile_service import ComputeSettings
from napari_pathsrgan.phantom.image_slide import write_image_slide
from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.demo import busiest_place_um, wait_until_sharp
from napari_pathsrgan.plugin.main_window import open_window
from napari_pathsrgan.plugin.sample_data import phantom_path
from napari_pathsrgan.plugin.widgets.screen import some_screen
from napari_pathsrgan.registration.fields import read_image

IMAGES = Path(__file__).parent / "images"
FIELD_MPP = 0.27


def photograph(slide: Path, name: str, screen_um_per_px: float) -> None:
    """Open a slide in three panes, wait until it is sharp, and write the window."""
    viewer, widget = open_window(slide, None, "lite", ComputeSettings(cache_folder=None))
    viewer.window.resize(1680, 840)
    shown = next(iter(widget.session.slides.values()))
    viewer.scene.camera.center = busiest_place_um(shown.super_resolved)
    viewer.scene.camera.zoom = 1 / screen_um_per_px
    print(f"{name}: sharp after {wait_until_sharp(widget):.1f} s")
    window = viewer.screenshot(canvas_only=False, flash=False)
    Image.fromarray(window[..., :3]).save(IMAGES / f"{name}.jpg", quality=90)
    widget.end()
    viewer.close()


def photograph_comparisons(slide: Path, screen_um_per_px: float) -> None:
    """Open a slide, and write the window in each way of comparing."""
    viewer, widget = open_window(slide, None, "lite", ComputeSettings(cache_folder=None), "Cytology phantom")
    viewer.window.resize(1280, 640)
    comparison = widget.comparison
    shown = next(iter(widget.session.slides.values()))
    viewer.scene.camera.center = busiest_place_um(shown.super_resolved)
    viewer.scene.camera.zoom = 1 / screen_um_per_px
    for mode in modes.compare_modes():
        comparison.set_mode(mode)
        wait_until_sharp(widget)
        canvas = comparison.canvas
        QTest.mouseMove(canvas, QPoint(canvas.width() // 7, canvas.height() // 2))
        comparison.hold(mode is modes.FLICKER)
        began = time.monotonic()
        while time.monotonic() - began < 0.5:
            QApplication.processEvents()
        picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
        picture.save(IMAGES / f"compare-{mode.name.lower().replace(' ', '-')}.jpg", quality=82)
        comparison.hold(False)
    widget.end()
    viewer.close()


def main() -> None:
    """Parse the command line and photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--field", type=Path, help="a sharp cytology picture, 0.27 µm/px")
    parser.add_argument("--slide", type=Path, help="a whole-slide image")
    parser.add_argument("--compare", action="store_true", help="only the ways of comparing")
    arguments = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, some_screen():
        phantom = phantom_path(folder=Path(folder))
        photograph_comparisons(phantom, 0.3)
        if arguments.compare:
            return
        photograph(phantom, "phantom", 0.3)
        if arguments.field:
            scan = Path(folder) / "field-4x.tiff"
            rng = np.random.default_rng(5)
            write_image_slide(read_image(arguments.field), FIELD_MPP, scan, random_settings(rng, OBJECTIVES[4]), rng)
            photograph(scan, "field", 0.3)
        if arguments.slide:
            photograph(arguments.slide, "slide", 0.3)


if __name__ == "__main__":
    main()
