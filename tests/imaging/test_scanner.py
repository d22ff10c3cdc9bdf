"""Randomised scanners: as wide as real ones, and never outside."""

from __future__ import annotations

import numpy as np

from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.scanner import (
    WELL_KEPT,
    WIDE,
    ScannerRanges,
    ScannerSettings,
    random_settings,
    random_target_settings,
)
from napari_pathsrgan.imaging.tone import CameraResponse

LOW = OBJECTIVES[4]


def randomised(count: int = 400, ranges: ScannerRanges = WIDE) -> list[ScannerSettings]:
    rng = np.random.default_rng(0)
    return [random_settings(rng, LOW, ranges=ranges) for _ in range(count)]


def test_randomised_scanners_stay_within_their_ranges() -> None:
    depth = LOW.depth_of_field_um
    for each in randomised():
        assert 0.055 <= each.na_scale * LOW.na <= 0.11
        assert abs(each.defocus_um) <= 0.6 * depth
        assert each.channel_shift_px[1] == (0, 0)
        assert each.channel_defocus_um[1] == 0
        assert max(abs(part) for pair in each.channel_shift_px for part in pair) <= 1
        assert each.jpeg_quality == 0 or 30 <= each.jpeg_quality <= 98
        assert all(0 <= phase <= 7 for phase in each.jpeg_phase_px)
        assert each.camera.gamma == 0 or 1.0 <= each.camera.gamma <= 2.6
        assert 0 <= each.sharpen_amount <= 1.5
        assert all(0.7 <= white <= 1.0 for white in each.camera.white)


def test_randomised_scanners_fill_their_ranges() -> None:
    made = randomised()
    assert {each.mosaic for each in made} == {True, False}
    assert {each.jpeg_subsampling for each in made} == {"444", "422", "420"}
    assert {phase for each in made for phase in each.jpeg_phase_px} == set(range(8))
    assert 0.05 < np.mean([each.camera.gamma == 0 for each in made]) < 0.2
    assert 0.03 < np.mean([each.jpeg_quality == 0 for each in made]) < 0.15
    assert 0.4 < np.mean([each.sharpen_amount > 0 for each in made]) < 0.6
    assert min(each.na_scale for each in made) < 0.6
    assert max(each.na_scale for each in made) > 1.05


def test_well_kept_scanners_spoil_little() -> None:
    for each in randomised(ranges=WELL_KEPT):
        assert 0.08 <= each.na_scale * LOW.na <= 0.1
        assert each.jpeg_subsampling == "420"
        assert each.jpeg_phase_px == (0, 0)
        assert 80 <= each.jpeg_quality <= 92
        assert 1.8 <= each.camera.gamma <= 2.2
        assert all(0.89 <= white <= 0.99 for white in each.camera.white)
        assert each.full_well >= 15_000


def test_input_and_target_share_their_camera() -> None:
    rng = np.random.default_rng(0)
    camera = CameraResponse(gamma=1.1, white=(0.9, 0.9, 0.9))
    assert random_settings(rng, LOW, camera).camera == camera
    targets = [random_target_settings(rng, camera) for _ in range(200)]
    assert {target.camera for target in targets} == {camera}
    apertures = [target.na_scale * OBJECTIVES[10].na for target in targets]
    assert min(apertures) >= 0.13
    assert max(apertures) <= 0.25
    assert 0.19 < np.mean(apertures) < 0.23
