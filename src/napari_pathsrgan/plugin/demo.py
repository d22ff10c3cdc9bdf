"""The main job from end to end on a phantom: window, three panes, images, OME-Zarr."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QApplication

from napari_pathsrgan.errors import OutputError, WorkerError
from napari_pathsrgan.inference.tile_service import ComputeSettings
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.plugin.main_window import open_window
from napari_pathsrgan.plugin.sample_data import SAMPLE_NAME, SAMPLE_SEED, SAMPLE_SIZE_UM
from napari_pathsrgan.plugin.viewer.overview_map import visible_um
from napari_pathsrgan.plugin.widgets.screen import some_screen

if TYPE_CHECKING:
    import napari

    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.plugin.viewer.super_resolution_widget import SuperResolutionWidget

PATIENCE_S = 300.0
"""How long the view may take to get sharp before the demo gives up."""
SCREEN_UM_PER_PX = 0.4
"""Pixel size on the screen that the demo shows: between 10× and 20×."""


def run_demo(out_dir: Path, on_progress: Callable[[str], None] = print, size_um: float = SAMPLE_SIZE_UM) -> list[Path]:
    """Make a phantom slide, show it in three panes, and write what was shown.

    With a screen the window stays open afterwards until the user closes it; without one the same happens on a virtual
    screen.

    Parameters
    ----------
    out_dir : Path
        Must not exist; gets ``panes.png``, ``window.png``, ``phantom/4x.tiff`` and ``visited.ome.zarr``.
    on_progress : callable (str)
        Called with what is being done, a line each.
    size_um : float
        Side of the phantom, µm.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OutputError
        If the folder exists or can't be written.
    ScreenError
        If there is neither a screen nor Xvfb.
    WorkerError
        If the view does not get sharp.
    """
    if out_dir.exists():
        raise OutputError(f"{out_dir} exists already.", "Choose another folder with --out, or remove it.")
    with some_screen() as real:
        try:
            out_dir.mkdir(parents=True)
        except OSError as error:
            raise OutputError(
                f"{out_dir} can't be made: {error.strerror}.", "Choose another folder with --out."
            ) from error
        try:
            on_progress(f"Making a phantom slide of {size_um / 1000:g} × {size_um / 1000:g} mm …")
            phantom = write_phantom(out_dir / "phantom", size_um, SAMPLE_SEED, magnifications=(4,))
            on_progress("Opening it in three panes …" if real else "Opening it in three panes, on a virtual screen …")
            settings = ComputeSettings(cache_folder=None)
            viewer, widget = open_window(phantom.scans[4], None, "lite", settings, SAMPLE_NAME)
        except BaseException:
            shutil.rmtree(out_dir, ignore_errors=True)
            raise
        try:
            paths = _browse_and_write(viewer, widget, out_dir, on_progress)
            if real:
                import napari

                napari.run()
        finally:
            widget.end()
            if not real:
                viewer.close()
    return [phantom.scans[4], *paths]


def _browse_and_write(
    viewer: napari.Viewer, widget: SuperResolutionWidget, out_dir: Path, on_progress: Callable[[str], None]
) -> list[Path]:
    shown = next(iter(widget.session.slides.values()))
    viewer.window.resize(1800, 900)
    viewer.scene.camera.center = busiest_place_um(shown.super_resolved)
    viewer.scene.camera.zoom = 1 / SCREEN_UM_PER_PX
    waited = wait_until_sharp(widget)
    ready, _ = widget.session.progress()
    on_progress(
        f"{ready} tiles were sharp after {waited:.1f} s, computed on {widget.progress.speed.text() or 'the device'}."
    )
    panes, window = out_dir / "panes.png", out_dir / "window.png"
    viewer.screenshot(path=str(panes), canvas_only=True, flash=False)
    viewer.screenshot(path=str(window), canvas_only=False, flash=False)
    zarr = out_dir / "visited.ome.zarr"
    row, col, height, width = visible_um(viewer)
    top, left = max(0.0, row), max(0.0, col)
    write_whole_slide(shown.super_resolved, zarr, (top, left, row + height - top, col + width - left))
    for path, what in ((panes, "the three panes"), (window, "the window"), (zarr, "the visited part, OME-Zarr")):
        on_progress(f"{path}: {what}")
    return [panes, window, zarr]


def wait_until_sharp(widget: SuperResolutionWidget, patience_s: float = PATIENCE_S) -> float:
    """Let the window work until everything in sight is sharp.

    Returns
    -------
    float
        Seconds it took.

    Raises
    ------
    WorkerError
        If that takes longer than `patience_s`.
    """
    began = time.monotonic()
    while time.monotonic() - began < patience_s:
        QApplication.processEvents()
        ready, wanted = widget.session.progress()
        if wanted and ready == wanted:
            for _ in range(20):  # let the last refresh reach the screen
                QApplication.processEvents()
                time.sleep(0.02)
            if widget.session.progress() == (ready, wanted):
                return time.monotonic() - began
        time.sleep(0.01)
    said = f": {widget.messages.text}" if widget.messages.text else ""
    raise WorkerError(
        f"The view was not sharp after {patience_s:.0f} s{said}.",
        "Run `pathsrgan doctor` to see what is missing.",
    )


def busiest_place_um(super_resolved: SuperResolvedSlide, side_um: float = 250.0) -> tuple[float, float]:
    """Find the place of the slide with the most structure, to show: row and column, µm."""
    grid = super_resolved.grid
    level = grid.n_levels - 1
    overview = super_resolved.read(level, 0, 0, *grid.level_shapes[level]).mean(axis=2)
    step = max(1, round(side_um / grid.level_mpps[level]))
    places = [
        (float(np.std(overview[row : row + step, col : col + step])), row, col)
        for row in range(0, max(1, overview.shape[0] - step), max(1, step // 2))
        for col in range(0, max(1, overview.shape[1] - step), max(1, step // 2))
    ]
    _, row, col = max(places)
    mpp = grid.level_mpps[level]
    return (row + step / 2) * mpp, (col + step / 2) * mpp
