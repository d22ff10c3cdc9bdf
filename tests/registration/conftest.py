"""One small specimen scanned three times, and another that is not the same slide; made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from napari_pathsrgan.phantom import scanner
from napari_pathsrgan.phantom.scanner import PhantomFiles, write_phantom
from napari_pathsrgan.phantom.truth import PhantomTruth, ScanOffset, random_offset
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.fine import Registration, register_slides
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.slide import Slide


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registration")


@pytest.fixture(scope="session")
def triplet(folder: Path) -> PhantomFiles:
    """Scans that lie 165 µm apart, further than the first search looks, and drift as on a slide of 5 mm."""
    displaced = iter([(60.0, -70.0), (-50.0, 40.0), (-45.0, 95.0)])

    def random_calm_offset(*arguments: Any) -> ScanOffset:
        drawn = random_offset(*arguments)
        calm = tuple(replace(w, amplitude_um=(w.amplitude_um[0] / 5, w.amplitude_um[1] / 5)) for w in drawn.waves)
        return ScanOffset(next(displaced), calm)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "random_offset", random_calm_offset)
        return scanner.write_phantom(folder / "same", 850.0, 3, background_share=0.2)


@pytest.fixture(scope="session")
def truth(triplet: PhantomFiles) -> PhantomTruth:
    return PhantomTruth.load(triplet.truth)


@pytest.fixture(scope="session")
def slides(triplet: PhantomFiles) -> Iterator[list[Slide]]:
    opened = [open_slide(triplet.scans[power]) for power in (4, 10, 20)]
    yield opened
    for slide in opened:
        slide.close()


@pytest.fixture(scope="session")
def stranger(folder: Path) -> Iterator[Slide]:
    """A 4× scan of another slide."""
    files = write_phantom(folder / "other", 850.0, 4, (4,), background_share=0.2)
    with open_slide(files.scans[4]) as slide:
        yield slide


@pytest.fixture(scope="session")
def registration(slides: list[Slide]) -> Registration:
    return register_slides(*slides, RegistrationConfig(stride_px=300))
