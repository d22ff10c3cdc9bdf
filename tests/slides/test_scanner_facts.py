"""What a slide says of its scanner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_pathsrgan.commands.app import run_verb
from napari_pathsrgan.imaging.scanner import CLEAN, Subsampling
from napari_pathsrgan.phantom.picture_slide import write_picture_slide
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.scanner_facts import scanner_facts


def scanned(path: Path, quality: int, subsampling: Subsampling = "420", full_well: float = 2_000.0) -> Path:
    """Write an empty field, scanned with noise, as a slide."""
    field = np.full((2400, 2400, 3), 255, np.uint8)
    field[900:1300, 900:1300] = (120, 60, 140)
    settings = replace(CLEAN, full_well=full_well, jpeg_quality=quality, jpeg_subsampling=subsampling)
    write_picture_slide(field, 0.27, path, settings, np.random.default_rng(0))
    return path


@pytest.mark.parametrize(("quality", "subsampling"), [(30, "420"), (75, "422"), (91, "444")])
def test_quality_and_subsampling_come_from_the_file(tmp_path: Path, quality: int, subsampling: Subsampling) -> None:
    with open_slide(scanned(tmp_path / "scan.tiff", quality, subsampling)) as slide:
        jpeg = scanner_facts(slide).jpeg
    assert jpeg is not None
    assert (jpeg.quality, jpeg.subsampling) == (quality, subsampling)


def test_background_and_noise_come_from_the_pixels(tmp_path: Path) -> None:
    with open_slide(scanned(tmp_path / "scan.tiff", 98, "444")) as slide:
        background = scanner_facts(slide).background
    assert background is not None
    assert background.white == pytest.approx([245] * 3, abs=1)
    wanted = 255 * 0.96 / 2.2 * np.sqrt(1 / (2_000 * 0.96**2.2))
    assert background.noise[1] == pytest.approx(wanted, rel=0.2)  # JPEG is coarser in red and blue


def test_a_slide_without_compression_or_pixel_size_says_what_it_can(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", np.full((300, 300, 3), 230, np.uint8), photometric="rgb", metadata=None)
    with open_slide(tmp_path / "plain.tif", uncalibrated=True) as slide:
        facts = scanner_facts(slide)
    assert facts.jpeg is None
    assert facts.background is None


def test_info_tells_of_the_scanner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scanned(tmp_path / "scan.tiff", 30)
    assert run_verb(["info", str(tmp_path / "scan.tiff")])[0] == 0
    told = capsys.readouterr().out
    assert "JPEG, quality 30, 4:2:0" in told
    assert "Background" in told
