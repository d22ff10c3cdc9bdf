"""OpenVINO gives torch's pixels, for every network, window and thread."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pathsrgan.errors import DeviceError, MissingPartError
from napari_pathsrgan.inference import openvino_network
from napari_pathsrgan.inference.engine import Engine, load_model
from napari_pathsrgan.inference.execution import Execution
from napari_pathsrgan.inference.process import InferenceProcess
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .networks import TINY, lively, write_tiny_model
from .specimens import BACKGROUND, specimen, texture, write_slide

PATIENCE_S = 60
HALO = 32


def pair(preset: str, **options: int) -> tuple[Engine, Engine]:
    """The same network in OpenVINO and in torch."""
    card = ModelCard(name=preset, preset=preset)
    computed, wanted = (
        Engine(lively(preset, **options), card, "cpu", "fp32", backend) for backend in ("openvino", "torch")
    )
    assert computed.execution == Execution("openvino", "fp32")
    return computed, wanted


def assert_same(computed: np.ndarray, wanted: np.ndarray) -> None:
    """Within a grey level on 99.9 % of the values."""
    assert computed.shape == wanted.shape
    assert wanted.std() > 20
    assert np.mean(np.abs(computed.astype(int) - wanted.astype(int)) > 1) <= 1e-3


@pytest.mark.parametrize(
    ("preset", "options"),
    [("lite", {}), ("paper", {"width": 16}), ("paper", {"width": 8, "bicubic_skip": True}), ("authors", {})],
    ids=["lite", "paper", "paper with skip", "authors"],
)
def test_it_gives_torchs_pictures_at_any_size(preset: str, options: dict[str, int]) -> None:
    computed, wanted = pair(preset, **options)
    for shape in ((40, 56), (33, 21), (16, 72)):
        window = texture(*shape)
        for picture, exact in zip(computed.apply(window), wanted.apply(window), strict=True):
            assert_same(picture, exact)
        mr, hr, _ = computed.run(window, 1)
        assert hr is None
        assert_same(mr, wanted.run(window, 1)[0])


def test_a_tile_alone_equals_the_same_pixels_of_one_big_pass() -> None:
    computed, _ = pair("lite")
    image = texture(112, 112)
    _, whole = computed.apply(image)
    _, alone, _ = computed.run(image[8:104, 8:104], 2, halo=HALO)
    assert_same(alone, whole[4 * 40 : 4 * 72, 4 * 40 : 4 * 72])
    _, among_others, _ = computed.run(image, 2, halo=24)
    assert np.array_equal(alone, among_others[4 * 16 : 4 * 48, 4 * 16 : 4 * 48])
    _, cells, _ = computed.run(specimen(64, 128), 2, BACKGROUND)
    assert cells.shape == (256, 512, 3)


def test_threads_get_their_own_pictures_which_last() -> None:
    computed, wanted = pair("lite", **TINY)
    windows = [texture(24 + 8 * (seed % 3), 32, seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(computed.apply, windows))
    for window, (_, hr) in zip(windows, pictures, strict=True):
        assert_same(hr, wanted.apply(window)[1])


def test_windows_computed_at_once_by_a_share_of_the_threads_each_are_the_same(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with open_slide(write_slide(tmp_path / "slide.tiff", specimen(420, 420))) as slide:
            one = super_resolve(slide, pair("lite", **TINY)[0])
            write_whole_slide(one, tmp_path / "out.ome.zarr")
            store = PyramidStore.open(tmp_path / "out.ome.zarr")
            for level in (0, 1):
                written = np.moveaxis(np.asarray(store.array(level)[:]), 0, -1)
                assert np.abs(written.astype(int) - one.levels[level].compute()).max() <= 1
    finally:
        torch.set_num_threads(before)


def test_the_inference_process_takes_it(tmp_path: Path) -> None:
    model, window = write_tiny_model(tmp_path / "tiny.safetensors"), texture(32, 40)
    process = InferenceProcess("cpu", "fp32", "openvino", threads=1)
    try:
        computed = process.submit(model, window, 2, None, 8).result(PATIENCE_S)
        assert (process.status.backend, process.status.precision) == ("openvino", "fp32")
    finally:
        process.close()
    assert computed is not None
    wanted = load_model(model, "cpu", "fp32").run(window, 2, halo=8)
    for picture, exact in zip(computed[:2], wanted[:2], strict=True):
        assert_same(picture, exact)


def test_it_tells_its_makers_nothing() -> None:
    script = (
        "import sys\n"
        "from napari_pathsrgan.inference.openvino_network import precisions\n"
        "assert 'fp32' in precisions()\n"
        "import openvino.tools.ovc.telemetry_utils as telemetry\n"
        "assert telemetry.tm.__name__.endswith('telemetry_stub'), telemetry.tm\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_where_it_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert openvino_network.precisions() == ()
    with pytest.raises(MissingPartError, match=r"not installed.*openvino"):
        Engine(lively("lite", **TINY), ModelCard(name="x", preset="lite"), "cpu", "auto", "openvino")


def test_a_precision_that_it_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_network, "precisions", lambda: ("fp32",))
    for precision in ("bf16", "fp16"):
        with pytest.raises(DeviceError, match=f"no fast {precision}"):
            Engine(lively("lite", **TINY), ModelCard(name="x", preset="lite"), "cpu", precision, "openvino")


def test_it_leaves_the_threads_signals_alone() -> None:
    script = (
        "import os, signal, gc\n"
        "from napari_pathsrgan.inference.engine import load_model\n"
        "import numpy\n"
        "window = numpy.zeros((96, 96, 3), numpy.uint8)\n"
        "for _ in range(3):\n"
        "    engine = load_model('lite', 'cpu', 'fp32', 'openvino')\n"
        "    engine.run(window, 2, halo=16)\n"
        "    del engine\n"
        "    gc.collect()\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('taken'))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "taken\n"
