"""Slides to test with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from .fuzzing import Nursery
from .synthetic import noise, write_aperio

SHARED_SLIDES = Path(__file__).parents[2].parent / "shared" / "data" / "slides"


@pytest.fixture(scope="session")
def fractional_levels() -> list[np.ndarray]:
    """Three levels of noise, 3.99 and 15.96 times coarser, no side a multiple of the tile."""
    return [noise(2011, 3013, 1), noise(504, 755, 2), noise(126, 189, 3)]


@pytest.fixture(scope="session")
def aperio(tmp_path_factory: pytest.TempPathFactory, fractional_levels: list[np.ndarray]) -> Path:
    """A file that OpenSlide takes for a 4× Aperio slide; shared, so not to be changed."""
    return write_aperio(tmp_path_factory.mktemp("aperio") / "case-17.svs", fractional_levels)


@pytest.fixture
def shared_slide() -> Callable[[str], Path]:
    """Find a real slide by name, or skip."""

    def find(name: str) -> Path:
        path = SHARED_SLIDES / name
        if not path.exists():
            pytest.skip(f"needs the real slide {name} in shared/data/slides beside the repository")
        return path

    return find


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Uses files in processes of their own."""
    with Nursery() as nursery:
        yield nursery
