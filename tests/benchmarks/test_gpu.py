"""The command for machines with a CUDA device, as far as a CPU shows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

torch.set_num_threads(1)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sys.modules.pop("gpu", None)
    import gpu as module

    return module


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_cuda_it_says_so_and_writes_nothing(
    gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main(["--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == gpu.NO_CUDA + "\n"
    assert not (tmp_path / "out").exists()


def test_a_part_that_fails_is_written_down_and_the_next_one_runs(gpu: ModuleType, tmp_path: Path) -> None:
    def failing(*_: object) -> None:
        raise ValueError("no kernel")

    run = gpu.Run("cpu", gpu.TINY, tmp_path, 1e9)
    run.do("first", failing)
    run.do("second", lambda *_: 7)
    results = json.loads((tmp_path / gpu.RESULTS_FILE).read_text())
    assert results["first"]["error"] == "ValueError: no kernel"
    assert results["second"]["found"] == 7
    assert run.failed


def test_what_a_run_leaves_is_kept_but_for_large_files(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "run", tmp_path / "out"
    (folder / "samples").mkdir(parents=True)
    out.mkdir()
    for name, size in (("state.pt", 50), ("config.json", 5), ("samples/step-2.png", 5), ("samples/step-1.png", 5)):
        (folder / name).write_bytes(bytes(size))
    monkeypatch.setattr(gpu, "MOST_FILE_BYTES", 20)
    assert gpu._keep(folder, out) == ["config.json", "step-2.png"]
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "step-2.png"]
