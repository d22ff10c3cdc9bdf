"""A checkpoint from a stranger: nothing runs, nothing fills the memory, everything odd is refused."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_pathsrgan.training.saved_state import check_optimiser, read_state

STATE: dict[str, Any] = {
    "step": 3,
    "rollbacks": 0,
    "phase": 1,
    "network": {"w": torch.ones(2)},
    "average": {"w": torch.ones(2)},
    "discriminators": {},
    "optimisers": {"generator": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}},
}


def test_a_sound_state_is_read(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "state.pt")
    assert str(read_state(tmp_path / "state.pt")) == str(STATE)


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(50):
        value = [value]
    return value


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize(
    "change",
    [
        {"step": -1},
        {"step": 1.5},
        {"step": True},
        {"step": 10**30},
        {"step": None},
        {"phase": "1"},
        {"rollbacks": float("nan")},
        {"perceptual": ["a"]},
        {"network": {"w": torch.ones(1).expand(2**40)}},
        {"network": {"w": torch.ones(2).to_sparse()}},
        {"optimisers": {"generator": {"param_groups": [{"lr": float("nan")}]}}},
        {"optimisers": _deep()},
        {"network": {"w": _Runs()}},
    ],
    ids=lambda change: "-".join(map(str, change)),
)
def test_odd_values_are_refused(change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(STATE | change, tmp_path / "state.pt")
    with pytest.raises((ValueError, pickle.UnpicklingError)):
        read_state(tmp_path / "state.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("part", STATE)
def test_a_state_without_a_part_is_refused(part: str, tmp_path: Path) -> None:
    torch.save({name: value for name, value in STATE.items() if name != part}, tmp_path / "state.pt")
    with pytest.raises(ValueError, match="no training's state"):
        read_state(tmp_path / "state.pt")


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(50_000_000))


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, _bomb, Path.touch])
def test_what_is_no_plain_archive_is_refused_at_once(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "state.pt")
    with pytest.raises((ValueError, OSError, zipfile.BadZipFile)):
        read_state(tmp_path / "state.pt")


def test_an_optimisers_state_of_another_network_is_refused() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    adam = torch.optim.Adam([parameter])
    parameter.grad = torch.ones(2)
    adam.step()
    check_optimiser(adam)
    adam.state[parameter]["exp_avg"] = torch.zeros(3)
    with pytest.raises(ValueError, match="another network"):
        check_optimiser(adam)
