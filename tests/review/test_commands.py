"""`pathsrgan review`: from images to a report, and bad input in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import save_generator
from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, PATCH_FIELDS
from napari_pathsrgan.registration.pairs import Planned, append
from napari_pathsrgan.review.key import read_key
from napari_pathsrgan.review.session import Session


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]

QUICK = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes no time."""
    options = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    card = ModelCard(name="tiny", preset="lite", preset_options=options, halo_lr_px=16)
    save_generator(build_generator("lite", **options), card, path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for method in ("a", "b", "c"):
        (folder / method).mkdir(parents=True)
        for number in range(12):
            rng = np.random.default_rng([number, ord(method)])
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / method / f"{number}.png")
    return folder


def rate(path: Path, rater: str, count: int = 1000) -> None:
    with Session(path, rater) as session:
        while session.place is not None and session.place < count:
            session.rate(1 + (session.place + len(rater)) % (5 if session.mode == "single" else 3), 1.0)


@pytest.mark.parametrize("mode", ["single", "pair"])
def test_from_a_folder_to_a_report(mode: str, run: Run, images: Path, tmp_path: Path) -> None:
    review = tmp_path / "study.review"
    made = run("review", "new", review, images, "--patches", 6, "--mode", mode, "--warm-up", 1, "--title", "Study")
    assert made.code == 0, made.err
    assert "18 images of 6 fields by a, b, c" in made.out
    assert "Nobody has begun" in run("review", "status", review).out
    rate(review, "A")
    copy = tmp_path / "copy.review"
    assert run("review", "export", review, copy).code == 0
    rate(copy, "BB", 9)
    assert "new: BB" in run("review", "import", review, copy).out
    assert "known already: BB" in run("review", "import", review, copy).out
    states = json.loads(run("review", "status", review, "--json").out)
    assert [(state["rater"], state["rated"]) for state in states] == [("A", 25), ("BB", 9)]
    ended = run("review", "report", review, "--out", tmp_path / "report")
    assert ended.code == 0, ended.err
    assert "Unfinished: BB has rated 8 of 24" in ended.err
    assert ("MOS" in ended.out) == (mode == "single")
    assert ("preference" in ended.out) == (mode == "pair")
    assert (tmp_path / "report" / "report.html").exists()
    record = json.loads(run("review", "report", review, "--json", "--finished-only").out)
    assert [rater["name"] for rater in record["raters"]] == ["A"]
    ratings = run("review", "export", review, tmp_path / "ratings.csv")
    assert "34 ratings" in ratings.out


def write_pairs(path: Path, count: int = 8) -> Path:
    def cut(row: np.void) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(int(row["hr_row_px"]))
        hr = cv2.GaussianBlur(rng.integers(0, 256, (HR_PX, HR_PX, 3), np.uint8), (0, 0), 3)
        mr, lr = (cv2.resize(hr, (side, side), interpolation=cv2.INTER_AREA) for side in (MR_PX, LR_PX))
        return lr, mr, hr

    table = np.zeros(count, PATCH_FIELDS)
    table["hr_row_px"] = np.arange(count)
    table["foreground"] = np.linspace(0.1, 0.9, count)
    labels = np.array(["NILM", "HSIL"] * (count // 2), np.str_)
    append(path, "case-1", {"fingerprints": {"4x": "1"}}, "test", lambda: Planned(table, labels, {}), cut)
    return path


def test_from_pairs_there_is_the_real_scan_and_figures(run: Run, tiny: Path, tmp_path: Path) -> None:
    pairs, review = write_pairs(tmp_path / "pairs.zarr"), tmp_path / "study.review"
    options = (
        "--patches",
        3,
        "--warm-up",
        1,
        "--anchors",
        1,
        "--models",
        tiny,
        "--device",
        "cpu",
        "--precision",
        "fp32",
    )
    made = run("review", "new", review, pairs, *options)
    assert made.code == 0, made.err
    key = read_key(tmp_path / "keys" / "study.key.json")
    assert key.methods == ["bicubic", "real", "tiny"]
    assert key.made["pairs"] == "pairs.zarr"
    assert set(key.made["models"]) == {"tiny"}
    rated = [entry for entry in key.images.values() if entry.use == "rating"]
    assert len(rated) == 9
    for entry in rated:
        assert set(entry.measures) == (set() if entry.method == "real" else {"psnr", "ssim"})
        assert entry.label in ("NILM", "HSIL")
        assert entry.patch != "row 0"  # too little foreground
    with Session(review, "A") as session:
        assert [key.images[name].method for _, name in session.anchors] == ["bicubic", "real"]
        name = next(name for name, entry in key.images.items() if entry.method == "real")
        real = cv2.GaussianBlur(
            np.random.default_rng(int(key.images[name].patch.split()[1])).integers(0, 256, (512, 512, 3), np.uint8),
            (0, 0), 3,
        )  # fmt: skip
        np.testing.assert_array_equal(session.image(name), real)
    again = run("review", "new", tmp_path / "more.review", pairs, "--patches", 20, *options[6:])
    assert again.code == 2
    assert "needs 25 fields with cells" in again.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("more")) == []


def write_slide(path: Path) -> Path:
    """1.2 mm of cells on the left and background on the right."""
    rng = np.random.default_rng(0)
    image = 238 + rng.integers(-1, 2, (820, 820, 3))
    image[:, :400] = cv2.GaussianBlur(rng.integers(0, 256, (820, 400, 3), np.uint8), (0, 0), 2)
    text = "Aperio Image Library\n820x820 [0,0 820x820] (256x256) JPEG/RGB Q=90|AppMag = 4|MPP = 1.465"
    tifffile.imwrite(
        path, image.astype(np.uint8), tile=(256, 256), compression="deflate", photometric="rgb", description=text,
        metadata=None,
    )  # fmt: skip
    return path


def test_from_a_slide_and_its_areas(run: Run, tiny: Path, tmp_path: Path) -> None:
    slide, review = write_slide(tmp_path / "case-1.svs"), tmp_path / "study.review"
    ring = [[0, 0], [300, 0], [300, 820], [0, 820], [0, 0]]
    areas = tmp_path / "areas.geojson"
    areas.write_text(
        json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {
            "type": "Polygon", "coordinates": [ring]}, "properties": {"classification": {"name": "HSIL"}}}]})
    )  # fmt: skip
    options = (
        "--patches",
        2,
        "--warm-up",
        1,
        "--annotations",
        areas,
        "--models",
        tiny,
        "--device",
        "cpu",
        "--precision",
        "fp32",
    )
    made = run("review", "new", review, slide, *options)
    assert made.code == 0, made.err
    key = read_key(tmp_path / "keys" / "study.key.json")
    assert key.methods == ["bicubic", "tiny"]
    assert {entry.use for entry in key.images.values()} == {"rating", "warm-up"}  # nothing to show as excellent
    for entry in key.images.values():
        assert entry.label == "HSIL"
        assert int(entry.patch.split()[-1]) + 256 < 300 * 5
        assert entry.slide == "case-1.svs"
    nowhere = run("review", "new", tmp_path / "x.review", slide, "--region", "0,700,500,400", *options[6:])
    assert nowhere.code == 2
    assert "there are 0" in nowhere.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("new", "x.review"), "nothing to make a review of"),
        (("new", "x.review", "none.svs"), "none.svs"),
        (("new", "x.review", "images", "--patches", 0), "--patches can't be '0'"),
        (("new", "x.review", "images", "--worst", "a", "--best", "z", "--patches", 3), "no images of “z”"),
        (("status", "none.review"), "There is no file none.review"),
        (("report", "none.review"), "There is no file none.review"),
        (("export", "none.review", "y.review"), "There is no file"),
        (("export", "none.review", "y.csv"), "There is no file"),
        (("import", "x.review"), "no copy to import"),
    ],
)
def test_bad_input_ends_in_one_sentence(
    arguments: tuple[object, ...], sentence: str, run: Run, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images.parent)
    ended = run("review", *arguments)
    assert ended.code == 2
    assert sentence in ended.err
    assert len(ended.err.splitlines()) == 1
    assert [path.name for path in images.parent.iterdir()] == ["images"]


def test_models_of_one_name_are_refused(run: Run, tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.zarr")
    ended = run("review", "new", tmp_path / "x.review", pairs, "--models", "lite", "lite", "--device", "cpu")
    assert ended.code == 2
    assert "Two methods are called “lite”" in ended.err
