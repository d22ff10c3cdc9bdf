"""The demo as a user without a screen runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from ome_zarr_models.v05 import Image as OMEImage
from PIL import Image

from napari_pathsrgan.errors import OutputError, ScreenError
from napari_pathsrgan.plugin import demo
from napari_pathsrgan.plugin.widgets import screen

from .conftest import eventually

DEMO = """
import json, sys
from pathlib import Path
from napari_pathsrgan.plugin.demo import run_demo
said = []
written = run_demo(Path(sys.argv[1]), said.append, size_um=500)
print(json.dumps({"said": said, "written": [str(path) for path in written]}))
"""


def helpers() -> set[int]:
    """Virtual screens and inference processes of this machine."""
    found = set()
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        if "Xvfb" in words or "napari_pathsrgan.inference.worker_start" in words:
            found.add(process.pid)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux runs without a screen")
def test_without_a_screen_it_shows_three_panes_on_a_virtual_one(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-c", DEMO, str(out)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    family: set[int] = set()

    def note_family() -> bool:
        try:
            family.update(child.pid for child in psutil.Process(running.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return True
        return running.poll() is not None

    assert eventually(note_family, 300)
    told, complaints = running.communicate()
    assert running.returncode == 0, complaints
    record = json.loads(told.splitlines()[-1])
    assert "on a virtual screen" in record["said"][1]
    assert [Path(path).name for path in record["written"]] == [
        "4x.tiff",
        "panes.png",
        "window.png",
        "visited.ome.zarr",
    ]
    with Image.open(out / "panes.png") as panes:
        width, height = panes.size
        assert width > 900
        assert len(panes.convert("RGB").crop((10, 60, width // 3, height - 60)).getcolors(10**7)) > 500
    image = OMEImage.from_zarr(__import__("zarr").open_group(out / "visited.ome.zarr", mode="r"))
    assert image.attributes.ome.multiscales[0].datasets
    assert len(family) >= 2  # the virtual screen and the inference process
    assert eventually(lambda: not family & helpers(), 10)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        demo.run_demo(tmp_path)


def test_without_any_screen_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "has_screen", lambda: False)
    monkeypatch.setattr(screen.shutil, "which", lambda _: None)
    out = tmp_path / "demo"
    with pytest.raises(ScreenError, match="xvfb"):
        demo.run_demo(out, lambda _: None)
    assert not out.exists()


def test_a_demo_that_cannot_begin_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "has_screen", lambda: True)

    def fail(*_: object, **__: object) -> None:
        raise OutputError("The disk is full.", "Free some space.")

    monkeypatch.setattr(demo, "write_phantom", fail)
    with pytest.raises(OutputError, match="full"):
        demo.run_demo(tmp_path / "demo", lambda _: None)
    assert not (tmp_path / "demo").exists()
