"""The public interface: its names can be had, and the examples of docs/api.md run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.slides.synthetic import noise, write_aperio

import napari_pathsrgan

API = Path(__file__).parents[1] / "docs" / "api.md"


@pytest.mark.parametrize("name", napari_pathsrgan.__all__)
def test_every_public_name_can_be_had_and_is_documented(name: str) -> None:
    assert getattr(napari_pathsrgan, name)
    assert name == "__version__" or f"`{name}" in API.read_text(encoding="utf-8")


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'bogus'"):
        _ = napari_pathsrgan.bogus


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", API.read_text(encoding="utf-8"), re.DOTALL))
def test_the_examples_run(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_aperio(tmp_path / "scan.svs", [noise(256, 256)])
    exec(compile(example, "docs/api.md", "exec"), {})
