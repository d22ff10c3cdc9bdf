"""Files of every kind damaged at random, a few of each; benchmarks/fuzz_slides.py tries thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fuzzing import FORMATS, GOOD, Format, Nursery, damaged_files

_KINDS = ("DICOM", "OME-Zarr 0.4", "OME-Zarr 0.5", "GeoJSON", "model file")
_TRIES, _SEED = 12, 7


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind.name in _KINDS], ids=lambda kind: kind.name)
def test_damaged_files_open_or_are_refused_in_a_sentence(nursery: Nursery, tmp_path: Path, kind: Format) -> None:
    for number, path in enumerate(damaged_files(kind, tmp_path, _TRIES, _SEED)):
        outcome = nursery.watch(kind, path)
        assert outcome.kind in GOOD, f"file {number}: {outcome.kind}: {outcome.detail}"
