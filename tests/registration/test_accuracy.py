"""The measures of accuracy: they say what was done to the pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.phantom.truth import PhantomTruth
from napari_pathsrgan.registration import pairs
from napari_pathsrgan.registration.accuracy import Accuracy, table_ii_accuracy, true_errors_px
from napari_pathsrgan.registration.cutting import cut_patch
from napari_pathsrgan.registration.fine import PATCH_FIELDS, Registration
from napari_pathsrgan.registration.pairs import PairsFile, Planned


def test_matching_again_tells_what_was_moved(registration: Registration, tmp_path: Path) -> None:
    """Pairs as cut, and with HR moved by 2 px along rows."""
    scans = (registration.low, registration.mid, registration.high)
    table = registration.patches[:4].copy()
    moved = table.copy()
    moved["hr_row_px"] += 2
    measured = []
    for name, rows in (("kept", table), ("moved", moved)):
        planned = Planned(rows, np.full(4, ""), {})
        pairs.append(
            tmp_path / name, name, {"name": name}, "train", lambda planned=planned: planned,
            lambda patch: cut_patch(*scans, patch),
        )  # fmt: skip
        measured.append(table_ii_accuracy(PairsFile(tmp_path / name)))
    for (in_mid, in_high), row_px in zip(measured, (0, 2), strict=True):
        assert np.abs(in_mid.errors_px).mean() < 0.4  # MR keeps its own grid: a quarter of a pixel at most, and noise
        assert np.median(in_high.errors_px[:, 0]) == pytest.approx(row_px, abs=0.4)
        assert np.median(in_high.errors_px[:, 1]) == pytest.approx(0, abs=0.4)
        assert in_high.row()["pairs"] == 4


def test_errors_are_in_pixels_of_the_finer_scan(registration: Registration, truth: PhantomTruth) -> None:
    wrong = registration.patches.copy()
    before = true_errors_px(wrong, truth, 20)
    wrong["offset_col_um_20x"] += 0.293
    np.testing.assert_allclose(true_errors_px(wrong, truth, 20) - before, np.tile([0, 1], (len(wrong), 1)), atol=1e-9)


def test_table_and_histogram() -> None:
    errors = np.stack([np.linspace(-1, 1, 101), np.zeros(101)], axis=1)
    accuracy = Accuracy(10, errors, "truth")
    row = accuracy.row()
    assert row["mean_px"] == (0.0, pytest.approx(0.505, abs=0.001))  # X, then Y, as the paper's table
    assert row["max_px"] == (0.0, 1.0)
    counts, edges = accuracy.histogram(10)
    assert counts.sum() == 101
    assert len(edges) == 11


def test_no_pairs_no_measure(tmp_path: Path) -> None:
    empty = Planned(np.empty(0, PATCH_FIELDS), np.empty(0, "U1"), {})
    pairs.append(tmp_path / "p", "none", {}, "train", lambda: empty, lambda _: pytest.fail("nothing to cut"))
    with pytest.raises(OptionError, match="holds no pairs"):
        table_ii_accuracy(PairsFile(tmp_path / "p"))
