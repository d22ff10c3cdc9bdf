"""Scans of a slide that was put in again: found however it lay, and refused where it is another slide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_pathsrgan.errors import DifferentSlidesError, OptionError
from napari_pathsrgan.phantom.truth import PhantomTruth
from napari_pathsrgan.registration import cutting
from napari_pathsrgan.registration.accuracy import true_errors_px
from napari_pathsrgan.registration.config import RegistrationConfig
from napari_pathsrgan.registration.correlation import absorption, match
from napari_pathsrgan.registration.cutting import open_scans, register_into
from napari_pathsrgan.registration.fine import register_slides
from napari_pathsrgan.registration.pairs import PairsFile
from napari_pathsrgan.registration.turned import Similarity, TurnedSlide
from napari_pathsrgan.registration.turns import as_scanned, turns_of
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.slide import Slide

CONFIG = RegistrationConfig(stride_px=400)


@contextmanager
def put_in_again(slide: Slide, turn: Similarity, path: Path) -> Iterator[tuple[Slide, Similarity]]:
    """Write a slide as it would have been scanned turned, and say how positions changed."""
    turned = TurnedSlide(slide, turn.matrix)
    pixels = turned.read_grid(turned.mpp, 0, 0, *turned.grid_shape(turned.mpp))
    tifffile.imwrite(
        path, pixels, tile=(256, 256), photometric="rgb",
        resolution=(1e4 / slide.mpp,) * 2, resolutionunit="CENTIMETER",
    )  # fmt: skip
    with open_slide(path) as again:
        yield again, turned.similarity


def errors_px(own: np.ndarray, truth: PhantomTruth, power: int, turn: Similarity) -> np.ndarray:
    """Errors of patches in positions of the scans, of which the 4× one was put in again."""
    table = own.copy()
    half = 256 * 0.293
    here = np.stack([own["row_um"], own["col_um"]], axis=1) + half
    before = turn.undo(here)
    table["row_um"], table["col_um"] = (before - half).T
    for at, axis in enumerate(("row", "col")):
        table[f"offset_{axis}_um_{power}x"] += here[:, at] - before[:, at]
    return true_errors_px(table, truth, power)


@pytest.mark.parametrize(("angle", "scale", "mirrored"), [(0.7, 1.0, False), (93.5, 0.985, True)])
def test_a_turned_scan_is_found_where_the_truth_says(
    slides: list[Slide], truth: PhantomTruth, tmp_path: Path, angle: float, scale: float, mirrored: bool
) -> None:
    low, mid, high = slides
    with put_in_again(low, Similarity.of(angle, scale, mirrored), tmp_path / "again.tif") as (again, turn):
        found = register_slides(again, mid, high, CONFIG)
        assert isinstance(found.low_as_high, TurnedSlide)
        own = as_scanned(found.patches, {"turned": turns_of(found)})
        back = found.low_as_high.similarity
        whole = Similarity(back.matrix @ turn.matrix, back.matrix @ turn.shift_um + back.shift_um)
        assert whole.angle_deg == pytest.approx(0, abs=0.1)
        assert whole.scale == pytest.approx(1, abs=2e-3)
        assert not whole.mirrored
        assert found.accepted_share >= 0.9
        for power, most_px in ((10, 0.07), (20, 0.14)):  # as without a turn, on so few patches
            assert np.abs(errors_px(own, truth, power, turn)).mean() < most_px


def test_pairs_of_a_turned_scan_lie_on_each_other_also_after_a_kill(
    slides: list[Slide], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    low, mid, high = slides
    with put_in_again(low, Similarity.of(91.0), tmp_path / "again.tif") as (again, _):
        with monkeypatch.context() as patch:

            def stop(*_: object) -> None:
                raise KeyboardInterrupt

            patch.setattr(cutting, "cut_patch", stop)
            with pytest.raises(KeyboardInterrupt):
                register_into(tmp_path / "pairs.zarr", again, mid, high, CONFIG)
        assert len(PairsFile(tmp_path / "pairs.zarr")) == 0
        assert register_into(tmp_path / "pairs.zarr", again, mid, high, CONFIG) >= 10
        pairs = PairsFile(tmp_path / "pairs.zarr")
        turned = pairs.slides[0]["found"]["turned"]["4x"]
        assert abs(turned["angle_deg"]) == pytest.approx(91, abs=0.1)
        for lr, mr, hr in (pairs[row] for row in range(len(pairs))):
            for finer in (mr, hr):
                step = len(finer) // len(lr)
                small = finer[..., 1].reshape(128, step, 128, step).mean(axis=(1, 3))[8:-8, 8:-8]
                peak = match(np.asarray(1 - small / 255, np.float32), absorption(lr))
                assert peak.correlation > 0.8
                assert np.abs([peak.row - 8, peak.col - 8]).max() < 0.5
        with pytest.raises(OptionError, match="put in again"):
            open_scans(pairs, 0, 20)


def test_patches_of_a_slightly_turned_scan_are_shown_where_they_lie_in_it(
    slides: list[Slide], truth: PhantomTruth, tmp_path: Path
) -> None:
    low, mid, high = slides
    with put_in_again(low, Similarity.of(0.8), tmp_path / "again.tif") as (again, turn):
        register_into(tmp_path / "pairs.zarr", again, mid, high, CONFIG)
        pairs = PairsFile(tmp_path / "pairs.zarr")
        own = as_scanned(pairs.table, pairs.slides[0]["found"])
        for scan in open_scans(pairs, 0, 20):
            scan.close()
    assert np.abs(errors_px(own, truth, 20, turn)).max() < 0.7
    apart = np.stack([own[axis] - pairs.table[axis] for axis in ("row_um", "col_um")])
    assert np.abs(apart).max() > 2


def test_another_slide_is_refused_however_it_lies(slides: list[Slide], stranger: Slide) -> None:
    with pytest.raises(DifferentSlidesError, match=r"do not seem to show the same slide.*turned or mirrored"):
        register_slides(stranger, *slides[1:])


def test_a_pixel_size_that_is_wrong_is_refused(slides: list[Slide]) -> None:
    low, mid, high = slides
    with open_slide(low.path, low.mpp * 1.06) as wrong, pytest.raises(DifferentSlidesError):
        register_slides(wrong, mid, high)
