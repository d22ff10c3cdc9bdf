"""An int8 preview is near the exact picture, says how near, and is never taken for it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import DeviceError, MissingPartError, StoreMismatchError
from napari_pathsrgan.inference.cell_windows import calibration_windows
from napari_pathsrgan.inference.engine import Engine, load_model
from napari_pathsrgan.inference.execution import Execution, resume_execution
from napari_pathsrgan.inference.int8 import CHECKED_ONE_IN, Deviation
from napari_pathsrgan.inference.process import InferenceProcess, ProcessModel
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.tiles.product import Product

from .networks import TINY, lively, write_tiny_model
from .specimens import specimen, texture, write_slide

PATIENCE_S = 120
HALO = 16


@pytest.fixture(scope="module")
def preview() -> Engine:
    return load_model("lite", "cpu", "int8")


@pytest.fixture(scope="module")
def exact() -> Engine:
    return load_model("lite", "cpu", "fp32")


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one.astype(int) - other.astype(int))


def test_it_is_near_the_exact_picture_and_not_it(preview: Engine, exact: Engine) -> None:
    assert preview.execution == Execution("openvino", "int8")
    window = specimen(128, 128, cells_end=1.0)
    for picture, true in zip(preview.run(window, 2, halo=HALO)[:2], exact.run(window, 2, halo=HALO)[:2], strict=True):
        off = apart(picture, true)
        assert 0 < np.sqrt((off**2).mean()) < 4
        assert np.percentile(off, 99.9) < 25


def test_a_tile_alone_equals_the_same_pixels_of_one_big_pass(preview: Engine) -> None:
    image = specimen(192, 192, cells_end=1.0)
    _, whole, _ = preview.run(image, 2, halo=HALO)
    _, alone, _ = preview.run(image[64:128, 64:160], 2, halo=HALO)
    assert (apart(alone, whole[4 * 64 : 4 * 96, 4 * 64 : 4 * 128]) <= 1).mean() >= 0.999


def test_it_is_the_same_wherever_it_is_loaded(preview: Engine) -> None:
    window = texture(96, 96)
    again = load_model("lite", "cpu", "int8")
    for one, other in zip(preview.run(window, 2, halo=HALO)[:2], again.run(window, 2, halo=HALO)[:2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_how_far_it_is_off_is_told_from_windows_computed_twice() -> None:
    computed = load_model("lite", "cpu", "int8")
    true = load_model("lite", "cpu", "fp32")
    assert computed.deviation is not None
    windows = [specimen(96, 96, cells_end=1.0, seed=seed) for seed in range(CHECKED_ONE_IN + 3)]
    pictures = [computed.run(window, 2, halo=HALO).hr for window in windows[:2]]
    assert str(computed.deviation) != ""
    off = apart(pictures[1], true.run(windows[1], 2, halo=HALO).hr)
    assert computed.deviation.largest == off.max()
    assert computed.deviation.rms == pytest.approx(np.sqrt((off**2).mean()))
    assert str(computed.deviation) == f"off by {computed.deviation.rms:.1f} grey levels (RMS), {off.max()} at most"
    before = computed.deviation.rms
    for window in windows[2:]:
        computed.run(window, 2, halo=HALO)
    assert computed.deviation.rms != before  # the next one was compared as well


def test_deviation_by_hand() -> None:
    deviation = Deviation()
    assert (str(deviation), deviation.rms) == ("", 0.0)
    deviation.note(np.array([[0, 255]], np.uint8), np.array([[3, 251]], np.uint8))
    assert deviation.largest == 4
    assert deviation.rms == pytest.approx(np.sqrt((9 + 16) / 2))
    deviation.note(np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.uint8))
    assert deviation.rms == pytest.approx(np.sqrt(25 / 4))
    assert [Deviation().is_due() for _ in range(3)] == [False] * 3
    assert [deviation.is_due() for _ in range(CHECKED_ONE_IN + 2)] == [
        number in (1, CHECKED_ONE_IN + 1) for number in range(CHECKED_ONE_IN + 2)
    ]


def test_exact_engines_compare_nothing(exact: Engine) -> None:
    assert exact.deviation is None


def test_its_pixels_are_nobody_elses(preview: Engine, exact: Engine, tmp_path: Path) -> None:
    assert preview.product == exact.product._replace(precision="int8")
    with open_slide(write_slide(tmp_path / "case.svs", specimen(60, 60))) as slide:
        super_resolve(slide, preview).export(tmp_path / "case.ome.zarr")
        with pytest.raises(StoreMismatchError):
            super_resolve(slide, exact).export(tmp_path / "case.ome.zarr")
    store = PyramidStore.open(tmp_path / "case.ome.zarr")
    assert "int8 preview" in store.identity.model_name
    assert resume_execution(tmp_path / "case.ome.zarr", "auto", "auto") == ("openvino", "int8")
    with pytest.raises(StoreMismatchError, match="begun in int8"):
        resume_execution(tmp_path / "case.ome.zarr", "auto", "fp32")


def test_it_is_taken_only_where_it_is_named() -> None:
    card = ModelCard(name="x", preset="lite")
    for backend in ("auto", "openvino", "torch"):
        assert Engine(lively("lite", **TINY), card, "cpu", "auto", backend).precision != "int8"
    with pytest.raises(DeviceError, match="Only OpenVINO computes in int8"):
        Engine(lively("lite", **TINY), card, "cpu", "int8", "torch")


def test_without_what_it_takes_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingPartError, match=r"NNCF.*not installed.*openvino"):
        Engine(lively("lite", **TINY), ModelCard(name="x", preset="lite"), "cpu", "int8")


def test_the_inference_process_tells_how_far_it_is_off(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.safetensors")
    process = InferenceProcess("cpu", "int8", threads=1)
    try:
        runner = ProcessModel(process, model)
        assert runner.product == Product("computed", runner.card.weights_hash, "int8")
        for seed in range(2):
            runner.submit(texture(64, 64, seed), 2, None, 16).result(PATIENCE_S)
        assert process.status.precision == "int8"
        assert process.status.deviation.startswith("off by")
    finally:
        process.close()


def test_calibration_windows_are_sharper_than_any_scan() -> None:
    windows = calibration_windows()
    assert all(window.shape == (1, 3, 128, 128) and window.dtype == np.float32 for window in windows)
    assert all(window.min() >= 0 and window.max() <= 1 for window in windows)
    for one, other in zip(windows, calibration_windows(), strict=True):
        np.testing.assert_array_equal(one, other)
    steps = max(np.abs(np.diff(window, axis=3)).max() for window in windows)
    assert steps > 0.5
