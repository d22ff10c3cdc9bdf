"""Tables as CSV hold nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.review.csv_file import write_csv
from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.report import write_report
from napari_pathsrgan.review.results import compute_results
from napari_pathsrgan.review.session import Session

from .ratings import rating, scores_of

Make = Callable[..., tuple[Path, Key]]
FORMULA = "=HYPERLINK(A1)"


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "\n@"])
def test_text_like_a_formula_begins_with_an_apostrophe(tmp_path: Path, start: str) -> None:
    write_csv(tmp_path / "a.csv", [("rater", -1.5, "-2.5", None), (f"{start}cmd", "a-b", "", "=")])
    assert cells(tmp_path / "a.csv") == [["rater", "-1.5", "-2.5", ""], [f"'{start}cmd", "a-b", "", "'="]]


def test_names_and_comments_of_raters_are_text_in_every_table(make_review: Make, tmp_path: Path) -> None:
    path, _ = make_review()
    session = Session(path, FORMULA)
    session.rate(3, 1.0)
    session.comment("@SUM(A1)")
    session.close()
    assert main(["review", "export", str(path), str(tmp_path / "ratings.csv")]) == 0
    assert not [cell for row in cells(tmp_path / "ratings.csv") for cell in row if cell.startswith(("=", "@"))]
    ratings = [rating(FORMULA, f"p{n}", ("@a", "+b")[n % 2], n % 5 + 1, comment="-x", label="=y") for n in range(8)]
    scores = scores_of(ratings, ["@a", "+b"])
    write_report(tmp_path / "out", compute_results(scores), scores)
    for name in ("methods.csv", "ratings.csv"):
        table = cells(tmp_path / "out" / name)
        assert not [cell for row in table for cell in row if cell.startswith(("=", "@", "+", "-x"))]
        assert any(cell.startswith("'") for row in table for cell in row)
