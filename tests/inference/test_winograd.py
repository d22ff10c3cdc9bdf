"""Winograd's convolutions give torch's pixels, the same to the bit whatever the window, the strips and the threads."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_pathsrgan.errors import DeviceError
from napari_pathsrgan.inference import openvino_network, winograd
from napari_pathsrgan.inference.backend import Precision
from napari_pathsrgan.inference.backends import torch as torch_backend
from napari_pathsrgan.inference.engine import Engine, load_model
from napari_pathsrgan.inference.execution import Execution
from napari_pathsrgan.inference.process import InferenceProcess
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.inference.winograd import WinogradNetwork
from napari_pathsrgan.inference.winograd_layer import Rows, Step, WinogradLayer, Zeros
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .networks import SMALL, TINY, engine, lively
from .specimens import specimen, texture, write_slide

PATIENCE_S = 60
NONE = Zeros(0, 0, 0)


@pytest.fixture
def threads() -> Iterator[None]:
    """Give torch back the threads it had."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def rows_of(picture: np.ndarray, top: int) -> Rows:
    """All rows of a picture that begins there, at once."""
    rows = Rows((top, top), *picture.shape, NONE)
    rows.extend(len(picture))[:] = picture
    return rows


# --- a layer ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    inputs=st.sampled_from([3, 8, 24]),
    outputs=st.sampled_from([12, 16, 48]),
    height=st.integers(3, 40),
    width=st.integers(3, 70),
    phase=st.integers(0, 1),
    shuffles=st.booleans(),
    strip=st.integers(1, 12),
)
def test_a_layer_is_a_convolution(
    inputs: int, outputs: int, height: int, width: int, phase: int, shuffles: bool, strip: int
) -> None:
    if shuffles:  # those of 12 are not placed
        outputs = 4 * (outputs // 8 * 8 or 8)
    torch.manual_seed(0)
    conv = nn.Conv2d(inputs, outputs, 3)
    x = torch.rand(1, inputs, height, width) - 0.5
    seen = Rows((phase, phase), height, width, -(-inputs // 8) * 8, NONE)
    step = Step(WinogradLayer(conv, shuffles), seen, NONE, floor=0)
    step.target.read_from(0)
    for top in range(0, height, strip):
        pixels = x[0, :, top : top + strip].permute(1, 2, 0).numpy()
        rows = seen.extend(len(pixels))
        rows[..., :inputs], rows[..., inputs:] = pixels, 0
        step.go_on()
    with torch.no_grad():
        wanted = conv(x).relu()
        wanted = nn.functional.pixel_shuffle(wanted, 2) if shuffles else wanted
    found = step.target[0 : step.target.end]
    assert found.shape[:2] == wanted.shape[2:]
    assert np.allclose(found[..., : wanted.shape[1]], wanted[0].permute(1, 2, 0).numpy(), atol=1e-5)


def test_what_is_added_comes_after_the_floor_from_the_same_place() -> None:
    conv = nn.Conv2d(8, 16, 3)
    nn.init.zeros_(conv.weight)
    nn.init.constant_(conv.bias, -1.0)
    rng = np.random.default_rng(0)
    near, far = (rng.random((side, side, 16), np.float32) for side in (10, 14))
    seen, first, second = (rows_of(picture, top) for picture, top in ((np.zeros((12, 12, 8)), 1), (near, 2), (far, 0)))
    step = Step(WinogradLayer(conv), seen, NONE, 0.25, (first, second))
    step.target.read_from(0)
    step.go_on()
    assert np.array_equal(step.target[0:10], np.float32(0.25) + near + far[2:-2, 2:-2])


def test_rows_are_kept_as_long_as_somebody_needs_them() -> None:
    rows = Rows((-1, -1), 50, 4, 8, Zeros(1, 1, 1))
    reader = rows.read_from(0)
    for row in range(48):
        rows.extend(1)[:] = row
        reader.at = max(0, row - 5)
        still = rows[max(1, reader.at) : rows.end if row < 47 else 49]
        assert [int(value) for value in still[:, 1, 0]] == list(range(max(0, reader.at - 1), row + 1))
        assert not still[:, [0, -1]].any()
    assert not rows[49:50].any()
    assert len(rows._kept) < 20  # and not all of them


# --- a network --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, SMALL], ids=["lite", "small"])
def test_it_gives_torchs_pictures_at_any_size(options: dict[str, int]) -> None:
    network = lively("lite", **options)
    computing = WinogradNetwork(network)
    with torch.inference_mode():
        for shape in ((8, 8), (40, 56), (136, 200)):
            lr = torch.from_numpy(texture(*shape)).permute(2, 0, 1)[None].float().div_(255)
            for found, wanted in zip(computing.stages(lr, 2), network.stages(lr, 2), strict=True):
                assert wanted.std() > 0.05
                assert found.shape == wanted.shape
                assert (found - wanted).abs().max() < 1e-5
            assert torch.equal(computing.stages(lr, 1)[0], computing.stages(lr, 2)[0])
            assert computing.stages(lr, 1)[1] is None


def test_nothing_of_a_window_outlasts_it() -> None:
    network, lr = WinogradNetwork(lively("lite", **SMALL)), torch.rand(1, 3, 32, 32)
    seen: list[weakref.ref[Rows]] = []
    extend = Rows.extend

    def watch(rows: Rows, count: int) -> np.ndarray:
        seen.append(weakref.ref(rows))
        return extend(rows, count)

    gc.disable()  # which would come too late: windows are computed faster than it looks for cycles
    try:
        with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Rows, "extend", watch)
            network.stages(lr, 2)
        assert seen
        assert not any(rows() for rows in seen)
    finally:
        gc.enable()


@pytest.mark.usefixtures("threads")
def test_neither_threads_nor_strips_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    model, window = engine(backend="winograd", **SMALL), texture(120, 168)
    assert model.execution == Execution("winograd", "fp32")
    pictures = []
    for threads, strip in ((1, 10**6), (1, 1), (2, 10**6), (3, 4096)):
        torch.set_num_threads(threads)
        monkeypatch.setattr(winograd, "_STRIP_PX", strip)
        pictures += [model.run(window, 2, halo=24), model.run(window, 2)]
    for number, (mr, hr, _) in enumerate(pictures):
        assert np.array_equal(mr, pictures[number % 2].mr)
        assert np.array_equal(hr, pictures[number % 2].hr)


def test_windows_computed_at_once_get_their_own_pictures() -> None:
    model = engine(backend="winograd", **SMALL)
    windows = [texture(24 + 8 * (seed % 3), 32, seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(model.apply, windows))
    for window, (_, hr) in zip(windows, pictures, strict=True):
        assert np.array_equal(hr, model.apply(window)[1])


def test_a_whole_slide_has_the_pixels_of_its_levels(tmp_path: Path) -> None:
    with open_slide(write_slide(tmp_path / "slide.tiff", specimen(420, 420))) as slide:
        super_resolved = super_resolve(slide, engine(backend="winograd", **SMALL))
        write_whole_slide(super_resolved, tmp_path / "out.ome.zarr")
        store = PyramidStore.open(tmp_path / "out.ome.zarr")
        assert store.identity.execution == "winograd fp32"
        for level in (0, 1):
            written = np.moveaxis(np.asarray(store.array(level)[:]), 0, -1)
            assert np.array_equal(written, super_resolved.levels[level].compute())


def test_the_inference_process_takes_it() -> None:
    window = texture(64, 72)
    process = InferenceProcess("cpu", "fp32", "winograd", threads=1)
    try:
        computed = process.submit("lite", window, 2, None, 17).result(PATIENCE_S)
        assert (process.status.backend, process.status.precision) == ("winograd", "fp32")
    finally:
        process.close()
    assert computed is not None
    wanted = load_model("lite", "cpu", "fp32", "winograd").run(window, 2, halo=17)
    assert all(np.array_equal(picture, exact) for picture, exact in zip(computed[:2], wanted[:2], strict=True))


# --- where it can't ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "precision", "options"),
    [("paper", "fp32", {"width": 16}), ("lite", "bf16", SMALL), ("lite", "fp32", TINY)],
    ids=["another preset", "another precision", "few channels"],
)
def test_what_it_does_not_compute_is_refused(preset: str, precision: Precision, options: dict[str, int]) -> None:
    with pytest.raises(DeviceError, match=r"such as lite, in fp32.*--backend auto"):
        engine(preset, precision, "winograd", **options)


def test_where_nobody_may_compile_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("unable to allocate executable memory")

    monkeypatch.setattr(winograd, "convolution", refuse)
    monkeypatch.setattr(openvino_network, "precisions", lambda: ())
    monkeypatch.setattr(torch_backend, "cpu_has_bf16", lambda: False)
    model = Engine(lively("lite", **SMALL), ModelCard(name="x", preset="lite"), "cpu")
    assert model.execution == Execution("torch", "fp32")
    for precision in ("auto", "fp32"):
        with pytest.raises(DeviceError, match=r"refuses.*--backend torch"):
            engine("lite", precision, "winograd", **SMALL)
