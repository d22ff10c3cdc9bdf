"""Damaged review files and keys: opened, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

from .fuzzing import FORMATS, GOOD, Nursery, damaged_files


def test_damaged_reviews_do_nothing_but_open_or_be_refused(nursery: Nursery, tmp_path: Path) -> None:
    (kind,) = (one for one in FORMATS if one.name == "review")
    for path in damaged_files(kind, tmp_path, 25, seed=19):
        outcome = nursery.watch(kind, path)
        assert outcome.kind in GOOD, outcome.detail
