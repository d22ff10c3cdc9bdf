"""The dock that shows the registrations in a pairs file, in a real viewer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import OptionError, SlideNotFoundError
from napari_pathsrgan.plugin.reader import get_reader
from napari_pathsrgan.plugin.registration.registration_widget import RegistrationWidget
from napari_pathsrgan.plugin.widgets import screen
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.cutting import open_scans, provenance
from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, PATCH_FIELDS
from napari_pathsrgan.registration.pairs import PairsFile, Planned, append
from napari_pathsrgan.slides.open_slide import open_slide


@pytest.fixture
def scan(tmp_path: Path, slide_path: Path) -> Path:
    folder = tmp_path / "slides"
    folder.mkdir()
    return Path(shutil.copy(slide_path, folder / "case-17.tiff"))


@pytest.fixture
def pairs_path(tmp_path: Path, scan: Path) -> Path:
    """Three slides: one scan against itself in two ways, and single images."""
    path = tmp_path / "pairs.zarr"

    def cut(_row: np.void) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lr, mr, hr = (np.full((side, side, 3), 200, np.uint8) for side in (LR_PX, MR_PX, HR_PX))
        return lr, mr, hr

    with open_slide(scan) as slide:
        for seed, name in enumerate(("case-17", "case-18", "drawn")):
            table = np.zeros(4, PATCH_FIELDS)
            table["row_um"], table["col_um"] = (100, 100, 500, 500), (200, 600, 200, 600)
            table["correlation"] = table["correlation_10x"] = (0.82, 0.9, 0.95, 0.99)
            for axis in ("row", "col"):
                table[f"offset_{axis}_um_20x"] = 10.0 * seed + np.arange(4)
            found = {
                "tried": 5, "rejected": {"second peak": 1}, "notes": ["Searched further."],
                "scans": dict.fromkeys(("4x", "10x", "20x"), "slides/case-17.tiff"),
            }  # fmt: skip
            made = provenance(slide, slide, slide, RegistrationConfig(seed=seed))
            made["fingerprints"]["other"] = name
            labels = np.full(4, "", np.str_)
            append(path, name, made, "train", lambda t=table, f=found, n=labels: Planned(t, n, f), cut, name == "drawn")
    return path


@pytest.fixture
def dock(make_napari_viewer: Callable[..., napari.Viewer], qtbot: QtBot, pairs_path: Path) -> RegistrationWidget:
    widget = RegistrationWidget(make_napari_viewer())
    qtbot.addWidget(widget)
    widget.show()
    assert "Open a pairs file" in widget.empty.text()
    widget.open(pairs_path)
    qtbot.waitUntil(lambda: len(widget.layers) == 4, timeout=30_000)
    return widget


def test_slides_are_shown_one_at_a_time_against_either_scan(dock: RegistrationWidget, qtbot: QtBot) -> None:
    assert [dock.slides.itemText(i) for i in range(dock.slides.count())] == ["case-17", "case-18", "drawn"]
    assert "4 of 5 patches with cells, for training" in dock.summary.text()
    assert "1 left out: second peak" in dock.summary.text()
    assert "Searched further." in dock.summary.text()
    first = dock.layers
    dock.slides.setCurrentIndex(1)
    qtbot.waitUntil(lambda: dock.layers is not first and len(dock.layers) == 4, timeout=30_000)
    assert list(dock.viewer.layers) == dock.layers
    assert "Offset 11.5 µm down" in dock.summary.text()
    second = dock.layers
    dock.powers.setCurrentIndex(1)
    qtbot.waitUntil(lambda: dock.layers is not second and len(dock.layers) == 4, timeout=30_000)
    assert "10×" in dock.layers[1].name
    assert dock.layers[1].visible
    dock.checkerboard.setChecked(False)
    assert not dock.layers[1].visible


def test_only_the_last_choice_is_shown(dock: RegistrationWidget, qtbot: QtBot) -> None:
    for index in (1, 0, 1, 0):
        dock.slides.setCurrentIndex(index)
    qtbot.waitUntil(lambda: dock.summary.text() != "Reading …", timeout=30_000)
    qtbot.wait(300)
    assert len(dock.viewer.layers) == 4
    assert "Offset 1.5 µm down" in dock.summary.text()


def test_pictures_without_scans_and_lost_scans_are_told(dock: RegistrationWidget, qtbot: QtBot, scan: Path) -> None:
    dock.slides.setCurrentIndex(2)
    qtbot.waitUntil(lambda: "made from single images" in dock.messages.text, timeout=30_000)
    assert len(dock.viewer.layers) == 0
    scan.unlink()
    dock.slides.setCurrentIndex(1)
    qtbot.waitUntil(lambda: "is not where it was registered" in dock.messages.text, timeout=30_000)
    dock.open(scan.parent)
    assert "slides is no pairs file" in dock.messages.text


def test_another_file_in_a_scans_place_is_refused(pairs_path: Path, scan: Path, other_slide_path: Path) -> None:
    pairs = PairsFile(pairs_path)
    with pytest.raises(OptionError, match="single images"):
        open_scans(pairs, 2, 20)
    shutil.copy(other_slide_path, scan)
    with pytest.raises(SlideNotFoundError, match="not the file any more"):
        open_scans(pairs, 0, 20)


def test_a_pairs_file_is_dropped_on_napari(
    make_napari_viewer: Callable[..., napari.Viewer], pairs_path: Path, scan: Path
) -> None:
    reader = get_reader(str(pairs_path))
    assert reader is not None
    layers = reader(str(pairs_path))
    assert [kind for _, _, kind in layers] == ["image", "image", "vectors", "points"]
    moved = pairs_path.parent / "moved"
    moved.mkdir()
    shutil.move(pairs_path, moved)
    shutil.move(scan.parent, moved)
    viewer = make_napari_viewer()
    viewer.open(moved / "pairs.zarr", plugin="napari-pathsrgan")
    assert len(viewer.layers) == 4
    viewer.layers.clear()


def test_the_command_line_shows_it(
    make_napari_viewer: Callable[..., napari.Viewer], qtbot: QtBot, pairs_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewers = []

    def make(title: str) -> napari.Viewer:
        viewers.append(make_napari_viewer(title=title))
        return viewers[0]

    monkeypatch.setattr(screen, "has_screen", lambda: True)
    monkeypatch.setattr(napari, "Viewer", make)
    monkeypatch.setattr(napari, "run", lambda: qtbot.waitUntil(lambda: len(viewers[0].layers) == 4, timeout=30_000))
    assert main(["view", str(pairs_path)]) == 0
    assert viewers[0].title == "pairs.zarr · PathSRGAN"


def test_a_pairs_file_of_another_version_opens_no_window(
    pairs_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    described = json.loads((pairs_path / "zarr.json").read_text())
    described["attributes"]["version"] = 99
    (pairs_path / "zarr.json").write_text(json.dumps(described))
    monkeypatch.setattr(screen, "has_screen", lambda: True)
    monkeypatch.setattr(napari, "Viewer", None)
    assert main(["view", str(pairs_path)]) == 2
    assert "version 99" in capsys.readouterr().err
