"""Results as a table, a page and files."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import MissingPartError, OutputError
from napari_pathsrgan.review.plots import draw_means
from napari_pathsrgan.review.report import table_iii, tables, write_report
from napari_pathsrgan.review.results import compute_results
from napari_pathsrgan.review.scores import RaterState, Scores
from napari_pathsrgan.review.statistics import OpinionScore

from .ratings import rating, scores_of
from .test_statistics import METHODS, rate_all


@pytest.fixture(scope="module")
def scores() -> Scores:
    ratings = rate_all(3, 8)
    ratings += [replace(one, repeat=True, score=3) for one in ratings[:4]]
    ratings[0] = replace(ratings[0], comment="a <b> & c", flagged=True)
    found = scores_of(ratings, METHODS)
    measures = {"bicubic": {"psnr": 25.25, "ssim": 0.82}, "lite": {"psnr": 26.9, "ssim": 0.88}}
    raters = [*found.raters[:2], RaterState("r2", 32, 36), RaterState("r3", 0, 36)]
    return replace(found, title="Study <1>", raters=raters, measures=measures)


def test_results_are_laid_out_as_table_iii(scores: Scores) -> None:
    results = compute_results(scores)
    rows = {row[0]: row[1:] for row in table_iii(results)}
    assert rows[""] == METHODS
    assert rows["PSNR, dB"] == ["25.25", "26.90", "–", "–"]
    assert rows["SSIM"] == ["0.820", "0.880", "–", "–"]
    assert [float(one) for one in rows["MOS"]] == pytest.approx([one.mean for one in results.opinions], abs=0.005)
    assert rows["paper's MOS"] == ["1.05", "–", "–", "4.42"]


def test_unfinished_sessions_are_reported_as_such(scores: Scores) -> None:
    notes = compute_results(scores).notes
    assert "Unfinished: r2 has rated 32 of 36; these ratings are included." in notes
    assert "Not begun: r3." in notes
    single = scores_of([one for one in scores.ratings if one.rater == "r0"], METHODS)
    assert any(note.startswith("One rater only") for note in compute_results(single).notes)


def test_a_report_is_written_whole(scores: Scores, tmp_path: Path) -> None:
    out = tmp_path / "new" / "report"
    results = compute_results(scores)
    written = write_report(out, results, scores)
    assert sorted(path.name for path in out.iterdir()) == ["methods.csv", "ratings.csv", "report.html", "report.json"]
    assert set(written) == set(out.iterdir())
    record = json.loads((out / "report.json").read_text())
    assert record["opinions"][3]["method"] == "real"
    assert (record["format"], record["version"]) == ("napari-pathsrgan review report", 2)
    assert record["study"] == "study-1"
    assert datetime.now(UTC) - datetime.fromisoformat(record["date"]) < timedelta(minutes=5)
    assert record["iccs"][""]["raters"] == 3
    assert set(record["alphas"]) == {"ordinal", "interval"}
    with (out / "ratings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(scores.ratings)
    assert rows[0]["comment"] == "a <b> & c"
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "Study &lt;1&gt;" in page
    assert "Unfinished: r2" in page
    assert "not for diagnosis" in page
    assert "width=device-width" in page
    HTMLParser().feed(page)
    with pytest.raises(OutputError, match="exists already"):
        write_report(out, results, scores)


def test_the_table_of_methods_has_a_number_in_every_column(scores: Scores, tmp_path: Path) -> None:
    results = compute_results(scores)
    write_report(tmp_path / "report", results, scores)
    with (tmp_path / "report" / "methods.csv").open() as file:
        rows = {row.pop("method"): row for row in csv.DictReader(file)}
    assert list(rows) == METHODS
    for one in results.opinions:
        row = rows[one.method]
        assert all(value == "" or float(value) is not None for value in row.values())
        found = [float(row[name]) for name in ("mos", "mos_low", "mos_high")]
        assert found == pytest.approx([one.mean, one.low, one.high], rel=1e-5)
        assert [int(row[f"rated_{score}"]) for score in range(1, 6)] == list(one.counts)
    assert (rows["bicubic"]["psnr_db"], rows["real"]["psnr_db"], rows["lite"]["paper_mos"]) == ("25.25", "", "")


def test_no_score_lies_on_the_line_of_its_interval() -> None:
    opinions = [OpinionScore("low", 1.1, 1.0, 1.6, 0.0, (9, 1, 0, 0, 0), 0, 1.0)]
    opinions += [OpinionScore("high", 4.9, 4.6, 5.0, 0.0, (0, 0, 0, 1, 9), 0, 1.0)]
    opinions += [OpinionScore("no interval", 3.0, math.nan, math.nan, 0.0, (0, 0, 1, 0, 0), 0, 1.0)]
    axes = draw_means(opinions).axes[0]
    axes.figure.canvas.draw()
    texts = [text.get_window_extent() for text in axes.texts]
    lines = [axes.transData.transform(line.get_segments()[0]) for line in axes.collections]
    assert (len(texts), len(lines)) == (3, 2)
    assert not any(text.contains(*point) for text in texts for line in lines for point in np.linspace(*line, 50))
    assert all(axes.get_window_extent().y1 >= text.y1 for text in texts)


def test_pairs_have_preferences(tmp_path: Path) -> None:
    ratings = [
        rating(rater, f"f{field}", pair, 1 + (field + place) % 3)
        for rater in "AB"
        for field in range(9)
        for place, pair in enumerate((("bicubic", "lite"), ("real", "bicubic"), ("lite", "real")))
    ]
    results = compute_results(scores_of(ratings, ["bicubic", "lite", "real"], "pair"))
    assert results.iccs == {}
    assert results.alphas["nominal"].value == pytest.approx(1.0)
    assert [one.compared for one in results.preferences] == [36, 36, 36]
    assert any("left image was chosen in 50 %" in note for note in results.notes)
    heads = [title for title, _ in tables(results)]
    assert "Choices" in heads
    scores = scores_of(ratings, ["bicubic", "lite", "real"], "pair")
    write_report(tmp_path / "report", results, scores)
    assert "log odds" in (tmp_path / "report" / "report.html").read_text()


def test_a_place_that_cannot_be_written_is_told(scores: Scores, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="report cannot be written"):
        write_report(tmp_path / "file" / "report", compute_results(scores), scores)


def test_a_missing_library_is_told(scores: Scores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "krippendorff", None)
    with pytest.raises(MissingPartError, match="krippendorff"):
        compute_results(scores)
