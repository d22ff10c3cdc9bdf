"""The command line: what commands print, and that bad input ends in one sentence and exit code 2, with nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import platformdirs
import pytest
import tifffile

from napari_pathsrgan import __version__
from napari_pathsrgan.commands.app import main
from napari_pathsrgan.commands.output import columns, thousands
from napari_pathsrgan.models.zoo import model_card
from napari_pathsrgan.slides.slide import Slide

SIZE_UM = 130.0


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "seed 4"
    assert main(["phantom", str(folder), "--size-um", str(SIZE_UM), "--seed", "4", "--magnifications", "4"]) == 0
    return folder


@pytest.fixture(scope="session")
def scan(phantom: Path) -> Path:
    return phantom / "4x.tiff"


def write_tiff(path: Path, mpp: float | None, side: int = 64) -> Path:
    """Write a tiled TIFF, with its pixel size or without."""
    pixels = np.full((side, side, 3), 230, np.uint8)
    stated = {} if mpp is None else {"resolution": (1e4 / mpp,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, tile=(64, 64), photometric="rgb", metadata=None, software=False, **stated)
    return path


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def assert_refused(ended: Ended, *expected: str) -> None:
    """One line for people on stderr, nothing on stdout, exit code 2."""
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert ended.err.rstrip().endswith((".", "?"))
    assert "Traceback" not in ended.err
    for words in expected:
        assert words in ended.err


# What commands print


def test_info_tells_what_a_slide_holds(run, scan: Path) -> None:
    ended = run("info", scan)
    assert ended.code == 0
    assert ended.err == ""
    for words in ("openslide", "4×", "1.465 µm", "Level 0", "0.13 × 0.13 mm"):
        assert words in ended.out


def test_info_as_json_has_numbers_as_numbers(run, scan: Path) -> None:
    told = json.loads(run("info", scan, "--json").out)
    assert told["mpp"] == pytest.approx(1.465, abs=1e-3)
    assert told["objective_power"] == 4
    rows, cols = told["levels"][0]["rows"], told["levels"][0]["cols"]
    assert told["extent_um"] == pytest.approx([rows * told["pixel_size_um"][0], cols * told["pixel_size_um"][1]])


def test_info_tells_what_is_known_of_a_slide_without_pixel_size(run, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", None)
    ended = run("info", path)
    assert ended.code == 0
    assert "not stated; tell it with --mpp" in ended.out
    assert "64 × 64 px" in ended.out
    record = json.loads(run("info", path, "--json").out)
    assert record["mpp"] is record["extent_um"] is record["bounds_um"] is None
    assert record["levels"] == [{"rows": 64, "cols": 64, "mpp": None}]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["info", "{scan}"], 141), (["models", "list"], 141), (["--help"], 1), (["info", "gone"], 2)],
)
def test_output_that_nobody_reads_ends_without_a_traceback(scan: Path, arguments: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "napari_pathsrgan", *(part.format(scan=scan) for part in arguments)]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert ended.returncode == code


def test_info_takes_the_pixel_size_told(run, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "bare.tiff", None)
    assert json.loads(run("info", path, "--mpp", 1.465, "--json").out)["mpp"] == pytest.approx(1.465)


def test_phantom_tells_what_it_wrote(run, tmp_path: Path) -> None:
    out = tmp_path / "made"
    told = json.loads(run("phantom", out, "--size-um", 100, "--magnifications", 4, "--json").out)
    assert Path(told["scans"]["4"]).is_file()
    assert Path(told["truth"]).is_file()


def test_models_are_listed_and_shown(run) -> None:
    names = [model["name"] for model in json.loads(run("models", "list", "--json").out)]
    assert "lite" in names
    card = json.loads(run("models", "show", "lite", "--json").out)
    assert (card["preset"], card["mpp_in"], card["mpp_hr"]) == ("lite", 1.172, 0.293)
    assert "not for diagnosis" in run("models", "show", "lite").out.lower()


def test_a_model_that_cannot_be_read_does_not_hide_the_others(run, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "broken.safetensors").write_text("no weights")
    monkeypatch.setenv("PATHSRGAN_MODELS", str(tmp_path))
    ended = run("models", "list")
    assert ended.code == 0
    assert "broken.safetensors is not a model file" in ended.out
    assert "lite" in ended.out


def test_upscale_writes_a_region_and_goes_on_with_it(run, scan: Path, tmp_path: Path) -> None:
    import zarr

    out = tmp_path / "case.ome.zarr"
    arguments = ("upscale", scan, out, "--region", "0,0,30,30", "--precision", "fp32", "--device", "cpu")
    ended = run(*arguments, "--json")
    assert ended.code == 0
    told = json.loads(ended.out)
    assert (told["out"], told["region"], told["unreadable_um"]) == (str(out), [0, 0, 30, 30], [])
    assert told["tiles"] == told["written"] > 0
    pixels = np.asarray(zarr.open_group(out, mode="r")["0"])
    assert pixels.shape[0] == 3
    assert pixels[:, :100, :100].std() > 0
    written = {path: path.stat().st_mtime_ns for path in tree(out) if path.is_file()}
    assert run(*arguments).code == 0
    assert {path: path.stat().st_mtime_ns for path in tree(out) if path.is_file()} == written


def test_upscale_goes_on_in_the_precision_it_began_with(run, scan: Path, tmp_path: Path) -> None:
    """On most processors auto would take fp32 here, or bf16 there, and a resumed run another than the first."""
    from napari_pathsrgan.slides.pyramid_store import PyramidStore

    for precision, other in (("bf16", "fp32"), ("fp32", "bf16")):
        out = tmp_path / f"{precision}.ome.zarr"
        arguments = ("upscale", scan, out, "--device", "cpu")
        assert run(*arguments, "--region", "0,0,30,30", "--precision", precision).code == 0
        assert run(*arguments).code == 0
        assert PyramidStore.open(out).identity.execution == f"torch {precision}"
        before = tree(out)
        assert_refused(run(*arguments, "--precision", other), f"was begun in {precision} by torch")
        assert tree(out) == before


def test_upscale_takes_areas_drawn_in_qupath(run, scan: Path, tmp_path: Path) -> None:
    geometry = {"type": "Polygon", "coordinates": [[[1, 1], [9, 1], [9, 9], [1, 9], [1, 1]]]}
    feature = {"type": "Feature", "geometry": geometry, "properties": {}}
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    arguments = ("upscale", scan, tmp_path / "case.ome.zarr", "--precision", "fp32", "--blend", "--json")
    told = json.loads(run(*arguments, "--region", tmp_path / "area.geojson").out)
    assert told["region"] == str(tmp_path / "area.geojson")
    assert told["written"] > 0
    assert_refused(run(*arguments, "--region", tmp_path / "none.geojson"), "cannot be read")


def test_upscale_with_workers(run, scan: Path, tmp_path: Path) -> None:
    ended = run("upscale", scan, tmp_path / "case.ome.zarr", "--precision", "fp32", "--workers", 1, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["written"] > 0
    assert_refused(run("upscale", scan, tmp_path / "b.ome.zarr", "--workers", 1, "--blend"), "--blend")
    assert_refused(run("upscale", scan, tmp_path / "b.ome.zarr", "--workers", 1, "--precision", "int8"), "--workers")


def test_upscale_maps_consistency_beside_the_image(run, scan: Path, tmp_path: Path) -> None:
    flags = ("--precision", "fp32", "--consistency-against", "lite")
    assert run("upscale", scan, tmp_path / "case.ome.tiff", *flags).code == 0
    assert {entry.name for entry in tmp_path.iterdir()} == {"case.ome.tiff", "case.consistency.ome.zarr"}
    attributes = json.loads((tmp_path / "case.consistency.ome.zarr" / "zarr.json").read_text())["attributes"]
    assert [channel["label"] for channel in attributes["ome"]["omero"]["channels"]] == [
        "disagrees with the scan",
        "differs from the other model",
    ]


@pytest.mark.parametrize(
    ("name", "flags"), [("case.ome.tiff", ["--compression", "lossless"]), ("case.ome.zarr", ["--sharded"])]
)
def test_upscale_writes_finished_files(run, scan: Path, tmp_path: Path, name: str, flags: list[str]) -> None:
    out = tmp_path / name
    assert run("upscale", scan, out, "--precision", "fp32", *flags).code == 0
    told = json.loads(run("info", out, "--json").out)
    assert told["mpp"] == pytest.approx(0.293)
    assert told["objective_power"] == (20 if "tiff" in name else None)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert_refused(run("upscale", scan, out, "--precision", "fp32", *flags), name)


def test_upscale_lists_what_it_could_not_read_and_ends_with_3(run, scan: Path, tmp_path: Path, monkeypatch) -> None:
    read, halo = Slide.read_grid, model_card("lite").halo_lr_px

    def damaged(slide: Slide, mpp: float, row: int, col: int, height: int, width: int) -> np.ndarray:
        if mpp == 1.172 and width == height == 128 + 2 * halo:
            raise slide._unreadable("there")
        return read(slide, mpp, row, col, height, width)

    monkeypatch.setattr(Slide, "read_grid", damaged)
    ended = run("upscale", scan, tmp_path / "case.ome.zarr", "--precision", "fp32", "--json")
    assert ended.code == 3
    assert json.loads(ended.out)["unreadable_um"] == [[0, 0, pytest.approx(130, abs=3), pytest.approx(130, abs=3)]]
    assert "The slide cannot be read at 0,0,1" in ended.err


def test_upscale_told_to_stop_says_how_to_go_on(scan: Path, tmp_path: Path) -> None:
    """SIGTERM, as soon as there is a tile."""
    big, out = tmp_path / "big.tiff", tmp_path / "case.ome.zarr"
    pixels = np.random.default_rng(0).integers(0, 255, (2500, 2500, 3), dtype=np.uint8)
    tifffile.imwrite(big, pixels, tile=(256, 256), photometric="rgb", metadata=None, software=False)
    command = [sys.executable, "-m", "napari_pathsrgan", "upscale", str(big), str(out), "--mpp", "1.465"]
    with subprocess.Popen([*command, "--precision", "fp32"], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (out / "0" / "c").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "Stopped. case.ome.zarr is not complete; the same command goes on with it.\n"


def test_cache_says_what_is_kept_and_changes_it(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHSRGAN_CACHE", str(tmp_path / "chosen"))
    monkeypatch.delenv("PATHSRGAN_KEEP_TILES", raising=False)
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_: tmp_path / "config")
    assert "are not kept" in run("cache").out
    assert "are kept" in run("cache", "--keep", "yes", "--max-gb", "2.5").out
    said = json.loads(run("cache", "--clear", "--json").out)
    assert said == {
        "folder": str(tmp_path / "chosen" / "pathsrgan-tiles"), "keep": True, "max_bytes": 2_500_000_000,
        "bytes": 0, "stores": 0,
    }  # fmt: skip
    assert not (tmp_path / "chosen").exists()
    for absurd in ("nan", "inf", "-1"):
        assert_refused(run("cache", "--max-gb", absurd), "--max-gb")


def test_upscale_says_when_a_slide_is_finer_than_a_4x_scan(run, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "40x.tiff", 0.25, 128)
    ended = run("upscale", path, tmp_path / "out.ome.zarr", "--precision", "fp32")
    assert ended.code == 0
    assert "it is resampled to 1.172 µm/px" in ended.err


def test_help_and_version(run) -> None:
    assert run("--version").out.strip() == __version__
    text = run("--help").out
    for command in ("demo", "view", "info", "upscale", "phantom", "train", "models", "doctor"):
        assert command in text
    assert "--region" in run("upscale", "--help").out


def test_python_dash_m_is_the_same_command() -> None:
    command = [sys.executable, "-m", "napari_pathsrgan", "info", "no such slide.svs"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert_refused(Ended(ended.returncode, ended.stdout, ended.stderr), "There is no file no such slide.svs.")


# Bad input


def no_such_file(folder: Path) -> Path:
    return folder / "nowhere.svs"


def jpeg_renamed(folder: Path) -> Path:
    path = folder / "case.svs"
    path.write_bytes(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    return path


def cut_short(folder: Path) -> Path:
    whole = write_tiff(folder / "whole.tiff", 1.465, 256).read_bytes()
    path = folder / "cut.svs"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def test_a_process_of_its_own_says_no_more_than_that_of_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.svs"
    path.write_bytes(b"II*\0" + (1_275_950).to_bytes(4, "little") + bytes(1000))  # its directory is beyond the cut
    command = [sys.executable, "-m", "napari_pathsrgan", "info", str(path)]  # no test's log takes the library's word in
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert_refused(Ended(ended.returncode, ended.stdout, ended.stderr), "cut.svs is a TIFF that is damaged")


def without_pixel_size(folder: Path) -> Path:
    return write_tiff(folder / "bare.tiff", None)


def a_2x_scan(folder: Path) -> Path:
    return write_tiff(folder / "2x.tiff", 2.93)


BAD_SLIDES = [
    ("info", no_such_file, "There is no file"),
    ("info", jpeg_renamed, "is a JPEG image, not a slide"),
    ("info", cut_short, "damaged"),
    ("upscale", no_such_file, "There is no file"),
    ("upscale", jpeg_renamed, "is a JPEG image, not a slide"),
    ("upscale", cut_short, "damaged"),
    ("upscale", without_pixel_size, "--mpp"),
]


@pytest.mark.parametrize(("command", "make", "words"), BAD_SLIDES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_file_that_is_no_slide(run, tmp_path: Path, command: str, make, words: str) -> None:
    path = make(tmp_path)
    before = tree(tmp_path)
    out = [tmp_path / "out.ome.zarr"] if command == "upscale" else []
    assert_refused(run(command, path, *out), words)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "no such model"], "There is no model “no such model”"),
        (["--model", "{scan}"], "is not a model file"),
        (["--device", "cuda:99"], "The device “cuda:99” is not available"),
        (["--region", "0,0,100"], "is not four numbers"),
        (["--region", "90000,0,10,10"], "lies outside the slide"),
        (["--mpp", "-1"], "makes no sense"),
        (["--mpp", "wide"], "--mpp"),
        (["--precision", "fp13"], "--precision"),
        (["--frobnicate"], "--frobnicate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_makes_no_sense(run, scan: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    told = [argument.format(scan=scan) for argument in arguments]
    assert_refused(run("upscale", scan, tmp_path / "out.ome.zarr", *told), words)
    assert tree(tmp_path) == set()


def no_region_on_the_slide(folder: Path) -> list[str]:
    ring = [[9e4, 5], [9e4, 90], [9.1e4, 90], [9e4, 5]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    path = folder.with_name(f"{folder.name}-elsewhere.geojson")
    path.write_text(json.dumps(feature))
    return ["--region", str(path)]


@pytest.mark.parametrize(
    ("out", "arguments", "words"),
    [
        ("case.ome.zarr", ["--region", "90000,0,10,10"], "lies outside the slide"),
        ("case.ome.zarr", ["--region", "10,10,0,-5"], "lies outside the slide"),
        ("case.ome.zarr", no_region_on_the_slide, "holds no annotated area of the slide"),
        ("case.ome.zarr", ["--region", "gone.geojson"], "cannot be read"),
        ("case.png", [], "names no kind of output"),
        ("case", [], "names no kind of output"),
        ("file/case.ome.zarr", [], "is no folder"),
        ("taken.ome.tiff", [], "taken.ome.tiff exists already"),
        ("foreign.ome.zarr", [], "foreign.ome.zarr exists already"),
        ("foreign.ome.zarr", ["--sharded"], "foreign.ome.zarr is not"),
        ("case.ome.zarr", ["--model", "gone"], "There is no model “gone”"),
        ("case.ome.zarr", ["--consistency-against", "gone"], "There is no model “gone”"),
        ("foreign.ome.tiff", ["--consistency"], "foreign.consistency.ome.zarr is no consistency map"),
        ("case.ome.zarr", ["--mpp", "0"], "makes no sense"),
        ("case.ome.zarr", ["--mpp", "5"], "needs a scan of 1.465"),
        ("case.ome.zarr", ["--workers", "-1"], "--workers"),
        ("case.ome.zarr", ["--workers", "1", "--blend"], "--blend"),
        ("case.ome.zarr", ["--workers", "1", "--scheduler", "tls://localhost:1"], "--scheduler"),
        ("case.ome.zarr", ["--workers", "1", "--precision", "int8"], "--workers"),
        ("case.ome.zarr", ["--scheduler", "tcp://10.0.0.1:8786"], "has no keys"),
    ],
)
def test_upscale_refuses_what_needs_no_network_before_the_model_is_loaded(
    run, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, arguments, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "taken.ome.tiff").write_text("")
    for name in ("foreign.ome.zarr", "foreign.consistency.ome.zarr"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("two years of work")
    monkeypatch.setattr("napari_pathsrgan.commands.upscale._load", lambda *_: pytest.fail("the model was loaded"))
    before = tree(tmp_path)
    told = arguments(tmp_path) if callable(arguments) else arguments
    ended = run("upscale", scan, out, *told)
    assert ended.code == 2
    assert ended.out == ""
    assert words in ended.err
    assert tree(tmp_path) == before


def test_upscale_refuses_a_store_of_another_slide_or_model_before_the_model_is_loaded(
    run, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, region = tmp_path / "case.ome.zarr", ("--region", "0,0,30,30", "--precision", "fp32", "--device", "cpu")
    assert run("upscale", scan, out, *region).code == 0
    other = tmp_path / "other.tiff"
    write_tiff(other, 1.465, 256)
    monkeypatch.setattr("napari_pathsrgan.commands.upscale._load", lambda *_: pytest.fail("the model was loaded"))
    assert_refused(run("upscale", other, out), "holds tiles of another slide")
    assert_refused(run("upscale", scan, out, "--model", "lite-psnr"), "holds tiles of another model")
    assert_refused(run("upscale", scan, out, "--blend"), "holds tiles of another model")


def test_a_request_is_refused_without_importing_torch(scan: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from napari_pathsrgan.commands.app import main\n"
        "assert main(sys.argv[1:]) == 2\n"
        "assert 'torch' not in sys.modules\n"
    )
    arguments = ["upscale", scan, tmp_path / "case.ome.zarr", "--region", "90000,0,10,10", "--workers", "2"]
    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "lies outside the slide" in ended.stderr


def test_a_slide_too_coarse_for_the_model(run, tmp_path: Path) -> None:
    path = a_2x_scan(tmp_path)
    assert_refused(run("upscale", path, tmp_path / "out.ome.zarr"), "2.93 µm/px", "needs a scan of 1.465 µm/px")
    assert tree(tmp_path) == {path}


def test_places_that_are_taken_are_left_alone(run, scan: Path, phantom: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.ome.zarr"
    taken.mkdir()
    (taken / "thesis.txt").write_text("two years of work")
    before = tree(tmp_path) | tree(phantom)
    assert_refused(run("upscale", scan, taken), "taken.ome.zarr")
    assert_refused(run("phantom", phantom), "exists already")
    assert_refused(run("models", "import", scan, "--out", taken / "thesis.txt"), "exists already")
    assert_refused(run("demo", "--out", taken), "exists already")
    assert tree(tmp_path) | tree(phantom) == before


def test_a_pickle_is_not_run(run, tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    path = tmp_path / "G.pth"
    path.write_bytes(pickle.dumps(Bomb()))
    assert_refused(run("models", "import", path, "--out", tmp_path / "G.safetensors"), "plain weights")
    assert tree(tmp_path) == {path}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "frobnicate"),
        (["--frobnicate"], "--frobnicate"),
        (["models", "frobnicate"], "frobnicate"),
        (["doctor", "--frobnicate"], "--frobnicate"),
        (["info"], "FILE"),
        (["train", "--out", "run"], "--pairs"),
        (["phantom", "out", "--size-um", "large"], "--size-um"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_is_mistyped(run, arguments: list[str], words: str) -> None:
    assert_refused(run(*arguments), words)


def test_debug_shows_where_it_failed(run) -> None:
    quiet, loud = run("info", "nowhere.svs"), run("info", "nowhere.svs", "--debug")
    assert loud.code == 2
    assert "Traceback" in loud.err
    assert "SlideNotFoundError" in loud.err
    assert loud.err.endswith(quiet.err)


def test_an_interrupt_ends_with_130(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_pathsrgan.slides.open_slide.open_slide", interrupted)
    assert run("info", "any.svs") == Ended(130, "", "Stopped.\n")


# Words


def test_columns_line_up_and_numbers_have_thin_spaces() -> None:
    assert columns([("a", "bb", "c"), ("ddd", "e", "")]) == ["a    bb  c", "ddd  e"]
    assert thousands(1234567) == "1\u2009234\u2009567"
