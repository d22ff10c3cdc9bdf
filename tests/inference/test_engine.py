"""A network on one device: the same pixel whatever the window, the same pixel within a grey level in half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.errors import CardMismatchError, DeviceError
from napari_pathsrgan.inference import openvino_network, select_backend
from napari_pathsrgan.inference.backend import BackendName
from napari_pathsrgan.inference.backends import torch as torch_backend
from napari_pathsrgan.inference.engine import Engine, choose_device, default_threads
from napari_pathsrgan.inference.execution import Execution
from napari_pathsrgan.inference.openvino_network import OpenVinoNetwork
from napari_pathsrgan.inference.winograd import WinogradNetwork
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.generator import Generator
from napari_pathsrgan.slides.foreground import SlideBackground
from napari_pathsrgan.slides.resample import enlarge

from .networks import SMALL, TINY, engine, lively, tiny_engine
from .specimens import BACKGROUND, specimen, texture

HALO = 32


def differing(computed: np.ndarray, wanted: np.ndarray) -> float:
    """Share of values more than one grey level apart."""
    assert computed.shape == wanted.shape
    return float(np.mean(np.abs(computed.astype(np.int16) - wanted.astype(np.int16)) > 1))


# --- exactness --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "options", "side"),
    [("lite", {}, 96), ("paper", {"width": 32}, 128), ("paper", {}, 88), ("authors", {}, 88)],
    ids=["lite", "paper-32", "paper", "authors"],
)
def test_a_tile_alone_equals_the_same_pixels_of_one_big_pass(preset: str, options: dict[str, int], side: int) -> None:
    model = engine(preset, **options)
    image = texture(side, side)
    all_mr, all_hr = model.apply(image)
    assert min(all_mr.std(), all_hr.std()) > 30  # pictures, not constants
    corner, core = 40, 8
    window = image[corner - HALO : corner + core + HALO, corner - HALO : corner + core + HALO]
    mr, hr, _ = model.run(window, 2, halo=HALO)
    inside = [slice(factor * corner, factor * (corner + core)) for factor in (2, 4)]
    assert differing(mr, all_mr[inside[0], inside[0]]) <= 1e-3
    assert differing(hr, all_hr[inside[1], inside[1]]) <= 1e-3


def test_too_little_context_would_show() -> None:
    """Without this the test above could not fail."""
    model, image = engine("paper", width=32), texture(96, 96)
    _, hr, _ = model.run(image[32:64, 32:64], 2, halo=8)
    assert differing(hr, model.apply(image)[1][160:224, 160:224]) > 0.01


_MODEL = {
    "lite": engine("lite"),
    "lite by winograd": engine("lite", backend="winograd"),
    "paper": engine("paper", width=8),
}
_IMAGE = texture(144, 120, seed=4)
_PASS = {name: model.apply(_IMAGE) for name, model in _MODEL.items()}


@pytest.mark.parametrize("preset", _MODEL)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_region_on_the_grid_of_8(preset: str, data: Any) -> None:
    rows, cols = _IMAGE.shape[:2]
    top = 8 * data.draw(st.integers(4, (rows - 40) // 8), label="top / 8")
    left = 8 * data.draw(st.integers(4, (cols - 40) // 8), label="left / 8")
    height = 8 * data.draw(st.integers(1, (rows - 32 - top) // 8), label="height / 8")
    width = 8 * data.draw(st.integers(1, (cols - 32 - left) // 8), label="width / 8")
    window = _IMAGE[top - HALO : top + height + HALO, left - HALO : left + width + HALO]
    pictures = _MODEL[preset].run(window, 2, halo=HALO)[:2]
    for factor, picture, whole in zip((2, 4), pictures, _PASS[preset], strict=True):
        inside = (slice(factor * top, factor * (top + height)), slice(factor * left, factor * (left + width)))
        if preset == "paper":
            assert differing(picture, whole[inside]) <= 1e-3
        else:
            assert np.array_equal(picture, whole[inside])


def test_stage_1_alone_gives_the_same_10x_picture() -> None:
    window = texture(40, 48)
    mr, hr, _ = _MODEL["lite"].run(window, 1, halo=8)
    assert hr is None
    assert np.array_equal(mr, _MODEL["lite"].run(window, 2, halo=8)[0])


# --- precision --------------------------------------------------------------------------------------------------


def test_auto_is_true_to_fp32_whatever_it_chose() -> None:
    automatic, exact = engine("lite", precision="auto"), engine("lite", precision="fp32")
    assert exact.execution == Execution("torch", "fp32")
    image = texture(64, 64)
    for computed, wanted in zip(automatic.apply(image), exact.apply(image), strict=True):
        assert differing(computed, wanted) <= 1e-3


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let trials take as long as told: torch in full, torch in half, and others in full precision."""

    def let(full_s: float, half_s: float, openvino_s: float, winograd_s: float = 9) -> None:
        def seconds(network: Any, *_: Any) -> float:
            if isinstance(network, OpenVinoNetwork):
                return openvino_s
            if isinstance(network, WinogradNetwork):
                return winograd_s
            return half_s if network.stage1.picture.weight.dtype is torch.bfloat16 else full_s

        monkeypatch.setattr(select_backend, "_seconds", seconds)
        monkeypatch.setattr(openvino_network, "precisions", lambda: ("fp32",))
        monkeypatch.setattr(torch_backend, "cpu_has_bf16", lambda: True)

    return let


def automatic(network: Generator, backend: BackendName = "auto") -> Execution:
    return Engine(network, ModelCard(name="x", preset="lite"), "cpu", "auto", backend).execution


def tame() -> Generator:
    """A network whose pictures are nearly the bicubic ones, so that half precision does them no harm."""
    torch.manual_seed(0)
    network = build_generator("lite", **SMALL)
    for picture in (network.stage1.picture, network.stage2.picture):
        torch.nn.init.normal_(picture.weight, std=1e-4)
    return network


def test_auto_takes_the_fastest_that_is_true(pretend: Callable[..., None]) -> None:
    pretend(full_s=3, half_s=1, openvino_s=2)
    assert automatic(tame()) == Execution("torch", "bf16")
    assert automatic(tame(), "openvino") == Execution("openvino", "fp32")
    pretend(full_s=3, half_s=2, openvino_s=1)
    assert automatic(tame()) == Execution("openvino", "fp32")
    assert automatic(tame(), "torch") == Execution("torch", "bf16")
    pretend(full_s=4, half_s=3, openvino_s=2, winograd_s=1)
    assert automatic(tame()) == Execution("winograd", "fp32")
    assert automatic(tame(), "openvino") == Execution("openvino", "fp32")
    assert automatic(tame(), "torch") == Execution("torch", "bf16")
    assert automatic(lively("lite", **TINY), "auto").backend != "winograd"  # too few channels for it
    pretend(full_s=1, half_s=2, openvino_s=3)
    assert automatic(tame(), "winograd") == Execution("winograd", "fp32")
    assert automatic(tame()) == Execution("torch", "fp32")
    pretend(full_s=1, half_s=2, openvino_s=0.97)  # which the next trial may see the other way round
    assert automatic(tame()) == Execution("torch", "fp32")


def test_auto_does_not_try_what_the_processor_only_pretends_to(
    pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(full_s=3, half_s=1, openvino_s=4)
    monkeypatch.setattr(torch_backend, "cpu_has_bf16", lambda: False)
    assert automatic(tame()) == Execution("torch", "fp32")


def test_auto_keeps_fp32_where_half_precision_is_not_true(pretend: Callable[..., None]) -> None:
    pretend(full_s=2, half_s=1, openvino_s=3)
    model = engine("paper", precision="auto", residual_scale=0.6, width=16)
    assert model.execution == Execution("torch", "fp32")
    image = texture(32, 32)
    exact = engine("paper", precision="fp32", residual_scale=0.6, width=16)
    assert np.array_equal(model.apply(image)[1], exact.apply(image)[1])  # its weights were not rounded by the trial
    rough = engine("paper", precision="bf16", residual_scale=0.6, width=16)
    assert differing(rough.apply(image)[1], exact.apply(image)[1]) > 1e-3  # or the trial would have nothing to find


def test_auto_leaves_openvino_where_it_is_not_true(
    pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(full_s=2, half_s=3, openvino_s=1)
    stages = OpenVinoNetwork.stages

    def brighter(network: OpenVinoNetwork, lr: torch.Tensor, stage: int) -> Any:
        mr, hr = stages(network, lr, stage)
        return mr, hr + 2 / 255

    monkeypatch.setattr(OpenVinoNetwork, "stages", brighter)
    assert automatic(tame()) == Execution("torch", "fp32")


def test_a_precision_that_is_named_is_computed_by_torch() -> None:
    assert engine("lite", precision="bf16", **TINY).execution == Execution("torch", "bf16")


@pytest.mark.parametrize("backend", ["openvino", "winograd"])
def test_some_backends_are_of_the_cpu(backend: BackendName) -> None:
    with pytest.raises(DeviceError, match="on the CPU"):
        select_backend.select_backend(tame(), torch.device("meta"), backend, "fp32")


def test_fp16_is_refused_on_a_cpu() -> None:
    with pytest.raises(DeviceError, match="fp16"):
        engine("lite", precision="fp16", width=8)


@pytest.mark.filterwarnings("ignore:.*mkldnn")
@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "", "hpu", "xla", "mkldnn"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(DeviceError, match="not available"):
        choose_device(device)


def test_threads_leave_the_window_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 1), (2, 2), (3, 2), (8, 7)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False)
        assert default_threads() == threads


def test_a_card_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(CardMismatchError):
        Engine(build_generator("lite", width=8), ModelCard(name="x", preset="lite", mpp_hr=0.5), "cpu")


# --- pictures in and out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (17, 23), (8, 9), (31, 16)])
@pytest.mark.parametrize("preset", ["lite", "paper"])
def test_apply_on_odd_sizes(preset: str, shape: tuple[int, int]) -> None:
    image = texture(*shape)
    mr, hr = _MODEL[preset].apply(image)
    assert mr.shape == (2 * shape[0], 2 * shape[1], 3)
    assert hr.shape == (4 * shape[0], 4 * shape[1], 3)
    assert mr.dtype == hr.dtype == np.uint8


def test_an_odd_size_is_a_crop_of_the_mirrored_picture() -> None:
    image = texture(21, 30)
    mirrored = np.pad(image, ((0, 3), (0, 2), (0, 0)), mode="reflect")
    assert np.array_equal(_MODEL["lite"].apply(image)[1], _MODEL["lite"].apply(mirrored)[1][:84, :120])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["grey", "RGBA", "float", "empty"],
)
def test_other_arrays_are_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="8"):
        _MODEL["lite"].apply(image)


def test_a_halo_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="halo of 8"):
        _MODEL["lite"].run(texture(16, 32), 2, halo=8)


@pytest.mark.parametrize(("bias", "level"), [(5.0, 255), (-5.0, 0)])
def test_values_beyond_the_range_are_clamped_and_never_wrap_around(bias: float, level: int) -> None:
    network = lively("lite", width=8, blocks1=1)
    for picture in (network.stage1.picture, network.stage2.picture):
        torch.nn.init.constant_(picture.bias, bias)
    model = Engine(network, ModelCard(name="x", preset="lite"), "cpu", "fp32")
    for picture in model.apply(texture(16, 16)):
        assert np.all(picture == level)


def test_a_read_only_picture_is_fine() -> None:
    image = texture(16, 16)
    wanted = _MODEL["lite"].apply(image)[1]
    image.setflags(write=False)  # as tiles in the cache are; torch would warn
    assert np.array_equal(_MODEL["lite"].apply(image)[1], wanted)


def test_rounding_is_to_the_nearest_level() -> None:
    network = build_generator("lite", width=8, blocks1=1)
    for picture in (network.stage1.picture, network.stage2.picture):
        torch.nn.init.zeros_(picture.weight)
        torch.nn.init.constant_(picture.bias, 0.6 / 255)
    model = Engine(network, ModelCard(name="x", preset="lite"), "cpu", "fp32")
    assert np.all(model.apply(np.full((8, 8, 3), 100, np.uint8))[1] == 101)


# --- background ------------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stage of every run of a network."""
    seen: list[int] = []
    stages = Generator.stages

    def counted(self: Generator, lr: Any, stage: int) -> Any:
        seen.append(stage)
        return stages(self, lr, stage)

    monkeypatch.setattr(Generator, "stages", counted)
    return seen


def test_a_window_of_background_alone_runs_no_network(runs: list[int]) -> None:
    model, image = tiny_engine(), specimen(64, 200, cells_end=0.25)
    runs.clear()
    background = image[:, 100:164]
    mr, hr, _ = model.run(background, 2, BACKGROUND, halo=16)
    assert runs == []
    assert np.array_equal(mr, enlarge(background, 2)[32:-32, 32:-32])
    assert np.array_equal(hr, enlarge(background, 4)[64:-64, 64:-64])
    mr, hr, _ = model.run(background, 1, BACKGROUND, halo=16)
    assert hr is None
    assert runs == []
    model.run(image[:, 0:64], 2, BACKGROUND, halo=16)
    assert runs == [2]
    model.run(background, 2, None, halo=16)
    assert runs == [2, 2]
    model.run(background, 2, SlideBackground(None), halo=16)
    assert runs == [2, 2, 2]


def test_background_around_the_core_is_enough_to_skip_it(runs: list[int]) -> None:
    image = specimen(96, 96, cells_end=1 / 6)  # cells end 16 px before the core begins
    model = tiny_engine()
    runs.clear()
    model.run(image[:, :], 2, BACKGROUND, halo=32)
    assert runs == []


def test_cells_take_the_networks_pixels_and_far_background_the_bicubic_ones() -> None:
    model, image = tiny_engine(), specimen(64, 128)
    _, mixed, _ = model.run(image, 2, BACKGROUND)
    _, computed, _ = model.run(image, 2)
    assert np.array_equal(mixed[:, : 4 * 64], computed[:, : 4 * 64])
    far = slice(4 * (64 + 17), 4 * 124)
    assert np.array_equal(mixed[8:-8, far], enlarge(image, 4)[8:-8, far])
    assert differing(computed[:, far], mixed[:, far]) > 0.1  # the network alone would differ there


def test_no_border_shows_where_background_begins() -> None:
    """The network paints background another colour; the change is spread over the ramp, with no step in it."""
    network = lively("lite", width=8, blocks1=1)
    for picture in (network.stage1.picture, network.stage2.picture):
        torch.nn.init.zeros_(picture.weight)
        torch.nn.init.constant_(picture.bias, -24 / 255)
    model = Engine(network, ModelCard(name="x", preset="lite"), "cpu", "fp32")
    image = np.full((64, 160, 3), 236, np.uint8)
    image[::2] += 1  # background, but no scanner's filling
    image[:, :48] = texture(64, 48)
    _, hr, _ = model.run(image, 2, SlideBackground((236.5, 236.5, 236.5)))
    profile = hr[:, 4 * 54 :].astype(float).mean(axis=(0, 2))
    assert profile[0] == pytest.approx(236.5 - 24, abs=1)
    assert profile[-1] == pytest.approx(236.5, abs=1)
    assert np.abs(np.diff(profile)).max() <= 24 / (4 * 9) + 0.5  # nine pixels of ramp
    # Across the border, steps between neighbours are no larger than on background itself.
    steps = np.abs(np.diff(hr[:, 4 * 54 :].astype(int), axis=1)).max()
    assert steps <= 2


@pytest.mark.parametrize("backend", ["torch", "winograd"])
@pytest.mark.parametrize("halo", [16, 32])
def test_windows_agree_where_background_begins(backend: BackendName, halo: int) -> None:
    """One tile ends right where the ramp does, so it takes the bicubic path whole; the big window mixes."""
    model, image = engine(backend=backend, **SMALL), specimen(160, 320, cells_end=0.3)
    _, whole, _ = model.run(image, 2, BACKGROUND)
    for left in range(64, 160, 8):
        window = image[64 - halo : 96 + halo, left - halo : left + 32 + halo]
        _, hr, _ = model.run(window, 2, BACKGROUND, halo=halo)
        wanted = whole[256:384, 4 * left : 4 * left + 128]
        assert np.array_equal(hr, wanted)
