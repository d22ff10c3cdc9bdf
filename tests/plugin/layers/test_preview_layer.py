"""What napari's own menus, and whoever else asks, get of our layers: exact pixels, or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import napari.layers._layer_actions as actions
import numpy as np
import pytest
import tifffile
from napari.layers import Image
from tests.plugin.conftest import Window, draw_smear, write_slide

from napari_pathsrgan.errors import LayerTooLargeError
from napari_pathsrgan.plugin.compare import modes
from napari_pathsrgan.plugin.layers.names import safe_name

pytestmark = pytest.mark.usefixtures("shared_process")
KINDS = ("SR-10", "SR-20")


@pytest.fixture(scope="session")
def small_slide_path(folder: Path) -> Path:
    return write_slide(folder / "small.v2.svs", draw_smear(150, 170, seed=7))


@pytest.fixture
def window(make_window: Callable[..., Window], small_slide_path: Path) -> Window:
    """A slide of which nothing is sharp, and nothing gets sharp."""
    window = make_window()
    window.session.compute.set_paused(True)
    window.open(small_slide_path)
    return window


@pytest.fixture
def exact(window: Window) -> list[np.ndarray]:
    return [level.compute() for level in window.shown.super_resolved.levels]


def menu(window: Window, action: Callable[..., None], layer: Any) -> list[Any]:
    """Do to a layer what a menu of napari's does; gives the layers that came of it."""
    layers = window.viewer.layers
    before = list(layers)
    layers.selection = {layer}
    action(layers)
    return [layer for layer in layers if layer not in before]


def test_a_layers_data_are_exact_while_napari_draws_its_previews(window: Window, exact: list[np.ndarray]) -> None:
    for first, name in ((1, "SR-10"), (0, "SR-20")):
        layer, view = window.view(name)
        view.draw(first, slice(0, 300), slice(0, 300))
        for level, pixels in zip(layer.data, exact[first:], strict=True):
            np.testing.assert_array_equal(level, pixels)
        np.testing.assert_array_equal(np.asarray(layer.data), exact[first])
        assert np.abs(np.asarray(layer.data[0].preview).astype(int) - exact[first]).mean() > 3


def test_drawing_takes_previews_and_computes_nothing(window: Window, shared_process: Any) -> None:
    layer, view = window.view("SR-20")
    window.look(100, 100, 0.3)
    level, rows, cols, drawn = window.drawn(layer)
    assert level == 0, "napari slices in another way than `live_layer` knows"
    assert view.requested, "napari no longer draws from the previews of a `PreviewImage`"
    np.testing.assert_array_equal(drawn, view.compose(0, rows, cols))
    layer.locked_data_level = 1
    window.settle()
    np.testing.assert_array_equal(layer._slice.image.raw, view.compose(1, slice(0, 10_000), slice(0, 10_000)))
    assert shared_process[-1].runs == 0


@pytest.mark.parametrize("name", KINDS)
def test_duplicates_copies_channels_and_levels_are_exact(window: Window, exact: list[np.ndarray], name: str) -> None:
    layer = window.view(name)[0]
    pixels = exact[KINDS.index("SR-20") - KINDS.index(name) :]
    (duplicate,) = menu(window, actions._duplicate_layer, layer)
    (level,) = menu(window, lambda layers: actions._extract_multiscale_level_from_selection(layers, 1), layer)
    channels = menu(window, actions._split_rgb, layer)
    np.testing.assert_array_equal(duplicate.data[0], pixels[0])
    np.testing.assert_array_equal(duplicate.data[1], pixels[1])
    np.testing.assert_array_equal(level.data, pixels[1])
    assert len(channels) == 3
    for number, channel in enumerate(channels):
        np.testing.assert_array_equal(channel.data[0], pixels[0][..., number])
    assert not any(type(made) is type(layer) for made in (duplicate, level, *channels))


def test_projections_stacks_and_other_widgets_get_exact_pixels(window: Window, exact: list[np.ndarray]) -> None:
    layer = window.view("SR-20")[0]
    np.testing.assert_array_equal(np.stack([layer.data[1], copy(layer).data[1]])[1], exact[1])
    np.testing.assert_array_equal(np.max(layer.data[1], axis=0), exact[1].max(axis=0))
    np.testing.assert_array_equal(np.asarray(Image(layer.data[0]).data[10:20, 30:50]), exact[0][10:20, 30:50])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_saved_layer_is_its_finest_level(
    window: Window, exact: list[np.ndarray], tmp_path: Path, name: str, suffix: str
) -> None:
    layer = window.view(name)[0]
    (path,) = layer.save(str(tmp_path / f"saved.{suffix}"))
    from imageio.v3 import imread

    np.testing.assert_array_equal(imread(path), exact[KINDS.index("SR-20") - KINDS.index(name)])


def test_all_layers_are_saved_under_their_names_and_labels_beside_them(
    window: Window, exact: list[np.ndarray], tmp_path: Path
) -> None:
    for layer in list(window.viewer.layers):
        window.viewer.layers.selection = {layer}
        window.viewer._new_labels()
        window.viewer.layers[-1].data[3, 4] = 5
    names = {layer.name for layer in window.viewer.layers}
    written = window.viewer.layers.save(str(tmp_path / "all"))
    assert {Path(path).name for path in written} == {f"{name}.tif" for name in names}
    files = {path.stem: tifffile.imread(path) for path in (tmp_path / "all").iterdir()}
    computed = {name: pixels for name, pixels in files.items() if name.endswith("px") and name.startswith("SR")}
    for name, pixels in computed.items():
        np.testing.assert_array_equal(pixels, exact[0 if name.startswith("SR-20") else 1])
        assert files[f"{name} - Labels"].shape == pixels.shape[:2]
        assert files[f"{name} - Labels"][3, 4] == 5
    assert len(computed) == 2


def test_the_scan_is_saved_copied_and_split_as_it_was_scanned(
    window: Window, small_slide_path: Path, tmp_path: Path
) -> None:
    (layer,) = window.session.slides
    scanned = tifffile.imread(small_slide_path)
    (path,) = layer.save(str(tmp_path / "scan.tif"))
    np.testing.assert_array_equal(tifffile.imread(path), scanned)
    (duplicate,) = menu(window, actions._duplicate_layer, layer)
    np.testing.assert_array_equal(duplicate.data[0], scanned)
    window.settle()
    assert list(window.session.slides) == [layer]  # a copy is no slide of its own
    channels = menu(window, actions._split_rgb, layer)
    np.testing.assert_array_equal(channels[2].data[0], scanned[..., 2])
    window.settle()
    assert not window.session.slides


def test_the_difference_is_saved_and_made_into_labels_exact_whatever_is_drawn(window: Window, tmp_path: Path) -> None:
    window.dock.comparison.set_mode(modes.DIFFERENCE)
    window.settle()
    difference = window.dock.comparison.derived
    drawn = np.asarray(difference.data[0].preview)
    (path,) = difference.save(str(tmp_path / "difference.tif"))
    saved = tifffile.imread(path)
    np.testing.assert_array_equal(saved, np.asarray(difference.data[0]))
    with pytest.warns(UserWarning, match="projection mode"):
        (labels,) = menu(window, actions._convert_to_labels, difference)
    np.testing.assert_array_equal(labels.data, saved)
    assert saved.shape == drawn.shape
    assert saved.mean() > drawn.mean() + 3  # which compares the scan with an enlargement of itself


@pytest.mark.parametrize("action", ["duplicate", "split", "save", "save all"])
def test_what_is_too_large_is_refused_in_a_sentence_and_nothing_has_changed(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr("napari_pathsrgan.plugin.layers.computed_layer.LARGEST_READ_PX", 2**10)
    layer = window.view("SR-20")[0]
    before = list(window.viewer.layers)
    doing: dict[str, Callable[[], Any]] = {
        "duplicate": lambda: menu(window, actions._duplicate_layer, layer),
        "split": lambda: menu(window, actions._split_rgb, layer),
        "save": lambda: layer.save(str(tmp_path / "saved.tif")),
        "save all": lambda: window.viewer.layers.save(str(tmp_path / "all")),
    }
    with pytest.raises(LayerTooLargeError, match="export the slide"):
        doing[action]()
    assert list(window.viewer.layers) == before
    assert not list(tmp_path.glob("*.tif"))
    assert not (tmp_path / "all").exists()


def test_a_scan_too_large_for_memory_is_refused(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_pathsrgan.plugin.layers.preview_layer.LARGEST_COPY_PX", 2**10)
    (layer,) = window.session.slides
    with pytest.raises(LayerTooLargeError, match="150 × 170 px"):
        np.asarray(layer.data)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "v1.2", "CON: x?", "a\nb", "x" * 300, " .hidden. "])
def test_names_from_elsewhere_are_fit_for_files(name: str, tmp_path: Path) -> None:
    safe = safe_name(name)
    assert not set(safe) & set('<>:"/\\|?*.\n')
    (tmp_path / f"{safe} · SR-20× computed.tif").write_bytes(b"")


def test_no_name_of_our_layers_holds_what_a_file_name_cannot(window: Window, small_slide_path: Path) -> None:
    window.open(small_slide_path)  # with two slides there, names begin with the slide's: small.v2
    names = [layer.name for layer in window.viewer.layers]
    assert any(name.startswith("small-v2 · ") for name in names)
    assert not any(set(name) & set('<>:"/\\|?*.') for name in names)
