"""`pathsrgan register` and `pathsrgan accuracy`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.phantom.scanner import PhantomFiles
from napari_pathsrgan.registration.cutting import open_scans
from napari_pathsrgan.registration.pairs import PairsFile
from napari_pathsrgan.slides.slide import Slide

FEW = ("--max-patches", "3")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_three_scans_then_their_accuracy(
    triplet: PhantomFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = tmp_path / "places.geojson"
    scans = [triplet.scans[power] for power in (4, 10, 20)]
    assert run("register", tmp_path / "p", *scans, *FEW, "--split", "test", "--places", places, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["pairs"] == report["slides"][0]["count"] > 0
    assert report["slides"][0]["split"] == "test"
    assert len(json.loads(places.read_text())["features"]) == report["pairs"]
    low, high = open_scans(PairsFile(tmp_path / "p"), 0, 10)
    assert (low.path, high.path) == (triplet.scans[4].resolve(), triplet.scans[10].resolve())
    low.close()
    high.close()
    assert run("accuracy", tmp_path / "p", "--truth", triplet.truth) == 0
    out = capsys.readouterr().out
    assert "truth" in out
    assert "paper" in out
    assert run("accuracy", tmp_path / "p", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["table"]) == 4


def test_a_folder_and_a_list_of_slides(triplet: PhantomFiles, tmp_path: Path) -> None:
    assert run("register", tmp_path / "folder", triplet.folder, *FEW) == 0
    table = tmp_path / "slides.csv"
    names = [str(triplet.scans[power]) for power in (4, 10, 20)]
    table.write_text(f"low,mid,high,split\n{','.join(names)},test\n")
    assert run("register", tmp_path / "list", table, *FEW) == 0
    folder, listed = PairsFile(tmp_path / "folder"), PairsFile(tmp_path / "list")
    np.testing.assert_array_equal(folder.table["row_um"], listed.table["row_um"])
    assert set(listed.table["split"]) == {"test"}


def test_annotations_restrict_and_label(triplet: PhantomFiles, tmp_path: Path) -> None:
    half = [[0, 0], [290, 0], [290, 600], [0, 600], [0, 0]]  # the left half of the 4× scan, x before y
    area = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [half]},
        "properties": {"classification": {"name": "atypical"}},
    }
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [area]}))
    scans = [triplet.scans[power] for power in (4, 10, 20)]
    assert run("register", tmp_path / "p", *scans, "--annotations", tmp_path / "a.geojson") == 0
    table = PairsFile(tmp_path / "p").table
    assert len(table) > 0
    assert set(table["label"]) == {"atypical"}
    assert (table["col_um"] + 75 < 290 * 1.465).all()


def test_single_fields(tmp_path: Path) -> None:
    image = np.full((700, 760, 3), 240, np.uint8)
    for at in range(60, 700, 90):
        cv2.circle(image, (at, 760 - at), 30, (180, 90, 150), -1)
    (tmp_path / "fields").mkdir()
    cv2.imwrite(str(tmp_path / "fields" / "one.png"), image)
    assert run("register", tmp_path / "p", "--from-fields", tmp_path / "fields", "--mpp", "0.27") == 0
    assert PairsFile(tmp_path / "p").table["simulated"].all()


def test_bad_input_is_one_sentence(
    triplet: PhantomFiles, stranger: Slide, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finer = [triplet.scans[10], triplet.scans[20]]
    cases = [
        (["register", tmp_path / "p", stranger.path, *finer], "same slide"),
        (["register", tmp_path / "p", *finer], "Give the 4×, 10× and 20× scan"),
        (["register", tmp_path / "p", tmp_path], "holds no slides"),
        (["register", tmp_path / "p", tmp_path / "none.csv"], "cannot be read"),
        (["accuracy", tmp_path / "none"], "no pairs file"),
    ]
    for arguments, said in cases:
        assert run(*arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert "Traceback" not in error
