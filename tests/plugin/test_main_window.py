from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest

from napari_pathsrgan.errors import CheckpointError, ScreenError, SlideNotFoundError
from napari_pathsrgan.inference.tile_service import ComputeSettings
from napari_pathsrgan.plugin import main_window, sample_data
from napari_pathsrgan.plugin.demo import busiest_place_um, wait_until_sharp
from napari_pathsrgan.plugin.widgets import screen

SETTINGS = ComputeSettings("cpu", "fp32", cache_folder=None)


@pytest.mark.usefixtures("shared_process")
def test_a_slide_opens_whole_in_three_panes(
    make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch, slide_path: Path, model_path: Path
) -> None:
    monkeypatch.setattr(napari, "Viewer", lambda title: make_napari_viewer(title=title, show=True))
    viewer, widget = main_window.open_window(slide_path, None, model_path, SETTINGS, "My slide")
    assert viewer.title == "My slide · PathSRGAN"
    assert widget.form.slides.currentText() == "My slide"
    assert len(viewer.layers) == 3
    (shown,) = widget.session.slides.values()
    row, col = busiest_place_um(shown.super_resolved)
    assert row < 0.8 * 1200 * 1.465  # the rest is background
    viewer.scene.camera.center = (row, col)
    viewer.scene.camera.zoom = 1 / 0.4
    wait_until_sharp(widget, 60)
    ready, wanted = widget.session.progress()
    assert ready == wanted > 0
    picture = viewer.screenshot(canvas_only=True, flash=False)
    assert np.std(picture[..., :3]) > 10
    widget.end()
    widget.end()


@pytest.mark.parametrize(
    ("path", "model", "error"), [("no.svs", None, SlideNotFoundError), ("", "none", CheckpointError)]
)
def test_bad_input_opens_no_window(
    monkeypatch: pytest.MonkeyPatch, slide_path: Path, model_path: Path, path: str, model: str | None, error: type
) -> None:
    monkeypatch.setattr(napari, "Viewer", None)
    with pytest.raises(error):
        main_window.open_window(Path(path) if path else slide_path, None, model or model_path, SETTINGS)


def test_view_without_a_screen_says_so(monkeypatch: pytest.MonkeyPatch, slide_path: Path) -> None:
    monkeypatch.setattr(screen, "has_screen", lambda: False)
    with pytest.raises(ScreenError, match="no screen"):
        main_window.view(slide_path)


def test_the_sample_is_made_once_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sample_data.phantom_path, "__defaults__", (300.0, 7, None))
    ((levels, parameters, kind),) = sample_data.cytology_phantom()
    assert kind == "image"
    assert parameters["metadata"]["pathsrgan_slide"]["name"] == "Cytology phantom"
    assert levels[0].shape == (205, 205, 3)
    path = Path(parameters["metadata"]["pathsrgan_slide"]["path"])
    assert tmp_path in path.parents
    written = path.stat().st_mtime_ns
    sample_data.cytology_phantom()
    assert path.stat().st_mtime_ns == written
