from __future__ import annotations

from pathlib import Path

import pytest

from .fuzzing import FORMATS, Format, Nursery, damaged_files


@pytest.mark.parametrize(
    ("use", "kind"),
    [("aborts", "abort"), ("hangs", "hang"), ("fills memory", "memory"), ("raises", "traceback")],
)
def test_every_kind_of_fault_is_seen(nursery: Nursery, tmp_path: Path, use: str, kind: str) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert nursery.watch(use, tmp_path / "a", 0.2 if kind == "hang" else 20).kind == kind


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_the_intact_file_of_every_format_opens(nursery: Nursery, tmp_path: Path, kind: Format) -> None:
    outcome = nursery.watch(kind, kind.write(tmp_path))
    assert outcome.kind == "opened", outcome.detail


def test_the_same_seed_damages_in_the_same_way_however_many_files_are_asked_for(tmp_path: Path) -> None:
    def contents(name: str, count: int, seed: int) -> list[bytes]:
        (tmp_path / name).mkdir()
        return [path.read_bytes() for path in damaged_files(FORMATS[0], tmp_path / name, count, seed)]

    first = contents("a", 3, 1)
    assert contents("b", 5, 1)[:3] == first
    assert contents("c", 3, 2) != first
