"""What a slide shows of its scanner."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.imaging.specimens import cell_like_field

from napari_pathsrgan.commands.app import run_command
from napari_pathsrgan.imaging.estimate import Background
from napari_pathsrgan.imaging.jpeg_grid import JpegGrid
from napari_pathsrgan.imaging.measured import Measured, NotMeasurable
from napari_pathsrgan.imaging.scanner import CLEAN, ScannerSettings, Subsampling
from napari_pathsrgan.imaging.sharpness import Optics
from napari_pathsrgan.phantom.image_slide import write_image_slide
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.scanner_facts import scanner_facts


def scanned(path: Path, settings: ScannerSettings) -> Path:
    """Write a field, half cells and half empty, scanned by a scanner, as a slide."""
    field = np.full((2000, 2000, 3), 255, np.uint8)
    field[:, :1000] = cell_like_field(0, 2000, 0.4)[:, :1000]
    write_image_slide(field, 0.4, path, settings, np.random.default_rng(0))
    return path


@pytest.mark.parametrize(("quality", "subsampling"), [(30, "420"), (75, "422"), (91, "444")])
def test_quality_and_subsampling_come_from_the_file(tmp_path: Path, quality: int, subsampling: Subsampling) -> None:
    path = scanned(tmp_path / "scan.tiff", replace(CLEAN, jpeg_quality=quality, jpeg_subsampling=subsampling))
    with open_slide(path) as slide:
        compression = scanner_facts(slide).compression
    assert compression is not None
    assert compression.jpeg is not None
    assert (compression.jpeg.quality, compression.jpeg.subsampling) == (quality, subsampling)
    assert compression.block_phase_px == (0, 0)


def test_everything_else_comes_from_the_pixels(tmp_path: Path) -> None:
    settings = replace(CLEAN, na_scale=0.8, full_well=4_000.0, jpeg_quality=96)
    with open_slide(scanned(tmp_path / "scan.tiff", settings)) as slide:
        facts = scanner_facts(slide)
    assert isinstance(facts.background, Background)
    assert [level.value for level in facts.background.white] == pytest.approx([245] * 3, abs=1)
    assert isinstance(facts.background.noise, Measured)
    wanted = 255 * 0.96 / 2.2 * np.sqrt(1 / (4_000 * 0.96**2.2))
    assert facts.background.noise.value == pytest.approx(wanted, rel=0.2)
    assert isinstance(facts.optics, Optics)
    assert facts.optics.aperture.value == pytest.approx(0.08, rel=0.1)
    assert facts.optics.sharpening is None


def test_a_slide_saved_again_without_loss_shows_its_earlier_compression(tmp_path: Path) -> None:
    with open_slide(scanned(tmp_path / "scan.tiff", replace(CLEAN, jpeg_quality=55))) as slide:
        pixels = slide.read_level(0, 3, 2, *(size - 8 for size in slide.level_shapes[0]))
    tifffile.imwrite(
        tmp_path / "again.tif", pixels, photometric="rgb", compression="zlib", tile=(256, 256),
        resolution=(1e4 / 1.465,) * 2, resolutionunit="CENTIMETER",
    )  # fmt: skip
    with open_slide(tmp_path / "again.tif") as slide:
        facts = scanner_facts(slide)
    assert facts.earlier_jpeg == JpegGrid(55, (3, 2))
    assert facts.compression is not None
    assert facts.compression.method == "Deflate"


def test_a_slide_without_compression_or_pixel_size_says_what_it_can(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", np.full((300, 300, 3), 230, np.uint8), photometric="rgb", metadata=None)
    with open_slide(tmp_path / "plain.tif", uncalibrated=True) as slide:
        facts = scanner_facts(slide)
    assert facts.background == NotMeasurable("no pixel size")
    with open_slide(tmp_path / "plain.tif", 1.465) as slide:
        facts = scanner_facts(slide)
    assert facts.optics == NotMeasurable("too few cells")
    assert facts.earlier_jpeg is None


def test_info_shows_the_scanner_with_uncertainties(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scanned(tmp_path / "scan.tiff", replace(CLEAN, na_scale=0.8, jpeg_quality=80, jpeg_subsampling="420"))
    assert run_command(["info", str(path)])[0] == 0
    shown = capsys.readouterr().out
    assert "JPEG, quality 80, 4:2:0, blocks from the corner" in shown
    assert "RGB 245 245 245 ±" in shown
    assert "not measurable: compression hides it" in shown
    assert "(effective)" in shown
    assert "none detected; below" in shown
    assert run_command(["info", str(path), "--json"])[0] == 0
    record = json.loads(capsys.readouterr().out)
    assert record["compression"]["quality"] == 80
    assert record["optics"]["aperture"]["error"] > 0
    assert record["background"]["noise"] == {"reason": "compression hides it"}
