"""The registry of backends, and what the trial judges them on."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.inference.networks import TINY, lively
from torch import Tensor

from napari_pathsrgan.errors import DeviceError, MissingPartError
from napari_pathsrgan.inference import select_backend
from napari_pathsrgan.inference.backend import BACKENDS, REFERENCE, Backend, CompiledNetwork, Precision
from napari_pathsrgan.inference.backends import winograd
from napari_pathsrgan.inference.engine import Engine
from napari_pathsrgan.inference.execution import Execution
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.generator import Generator

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", BACKENDS.names())
def test_every_backend_says_what_it_computes(name: str) -> None:
    backend = BACKENDS.find(name)
    assert backend.name == name
    assert backend.title
    assert backend.limits.startswith("computes ")


def test_backends_are_described_without_torch() -> None:
    code = (
        "import sys; from napari_pathsrgan.inference.backend import BACKENDS, preview_precisions\n"
        "assert preview_precisions() == {'int8'}; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _Brighter:
    """A network whose 20× image is brighter than it should be."""

    def __init__(self, network: Generator, by: float) -> None:
        self._network, self._by = copy.deepcopy(network), by
        self.bicubic_skip = network.bicubic_skip

    def stages(self, lr: Tensor, stage: int) -> tuple[Tensor, Tensor | None]:
        mr, hr = self._network.stages(lr, stage)
        return mr, None if hr is None else hr + self._by / 255

    def trimmed(self) -> None:
        return None


class _Toy(Backend):
    name = "toy"
    title = "Toy"
    limits = "computes networks on the CPU"

    def __init__(self, off_by: float) -> None:
        self._off_by = off_by

    def supports(self, network: Generator, device: torch.device) -> bool:
        return device.type == "cpu"

    def precisions(self, device: torch.device) -> tuple[Precision, ...]:
        return ("fp32",)

    def compile(self, network: Generator, precision: Precision, device: torch.device) -> CompiledNetwork:
        return _Brighter(network, self._off_by)


@pytest.mark.parametrize(("off_by", "taken"), [(0.9, True), (2, False)])
def test_a_backend_of_somebody_elses_is_taken_where_it_is_fast_and_exact(
    off_by: float, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select_backend, "_seconds", lambda network, *_: 1.0 if isinstance(network, _Brighter) else 2.0)
    with BACKENDS.registered(_Toy(off_by)):
        _, execution = select_backend.select_backend(lively("lite", **TINY), CPU)
        assert (execution == Execution("toy", "fp32")) == taken
        engine = Engine(lively("lite", **TINY), ModelCard(name="x", preset="lite"), "cpu", "fp32", "toy")
        assert engine.execution == Execution("toy", "fp32")
        with pytest.raises(DeviceError, match=r"Toy computes networks on the CPU.*--backend auto"):
            select_backend.select_backend(lively("lite", **TINY), torch.device("meta"), "toy", "fp32")


def test_without_llvmlite_torch_computes_and_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "find_spec", lambda _: None)
    network = lively("lite", width=16, blocks1=1, features=16, blocks2=1)
    assert winograd.BACKEND.name not in {one.name for one, _ in select_backend.candidates(network, CPU, "auto")}
    with pytest.raises(MissingPartError, match=r"llvmlite is not installed.*napari-pathsrgan\[fast\]"):
        select_backend.select_backend(network, CPU, "winograd", "fp32")


def test_the_trial_looks_at_cells() -> None:
    """Edges everywhere, and the whole range of grey levels: flat squares have edges on an eighth of the pixels."""
    window = select_backend.trial_window(CPU).numpy()
    assert np.mean(np.abs(np.diff(window, axis=3)) > 2 / 255) > 0.25
    assert window.min() < 0.1
    assert window.max() > 0.9
    first = next(select_backend.candidates(lively("lite", **TINY), CPU, "auto"))
    assert (first[0].name, first[1]) == (REFERENCE, "fp32")
