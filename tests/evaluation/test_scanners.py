"""Gains by scanner: what is measured, on what, and what the report says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_pathsrgan.commands.app import run_command
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.evaluation import unseen
from napari_pathsrgan.evaluation.scanner_report import table, write_report
from napari_pathsrgan.evaluation.scanners import FAULTS, randomised_scanners, score_fields, summarise
from napari_pathsrgan.imaging.scanner import CLEAN
from napari_pathsrgan.slides.resample import enlarge

MPP = 0.293


class Bicubic:
    """A model that enlarges: it gains nothing."""

    def apply(self, lr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return enlarge(lr, 2), enlarge(lr, 4)


class Darker(Bicubic):
    """A model that is wrong by ten levels."""

    def apply(self, lr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mr, hr = super().apply(lr)
        return mr - np.uint8(10), hr - np.uint8(10)


def smear(_: Path) -> np.ndarray:
    """Dots on a light background, 1,000 px a side."""
    image = np.full((1000, 1000, 3), 235, np.uint8)
    for row, col in np.random.default_rng(0).integers(100, 900, (60, 2)):
        cv2.circle(image, (int(col), int(row)), 12, (120, 60, 140), -1, cv2.LINE_AA)
    return image


def test_gains_are_measured_against_bicubic_enlargement() -> None:
    made = {name: FAULTS[name] for name in ("clean, γ 2.2", "JPEG 50")}
    scores = score_fields({"bicubic": Bicubic(), "darker": Darker()}, [Path("a.png")], MPP, made, smear)
    assert [(score.scanner, score.model) for score in scores] == [
        (name, model) for name in made for model in ("bicubic", "darker")
    ]
    for score in scores:
        if score.model == "bicubic":
            assert score.gain_20x == score.gain_10x == 0
        else:
            assert score.gain_20x < -1
            assert score.gain_10x < -1
    assert scores[0].psnr_20x > scores[2].psnr_20x, "JPEG costs"


def test_a_perceptual_distance_is_given_as_a_share_of_the_bicubic_one() -> None:
    def distance(computed: np.ndarray, real: np.ndarray) -> float:
        return float(np.abs(computed.astype(int) - real).mean())

    made = {"clean": CLEAN}
    scores = score_fields({"bicubic": Bicubic(), "darker": Darker()}, [Path("a.png")], MPP, made, smear, distance)
    assert scores[0].perceptual == 1
    assert scores[1].perceptual is not None
    assert scores[1].perceptual > 1.5


def test_randomised_scanners_are_summarised_together() -> None:
    drawn = randomised_scanners(3)
    assert len(set(drawn.values())) == 3
    assert randomised_scanners(3) == drawn
    scores = score_fields({"bicubic": Bicubic()}, [Path("a.png"), Path("b.png")], MPP, drawn, smear)
    (summary,) = summarise([replace(score, gain_20x=number) for number, score in enumerate(scores)])
    assert (summary.scanner, summary.fields, summary.gain_20x, summary.worst_20x) == ("randomised", 6, 2.5, 0)


def test_the_report_holds_table_chart_and_scores(tmp_path: Path) -> None:
    scores = score_fields({"bicubic": Bicubic()}, [Path("a.png")], MPP, {"clean": CLEAN}, smear)
    summaries = summarise(scores)
    write_report(tmp_path / "report", {"fields": "<b>"}, scores, summaries)
    assert "&lt;b&gt;" in (tmp_path / "report/report.html").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "report/scores.json").read_text(encoding="utf-8"))
    assert record["summaries"][0]["gain_20x"] == 0
    assert cv2.imread(str(tmp_path / "report/chart.png")) is not None
    assert table(summaries)[1][:4] == ["clean", "bicubic", "1", "+0.00"]


def test_the_command_measures_fields_that_trainings_leave_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "fields"
    folder.mkdir()
    cv2.imwrite(str(folder / "field-0.png"), smear(folder)[:, :, ::-1])  # left out by its name
    wanted = [
        "evaluate-scanners",
        str(folder),
        "--models",
        "lite-psnr",
        "--mpp",
        "0.293",
        "--randomised",
        "0",
        "--json",
    ]
    assert run_command(wanted)[0] == 0
    record = json.loads(capsys.readouterr().out)
    assert {one["scanner"] for one in record["summaries"]} == set(FAULTS)
    assert {one["model"] for one in record["summaries"]} == {"lite-psnr"}
    (folder / "field-0.png").rename(folder / "field-1.png")
    assert run_command(wanted)[0] == 2
    assert "no field that trainings leave out" in capsys.readouterr().err


def test_the_unseen_distance_tells_the_same_from_blurred_and_from_other() -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="EfficientNet-Lite0 is not installed")
    distance = unseen.UnseenDistance()
    image = smear(Path())[:256, :256]
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), 3), np.uint8)
    assert distance(image, image) == 0
    assert 0 < distance(blurred, image) < distance(image[::-1], image) < 4


def test_without_its_network_the_unseen_distance_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(OptionError, match="EfficientNet-Lite0"):
        unseen.UnseenDistance()
