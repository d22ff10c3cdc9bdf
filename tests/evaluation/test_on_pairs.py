"""Evaluation on a pairs file: `on_pairs`, the report, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.stats
from PIL import Image

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.evaluation import report
from napari_pathsrgan.evaluation.metrics import psnr
from napari_pathsrgan.evaluation.on_pairs import (
    BICUBIC,
    MODEL,
    REAL,
    choose_rows,
    evaluate_pairs,
    representative_rows,
    summarise,
)
from napari_pathsrgan.registration.fine import PATCH_FIELDS
from napari_pathsrgan.registration.pairs import PairsFile, Planned, append
from napari_pathsrgan.slides.resample import enlarge
from napari_pathsrgan.types import Pixels

from .test_metrics import checks


def draw(number: int) -> tuple[Pixels, Pixels, Pixels]:
    hr = cv2.GaussianBlur(checks(512, 512, number), (0, 0), 3)
    mr, lr = (cv2.resize(hr, (side, side), interpolation=cv2.INTER_AREA) for side in (256, 128))
    return lr, mr, hr


class Oracle:
    """Knows the truth of every second patch; enlarges the others."""

    def __init__(self, count: int) -> None:
        self._known = {lr.tobytes(): (mr, hr) for lr, mr, hr in map(draw, range(0, count, 2))}

    def apply(self, patch: Pixels) -> tuple[Pixels, Pixels]:
        return self._known.get(patch.tobytes(), (enlarge(patch, 2), enlarge(patch, 4)))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairsFile:
    """Four slides of two patches each; the first is for training."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.zarr"
    for slide in range(4):
        table = np.zeros(2, PATCH_FIELDS)
        table["hr_row_px"] = 2 * slide + np.arange(2)
        labels = np.full(2, "", np.str_)
        append(
            path, f"case-{slide}", {"fingerprints": {"4x": f"{slide}"}}, "test" if slide else "train",
            lambda t=table, n=labels: Planned(t, n, {}), lambda patch: draw(int(patch["hr_row_px"])),
        )  # fmt: skip
    return PairsFile(path)


def test_rows_are_those_of_the_split_and_the_same_draw(pairs: PairsFile) -> None:
    assert list(choose_rows(pairs, "all", None)) == list(range(8))
    assert list(choose_rows(pairs, "train", None)) == [0, 1]
    few = choose_rows(pairs, "test", 3)
    assert len(few) == 3
    assert set(few) <= set(range(2, 8))
    np.testing.assert_array_equal(few, choose_rows(pairs, "test", 3))
    with pytest.raises(OptionError, match="no pairs for"):
        choose_rows(pairs, "validation", None)


def test_model_and_bicubic_are_scored_against_the_real_pictures(pairs: PairsFile) -> None:
    told: list[tuple[float, float]] = []
    scores = evaluate_pairs(Oracle(8), pairs, range(8), lambda *done: told.append(done))
    assert told[-1] == (8, 8)
    assert len(scores) == 5 * 8
    by = {(score.row, score.view, score.method): score.values for score in scores}
    lr, _, hr = draw(3)
    assert by[2, "20x", MODEL]["psnr"] > 98
    assert by[3, "20x", MODEL] == by[3, "20x", BICUBIC]
    assert by[3, "20x", BICUBIC]["psnr"] == pytest.approx(psnr(enlarge(lr, 4), hr))
    assert by[2, "20x", MODEL]["consistency"] == by[2, "20x", REAL]["consistency"]
    assert "consistency" not in by[2, "10x", MODEL]

    total, *by_slide = summarise(scores)
    assert (total.slide, total.view, total.method, total.patches) == ("", "10x", MODEL, 8)
    ours = [values["psnr"] for (_, view, method), values in by.items() if (view, method) == ("10x", MODEL)]
    assert total.means["psnr"] == pytest.approx(np.mean(ours))
    low, high = total.intervals["psnr"]
    assert low < total.means["psnr"] < high
    assert all(one.patches == 2 and not one.intervals for one in by_slide if one.slide)

    shown = representative_rows(scores, 4)
    assert len(shown) == len(set(shown)) == 4
    assert shown[0] % 2 == 1  # no gain
    assert shown[-1] % 2 == 0


def test_intervals_are_students_over_slides_and_one_slide_has_none(pairs: PairsFile) -> None:
    scores = evaluate_pairs(Oracle(8), pairs, range(4))
    total = summarise(scores)[0]
    by_slide: dict[str, list[float]] = {}
    for one in scores:
        if (one.view, one.method) == (total.view, total.method):
            by_slide.setdefault(one.slide, []).append(one.values["psnr"])
    means = [np.mean(values) for values in by_slide.values()]
    assert len(means) == 2
    assert total.means["psnr"] == pytest.approx(np.mean(means))
    expected = scipy.stats.ttest_1samp(means, 0).confidence_interval()
    assert total.intervals["psnr"] == pytest.approx((expected.low, expected.high))
    assert not summarise([one for one in scores if one.slide == scores[0].slide])[0].intervals


def test_the_verb_prints_and_writes(pairs: PairsFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    # With a backend named: which is the faster one here may change from one run to the next.
    options = ["--split", "all", "--max-patches", "3", "--examples", "2", "--device", "cpu", "--backend", "torch"]
    assert main(["evaluate", str(pairs.path), *options, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "PSNR, dB" in printed
    assert BICUBIC in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report"]
    record = json.loads((out / "scores.json").read_text())
    assert record["about"]["model"] == "lite"
    assert len(record["patches"]) == 15
    page = (out / "report.html").read_text()
    assert "not for diagnosis" in page
    assert f"{record['summaries'][0]['means']['psnr']:.2f}" in page
    sheet = np.asarray(Image.open(out / "contact_sheet.png"))
    assert sheet.shape == (2 * 262 + 30, 96 + 6 * 262, 3)
    assert main(["evaluate", str(pairs.path), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["evaluate", str(pairs.path), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["about"] == record["about"]
    assert main(["evaluate", str(pairs.path), "--max-patches", "0"]) == 2


def test_a_full_disk_leaves_nothing(pairs: PairsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = evaluate_pairs(Oracle(8), pairs, [0])
    sheet = report.contact_sheet(Oracle(8), pairs, [0])

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="no room left"):
        report.write_report(tmp_path / "r", {}, scores, summarise(scores), sheet)
    assert list(tmp_path.iterdir()) == []
