from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.plugin.crosses import scan_layer

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.compare.capture import draw_caption, write_capture
from napari_pathsrgan.plugin.compare.comparison import Comparison
from napari_pathsrgan.plugin.viewer.overview_map import show_measures


@pytest.fixture
def swiped(shared_viewer: Any, qtbot: Any) -> Iterator[Comparison]:
    shared_viewer.window.resize(1300, 500)
    shared_viewer.add_layer(scan_layer(1.465))
    second = scan_layer(0.293)
    second.name = "SR-20× computed · 293 nm per px"
    shared_viewer.add_layer(second)
    show_measures(shared_viewer)
    made = Comparison(shared_viewer)
    made.set_mode(modes.SWIPE)
    shared_viewer.scene.camera.center = (160.0, 160.0)  # empty background, and nothing else
    shared_viewer.scene.camera.zoom = 4.0
    qtbot.wait(100)
    yield made
    made.close()
    shared_viewer.layers.clear()


def test_a_capture_holds_labels_divider_and_scale_bar(
    shared_viewer: Any, swiped: Comparison, tmp_path: Path, qtbot: Any
) -> None:
    path = write_capture(shared_viewer, swiped.overlay, tmp_path / "figure")
    assert path == tmp_path / "figure.png"
    assert [one.name for one in tmp_path.iterdir()] == ["figure.png"]
    with Image.open(path) as file:
        assert round(file.info["dpi"][0]) == 300
        picture = np.asarray(file.convert("RGB")).astype(int)
    caption = draw_caption("not for diagnosis", picture.shape[1])
    np.testing.assert_array_equal(picture[-len(caption) :], caption)
    picture = picture[: -len(caption)]
    height, width = picture.shape[:2]
    row = picture[height // 2, :, 0]
    marked = np.flatnonzero(row != 235)  # the divider: dark, with a light core
    assert abs(marked - width / 2).max() <= 4
    assert row[marked].min() < 180 < row[marked].max()
    assert swiped.labels.lines[1][-1].endswith("nm per px")
    assert picture[8:30, 10:60].min() < 60  # a label in the left corner, and one in the right
    assert picture[8:30, width - 60 : width - 10].min() < 60
    assert picture[height - 40 :, width - 60 :].min() < 60  # the scale bar's box
    assert shared_viewer.canvas.overlays.text.visible  # as before, but not in the picture
    assert (picture[height - 30 : height - 15, 12:60].reshape(-1, 3) == 235).all()


def test_a_caption_names_the_slide_and_ends_within_the_image(qapp: Any) -> None:
    plain, named = draw_caption("not for diagnosis", 400), draw_caption("case-17 · not for diagnosis", 400)
    assert plain.shape == named.shape
    assert (plain != named).any()
    long = draw_caption("case-17 " * 40 + "· not for diagnosis", 400)
    assert long.shape == plain.shape
    np.testing.assert_array_equal(long[:, -4:], 255)
    assert long[:, 300:].min() < 100


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_failed_capture_is_a_sentence_and_leaves_what_was_there(
    shared_viewer: Any, swiped: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"before")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OutputError, match=r"figure.png can't be written: No space left on device\. Free some"):
        write_capture(shared_viewer, swiped.overlay, path)
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["figure.png"]
    monkeypatch.undo()
    with pytest.raises(OutputError, match="No such file"):
        write_capture(shared_viewer, swiped.overlay, tmp_path / "nowhere" / "figure.png")
