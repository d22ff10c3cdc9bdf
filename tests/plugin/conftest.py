"""Slides, models and windows to test with.

Starting the inference process costs seconds, computing next to nothing: tests that don't end it share one.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import napari
import numpy as np
import platformdirs
import psutil
import pytest
import tifffile
from app_model import Application
from napari._app_model._app import NapariApplication, _napari_names
from napari._qt._qapp_model.qactions import init_qactions
from napari.plugins import _initialize_plugins
from qtpy.QtCore import QEvent

from napari_pathsrgan.inference import tile_service
from napari_pathsrgan.inference.process import InferenceProcess, WorkerStatus
from napari_pathsrgan.inference.tile_service import ComputeSettings
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.plugin.viewer.super_resolution_widget import SuperResolutionWidget
from napari_pathsrgan.review.design import Design, PatchSet
from napari_pathsrgan.review.key import Key, new_key_path
from napari_pathsrgan.review.study import write_study

PATIENCE_S = 180.0
"""Far more than anything here takes on a busy machine: a test that waits so long has failed."""


@pytest.fixture(scope="session", autouse=True)
def quick_collections(model_path: Path) -> None:
    """Spare the garbage collector torch's and napari's own objects: napari's fixture runs it several times a test."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count processes, threads and buffers first, while there is no process that tests share."""
    items.sort(key=lambda item: item.path.name != "test_lifetime.py")


@pytest.fixture(scope="module", autouse=True)
def no_window_of_the_last_module() -> None:
    """Collect the window that a module shared: napari's fixture takes it for a leak, and pytest held it until now."""
    gc.collect()


# ---------------------------------------------------------------------- files


def draw_smear(rows: int, cols: int, seed: int = 3) -> np.ndarray:
    """(rows, cols, 3) uint8: soft, dark blobs on bright, empty background."""
    rng = np.random.default_rng(seed)
    density = np.zeros((rows, cols), np.float32)
    for _ in range(rows * cols // 6000):
        row, col, radius = rng.uniform(0, rows * 0.8), rng.uniform(0, cols * 0.8), rng.uniform(3, 20)
        top, left = max(0, int(row - 3 * radius)), max(0, int(col - 3 * radius))
        bottom, right = min(rows, int(row + 3 * radius)), min(cols, int(col + 3 * radius))
        y, x = np.mgrid[top:bottom, left:right]
        density[top:bottom, left:right] += np.exp(-((y - row) ** 2 + (x - col) ** 2) / radius**2)
    light = np.exp(-np.minimum(density, 2.0))[..., None] * np.array([230, 225, 235], np.float32)
    return np.clip(light + rng.normal(0, 0.5, light.shape), 0, 255).astype(np.uint8)


def write_slide(path: Path, image: np.ndarray, mpp: float | None = 1.465, power: int = 4) -> Path:
    """Write a pyramid that OpenSlide takes for an Aperio slide; without mpp for a generic TIFF that lacks it."""
    levels = [image, image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]]
    levels[1] = levels[1].reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    rows, cols = image.shape[:2]
    with tifffile.TiffWriter(path) as file:
        for level, pixels in enumerate(levels):
            size = f"{cols}x{rows} [0,0 {pixels.shape[1]}x{pixels.shape[0]}] (256x256)"
            text = None if mpp is None else f"Aperio Image Library\n{size} JPEG/RGB Q=90|AppMag = {power}|MPP = {mpp}"
            file.write(
                pixels,
                subfiletype=min(level, 1),
                description=text,
                metadata=None,
                tile=(256, 256),
                photometric="rgb",
                compression="deflate",
            )
    return path


def write_model(path: Path, lift: float, **card: Any) -> Path:
    """Write a tiny model whose pictures are the bicubic ones made brighter by `lift` (0 to 1), and a little noisier."""
    import torch

    from napari_pathsrgan.models.build import build_generator
    from napari_pathsrgan.models.checkpoint import save_generator

    torch.manual_seed(0)
    options = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}
    network = build_generator("lite", **options)
    with torch.no_grad():
        for stage in (network.stage1, network.stage2):
            for name, tensor in stage.picture.named_parameters():
                (tensor.fill_(lift) if name.endswith("bias") else tensor.mul_(0.5))
    settings = {"name": path.stem, "preset": "lite", "preset_options": options, "halo_lr_px": 16, **card}
    save_generator(network, ModelCard(**settings), path)
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugin")


@pytest.fixture(scope="session")
def slide_path(folder: Path) -> Path:
    return write_slide(folder / "case-17.svs", draw_smear(1200, 1500))


@pytest.fixture(scope="session")
def other_slide_path(folder: Path) -> Path:
    return write_slide(folder / "case-18.svs", draw_smear(700, 800, seed=5))


@pytest.fixture(scope="session")
def model_path(folder: Path) -> Path:
    return write_model(folder / "tiny.safetensors", lift=-0.08)


@pytest.fixture(scope="session")
def other_model_path(folder: Path) -> Path:
    return write_model(folder / "other.safetensors", lift=0.08)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache, settings and models out of the tests."""
    for variable in ("PATHSRGAN_CACHE", "PATHSRGAN_MODELS"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    for name in ("user_cache_path", "user_config_path", "user_data_path"):
        monkeypatch.setattr(platformdirs, name, lambda *_, name=name, **__: tmp_path / name)


# ---------------------------------------------------------------------- the process


class Lease:
    """An `InferenceProcess` that a session may use and close, while the process itself goes on for the next test."""

    def __init__(self, owner: InferenceProcess) -> None:
        self._owner = owner
        self.runs = 0
        self.closed = False

    @property
    def status(self) -> WorkerStatus:
        return self._owner.status

    @property
    def pid(self) -> int | None:
        return self._owner.pid

    @property
    def precision(self) -> str:
        return self._owner.precision

    def load(self, model: Path) -> Future[Any]:
        return self._owner.load(model)

    def submit(self, *arguments: Any) -> Future[Any]:
        self.runs += 1
        return self._owner.submit(*arguments)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="session")
def running_process() -> Iterator[InferenceProcess]:
    process = InferenceProcess("cpu", "fp32", threads=1)
    yield process
    process.close()


@pytest.fixture
def shared_process(running_process: InferenceProcess, monkeypatch: pytest.MonkeyPatch) -> list[Lease]:
    """Let sessions share one process; gives the leases taken."""
    leases: list[Lease] = []

    def lend(*_: Any, **__: Any) -> Lease:
        leases.append(Lease(running_process))
        return leases[-1]

    monkeypatch.setattr(tile_service, "InferenceProcess", lend)
    return leases


def worker_pids() -> set[int]:
    """Inference processes that this one started."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if "napari_pathsrgan.inference.worker" in " ".join(child.cmdline()):
                found.add(child.pid)
        except psutil.Error:
            continue
    return found


# ---------------------------------------------------------------------- the window


class Window:
    """A viewer with the dock, and what a test does with them."""

    def __init__(self, viewer: Any, dock: SuperResolutionWidget, qtbot: Any) -> None:
        self.viewer, self.dock, self.qtbot = viewer, dock, qtbot

    @property
    def session(self) -> Any:
        return self.dock.session

    @property
    def shown(self) -> Any:
        """The only slide there is."""
        (shown,) = self.session.slides.values()
        return shown

    def view(self, name: str) -> tuple[Any, Any]:
        """Layer and view of the kind whose title begins so."""
        return next(pair for kind, pair in self.shown.views.items() if kind.title.startswith(name))

    def until(self, condition: Callable[[], Any]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=int(PATIENCE_S * 1000))

    def open(self, path: Path) -> Any:
        (layer,) = self.viewer.open(str(path), plugin="napari-pathsrgan")
        self.settle()
        return layer

    def close_dock(self) -> None:
        """Close the dock as napari does; nothing to do where a test has done so."""
        if not self.dock._ended:
            self.viewer.window.remove_dock_widget(self.dock)

    def settle(self, seconds: float = 0.15) -> None:
        """Let timers run and the canvas draw."""
        self.qtbot.wait(int(seconds * 1000))

    def look(self, row_um: float, col_um: float, um_per_px: float) -> None:
        self.viewer.scene.camera.center = (row_um, col_um)
        self.viewer.scene.camera.zoom = 1 / um_per_px
        self.settle()

    def wait_sharp(self) -> None:
        def sharp() -> bool:
            ready, wanted = self.session.progress()
            return wanted > 0 and ready == wanted

        self.until(sharp)
        self.settle()
        self.until(sharp)

    def wait_quiet(self) -> None:
        """Wait until nothing is left to do, what is fetched ahead included."""
        scheduler = self.session.compute.service.scheduler
        self.until(lambda: not scheduler._queue() and not scheduler._running)
        self.settle(0.4)

    def drawn(self, layer: Any) -> tuple[int, slice, slice, np.ndarray]:
        """What a layer shows: level of its data, rows, columns and pixels."""
        corners = layer.corner_pixels
        rows, cols = (slice(int(corners[0, axis]), int(corners[1, axis]) + 1) for axis in (0, 1))
        return layer.data_level, rows, cols, np.asarray(layer._slice.image.raw)


@pytest.fixture(scope="module")
def shared_viewer(qapp: Any) -> Iterator[Any]:
    """One napari window for the tests of a module, each with a dock of its own: making one costs a second.

    With an application model of its own, as napari's `make_napari_viewer` has it, so that the two get along.
    """
    caches = (init_qactions, _initialize_plugins)
    model = NapariApplication("pathsrgan-tests")
    model.injection_store.namespace = _napari_names
    with patch.object(NapariApplication, "get_app_model", return_value=model):
        for cache in caches:
            cache.cache_clear()
        viewer = napari.Viewer(show_welcome_screen=False)
        yield viewer
        with patch.object(viewer.window._qt_window, "_save_current_window_settings"):
            viewer.close()
        qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)  # docks that were closed go now, not in some loop
        qapp.processEvents()
        del viewer
        gc.collect()
    # Its menus belong to the closed window: each change told to them fails, at the price of a look at the whole stack.
    with model.menus.menus_changed.blocked():
        Application.destroy("pathsrgan-tests")
    for cache in caches:
        cache.cache_clear()


def add_dock(viewer: Any, qtbot: Any, model: str | Path, cache_folder: Path | None, **settings: Any) -> Window:
    """Put our dock into a viewer; no disk cache unless asked for."""
    chosen = ComputeSettings(**{"device": "cpu", "precision": "fp32", **settings, "cache_folder": cache_folder})
    dock = SuperResolutionWidget(viewer, chosen, model)
    viewer.window.add_dock_widget(dock, name="Super-resolution", area="right")
    window = Window(viewer, dock, qtbot)
    window.settle(0.05)
    return window


@pytest.fixture
def make_window(shared_viewer: Any, qtbot: Any, model_path: Path) -> Iterator[Callable[..., Window]]:
    """Make a dock in the module's window, and open a slide."""
    made: list[Window] = []
    shared_viewer.window.resize(1300, 500)

    def make(path: Path | None = None, cache_folder: Path | None = None, **settings: Any) -> Window:
        window = add_dock(shared_viewer, qtbot, model_path, cache_folder, **settings)
        made.append(window)
        if path is not None:
            window.open(path)
        return window

    yield make
    for window in made:
        window.close_dock()
    shared_viewer.layers.clear()


@pytest.fixture
def make_own_window(make_napari_viewer: Any, qtbot: Any, model_path: Path) -> Callable[..., Window]:
    """Make a window of one's own, for tests of how it ends; in modules without `make_window`."""

    def make(path: Path, show: bool = True, cache_folder: Path | None = None) -> Window:
        window = add_dock(make_napari_viewer(show=show), qtbot, model_path, cache_folder)
        window.open(path)
        return window

    return make


def eventually(condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> bool:
    """Wait for something outside the window."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# ---------------------------------------------------------------------- reviews

REVIEW_METHODS = ("bicubic", "lite", "paper", "real")


@pytest.fixture(autouse=True)
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the organiser's keys: none of a test's go among the user's."""
    monkeypatch.setenv("PATHSRGAN_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture
def make_review(tmp_path: Path, key_folder: Path) -> Callable[..., tuple[Path, Key]]:
    """Write a review of so many fields, each the rougher, the further back in the alphabet the method is."""

    def fields(side: int) -> Iterator[PatchSet]:
        for number in itertools.count():
            rough = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
            blurs = [cv2.GaussianBlur(rough, (0, 0), 0.3 + 1.5 * (3 - rank)) for rank in range(4)]
            yield PatchSet(f"field-{number}", dict(zip(REVIEW_METHODS, blurs, strict=True)))

    def make(patches: int = 5, side: int = 32, **options: Any) -> tuple[Path, Key]:
        path = tmp_path / "study.review"
        design = Design(**{"patches": patches, "repeats": 2, "warm_up": 1, "anchors": 1, **options})
        return path, write_study(path, new_key_path(path), design, fields(side), ("bicubic", "real"))

    return make
